package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/internal/vm/cloudinit"
	"github.com/turtacn/go-proxmox/internal/vm/machineconf"
	"github.com/turtacn/go-proxmox/netkit"
	"github.com/turtacn/go-proxmox/proxmoxapi/upid"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

// killJob is what a process does that is killed: one request, at a point of whose operation it dies; points count from 1.
type killJob struct {
	Folder, Request string
	Image           string // for an import
	NS              string // network namespace of a node that runs guests
	Point           int32
}

// killRequests are the requests that are killed. They return the task, if it is one that users see.
var killRequests = map[string]func(s *site, ctx context.Context, image string) (string, error){
	"create": func(s *site, ctx context.Context, image string) (string, error) {
		return ask(s, ctx, s.PostNodesQemu, kv{"vmid", 100, "pool", "p1", "scsi0", "local:0.01,format=qcow2", "scsi1", "other:0,import-from=" + image,
			"ide2", "local:cloudinit"})
	},
	"import": func(s *site, ctx context.Context, image string) (string, error) {
		return ask(s, ctx, s.PostNodesQemu, kv{"vmid", 100, "scsi0", "local:0,format=qcow2,import-from=" + image})
	},
	"create that fails": func(s *site, ctx context.Context, image string) (string, error) {
		return ask(s, ctx, s.PostNodesQemu, kv{"vmid", 100, "pool", "p1", "scsi0", "local:0.01", "scsi1", "local:100/vm-100-disk-9.raw",
			"ide2", "local:cloudinit"})
	},
	"create of a template": func(s *site, ctx context.Context, image string) (string, error) {
		return ask(s, ctx, s.PostNodesQemu, kv{"vmid", 100, "scsi0", "local:0.01", "template", 1})
	},
	"clone": func(s *site, ctx context.Context, image string) (string, error) {
		return ask(s, ctx, s.PostNodesQemuClone, kv{"vmid", 100, "newid", 101, "pool", "p1", "full", 1})
	},
	"linked clone": func(s *site, ctx context.Context, image string) (string, error) {
		return ask(s, ctx, s.PostNodesQemuClone, kv{"vmid", 100, "newid", 101})
	},
	"update": func(s *site, ctx context.Context, image string) (string, error) {
		_, err := ask(s, ctx, s.PutNodesQemuConfig, kv{"vmid", 100, "memory", 77, "scsi2", "local:0.02", "ide2", "local:cloudinit",
			"delete", "unused0,scsi1", "force", 1})
		return "", err
	},
	"update of a running VM": func(s *site, ctx context.Context, image string) (string, error) {
		_, err := ask(s, ctx, s.PutNodesQemuConfig, kv{"vmid", 100, "name", "new", "scsi1", "local:0.0625", "scsi3", "other:0.125",
			"ide2", "local:iso/a.iso,media=cdrom", "delete", "scsi2", "force", 1})
		return "", err
	},
	"template": func(s *site, ctx context.Context, image string) (string, error) {
		return ask(s, ctx, s.PostNodesQemuTemplate, kv{"vmid", 100})
	},
	"resize": func(s *site, ctx context.Context, image string) (string, error) {
		return ask(s, ctx, s.PutNodesQemuResize, kv{"vmid", 100, "disk", "scsi0", "size", "+1M"})
	},
	"move": func(s *site, ctx context.Context, image string) (string, error) {
		return ask(s, ctx, s.PostNodesQemuMoveDisk, kv{"vmid", 100, "disk", "scsi0", "storage", "other", "delete", 1})
	},
	"move of a running VM's disk": func(s *site, ctx context.Context, image string) (string, error) {
		return ask(s, ctx, s.PostNodesQemuMoveDisk, kv{"vmid", 100, "disk", "scsi0", "storage", "other", "delete", 1})
	},
	"reassign": func(s *site, ctx context.Context, image string) (string, error) {
		return ask(s, ctx, s.PostNodesQemuMoveDisk, kv{"vmid", 100, "disk", "scsi0", "target-vmid", 101, "target-disk", "virtio1"})
	},
	"destroy": func(s *site, ctx context.Context, image string) (string, error) {
		return ask(s, ctx, s.DeleteNodesQemuVmid, kv{"vmid", 100})
	},
}

// killChild runs the job in a process of its own. Without an error it has lived through all points.
func killChild(arg string) error {
	var job killJob
	if err := json.Unmarshal([]byte(arg), &job); err != nil {
		return err
	}
	var armed atomic.Bool
	var passed atomic.Int32
	bare := &Host{o: HostOptions{Node: testNode, DNS: func() cloudinit.DNS { return cloudinit.DNS{} }}, facts: &machineconf.Host{Arch: "x86_64", QEMU: machineconf.QEMU{Version: "10.0.0"}}}
	o := nodeOptions{Host: bare, FailPoint: func(where string) {
		if armed.Load() && passed.Add(1) == job.Point {
			fmt.Print(where)
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}}
	if job.NS != "" {
		ns, err := netkit.OpenNS(job.NS)
		if err != nil {
			return err
		}
		o.Host, o.NS = nil, ns
	}
	n, err := startNode(job.Folder, o)
	if err != nil {
		return err
	}
	ctx, cancel := rootContext()
	defer cancel()
	armed.Store(true)
	text, err := killRequests[job.Request](&site{node: n}, ctx, job.Image)
	if err != nil {
		return err
	}
	if id, err := upid.Parse(text); err == nil {
		if _, err := n.tasks.Wait(ctx, id); err != nil {
			return err
		}
	}
	return n.stop()
}

// killEverywhere lets a process make a request and kills it at each point in turn. prepare makes the node ready for it; check
// looks at what a restart has made of it and is told the outcome of the task.
func killEverywhere(t *testing.T, s *site, request string, prepare func(), check func(where, outcome string)) {
	t.Helper()
	image := s.bootImage()
	ns := ""
	if s.options.NS != nil {
		ns = s.options.NS.Path()
	}
	var points []string
	for point := int32(1); ; point++ {
		prepare()
		before := len(s.outcomes())
		s.halt()
		job, err := json.Marshal(killJob{s.dir, request, image, ns, point})
		require.NoError(t, err)
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), childVar+"=kill "+string(job))
		out, err := child.Output()
		s.restart()
		where := fmt.Sprintf("%s, point %d, %s", request, point, out)
		if err != nil {
			exit, ok := errors.AsType[*exec.ExitError](err)
			require.True(t, ok, err)
			require.Equal(t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal(), "%s: %s", where, exit.Stderr)
			points = append(points, string(out))
		}
		require.Empty(t, s.orphans(), where)
		for _, id := range s.vmids() {
			c := s.conf(id)
			require.False(t, c.Main.Has("lock"), "%s: VM %d is locked", where, id)
			for _, d := range c.Main.Drives() {
				if isVolume(d.File) {
					require.FileExists(t, s.path(d.File), where)
				}
			}
		}
		outcome := ""
		if all := s.outcomes(); len(all) > before {
			outcome = all[len(all)-1]
		}
		check(where, outcome)
		if err == nil {
			break
		}
	}
	require.GreaterOrEqual(t, len(points), 4, "%s: %v", request, points)
}

// outcomes are those of all tasks, the oldest first.
func (s *site) outcomes() []string {
	s.t.Helper()
	rows, _ := s.tasks.List(task.Filter{Finished: true, Limit: -1})
	var all []string
	for _, r := range slices.Backward(rows) {
		all = append(all, r.Status)
	}
	return all
}

// dropAll destroys all VMs, the newest first.
func (s *site) dropAll() {
	for _, id := range slices.Backward(s.vmids()) {
		s.dropVM(id)
	}
}

func newKillSite(t *testing.T) *site {
	need.Tool(t, "qemu-img", "qemu-system-x86_64")
	s := startSite(t, t.TempDir(), nodeOptions{})
	s.users("pool:p1::::\n")
	return s
}

const interrupted = "interrupted by the end of the daemon"

func TestKilledWhileCreating(t *testing.T) {
	t.Parallel()
	s := newKillSite(t)
	killEverywhere(t, s, "create", s.dropAll, func(where, outcome string) {
		cfg, err := s.access.UserConfig(s.root())
		require.NoError(t, err)
		if outcome == "OK" {
			require.Len(t, s.files(), 3)
			require.Len(t, s.conf(100).Main.Drives(), 3)
			require.True(t, cfg.Pools["p1"].VMs.Has("100"))
			return
		}
		require.Equal(t, interrupted, outcome, where)
		require.Empty(t, s.vmids())
		require.Empty(t, s.files())
		require.Empty(t, cfg.Pools["p1"].VMs)
	})
	killEverywhere(t, s, "create that fails", s.dropAll, func(where, outcome string) {
		require.Contains(t, []string{interrupted, "unable to create VM 100 - volume local:100/vm-100-disk-9.raw does not exist"}, outcome)
		require.Empty(t, s.vmids())
		require.Empty(t, s.files())
	})
	killEverywhere(t, s, "create of a template", s.dropAll, func(where, outcome string) {
		if outcome == "OK" {
			require.Contains(t, s.conf(100).Main["scsi0"], "base-100-disk-0")
			return
		}
		require.Empty(t, s.vmids())
		require.Empty(t, s.files())
	})
}

func TestKilledWhileCloning(t *testing.T) {
	t.Parallel()
	s := newKillSite(t)
	s.makeVM(100, "scsi0", "local:0.01", "scsi1", "other:0.01", "ide2", "local:cloudinit")
	source := s.conf(100).Digest
	dropClone := func() {
		if slices.Contains(s.vmids(), 101) {
			s.dropVM(101)
		}
	}
	check := func(where, outcome string) {
		require.Equal(t, source, s.conf(100).Digest)
		if outcome == "OK" {
			require.Len(t, s.conf(101).Main.Drives(), 3)
			require.Len(t, s.files(), 6)
			return
		}
		require.Equal(t, interrupted, outcome, where)
		require.Equal(t, []int{100}, s.vmids())
		require.Len(t, s.files(), 3)
	}
	killEverywhere(t, s, "clone", dropClone, check)
	dropClone()
	s.ok(ask(s, s.root(), s.PostNodesQemuTemplate, kv{"vmid", 100}))
	source = s.conf(100).Digest
	killEverywhere(t, s, "linked clone", dropClone, check)
}

func TestKilledWhileUpdating(t *testing.T) {
	t.Parallel()
	s := newKillSite(t)
	prepare := func() {
		s.dropAll()
		s.makeVM(100, "memory", 16, "scsi0", "local:0.01", "scsi1", "other:0.01", "scsi3", "local:0.01")
		require.NoError(t, s.setVM(100, "delete", "scsi3"))
	}
	seen := map[bool]int{}
	killEverywhere(t, s, "update", prepare, func(string, string) {
		main := s.conf(100).Main
		done := main["memory"] == "77"
		seen[done]++
		require.Empty(t, s.conf(100).Pending, "nothing is half done")
		require.Equal(t, done, main.Has("scsi2"))
		require.Equal(t, done, main.Has("ide2"))
		require.Equal(t, !done, main.Has("scsi1"))
		require.Equal(t, !done, main.Has("unused0"))
		require.Len(t, s.files(), 3)
	})
	require.Len(t, seen, 2, "both happen")
}

func TestKilledWhileMakingATemplate(t *testing.T) {
	t.Parallel()
	s := newKillSite(t)
	prepare := func() {
		s.dropAll()
		s.makeVM(100, "scsi0", "local:0.01", "scsi1", "other:0.01,format=qcow2", "ide2", "local:cloudinit")
	}
	killEverywhere(t, s, "template", prepare, func(where, outcome string) {
		require.Equal(t, "OK", outcome, where)
		main := s.conf(100).Main
		require.Equal(t, "1", main["template"])
		require.True(t, strings.Contains(main["scsi0"], "/base-100-") && strings.Contains(main["scsi1"], "/base-100-"), "%v", main)
	})
}

func TestKilledWhileResizingAndDestroying(t *testing.T) {
	t.Parallel()
	s := newKillSite(t)
	prepare := func() {
		s.dropAll()
		s.makeVM(100, "scsi0", "local:0.0625", "scsi1", "other:0.01", "ide2", "local:cloudinit", "pool", "p1")
	}
	killEverywhere(t, s, "resize", prepare, func(where, outcome string) {
		require.Equal(t, "OK", outcome, where)
		d, _, err := s.conf(100).Main.Drive("scsi0")
		require.NoError(t, err)
		require.Equal(t, vmconfig.Size(65<<20), d.Size.Value)
		vol, err := s.volumes.Stat(s.root(), d.File)
		require.NoError(t, err)
		require.EqualValues(t, 65<<20, vol.SizeBytes)
	})
	killEverywhere(t, s, "destroy", prepare, func(where, outcome string) {
		require.Equal(t, "OK", outcome, where)
		require.Empty(t, s.vmids())
		require.Empty(t, s.files())
	})
}

func TestKilledWhileUpdatingARunningVM(t *testing.T) {
	s, _ := killSite(t)
	iso := filepath.Join(s.dir, "local/template/iso/a.iso")
	require.NoError(t, os.MkdirAll(filepath.Dir(iso), 0o755))
	require.NoError(t, os.WriteFile(iso, make([]byte, 64<<10), 0o600))
	s.makeVM(100, "name", "old", "memory", 16, "scsihw", "virtio-scsi-pci", "ide0", "local:0,import-from="+s.bootImage(), "scsi0", "none,media=cdrom",
		"scsi2", "local:0.0625", "scsi3", "local:0.0625", "ide2", "none,media=cdrom")
	s.startVM(100)
	prepare := func() {
		main := s.conf(100).Main
		if main["name"] == "old" {
			return
		}
		require.NoError(t, s.setVM(100, "name", "old", "ide2", "none,media=cdrom", "delete", "scsi1,scsi3", "force", 1))
		require.NoError(t, s.setVM(100, "scsi2", "local:0.0625", "scsi3", main["unused0"]))
	}
	seen := map[bool]int{}
	killEverywhere(t, s, "update of a running VM", prepare, func(where, _ string) {
		c := s.conf(100)
		require.Empty(t, c.Pending, where)
		done := c.Main["name"] == "new"
		seen[done]++
		present, err := s.guest(100).present(s.root())
		require.NoError(t, err)
		for key, want := range map[string]bool{"scsi1": done, "scsi2": !done, "scsi3": true} {
			require.Equal(t, want, c.Main.Has(key), "%s: %s", where, key)
			require.Equal(t, want, present[key], "%s: device %s", where, key)
		}
		blocks := s.query(100, "query-block", nil)
		held := s.heldBy(100).Volumes
		require.Equal(t, done, strings.Contains(blocks, "a.iso"), where)
		require.Equal(t, done, c.Main.Has("unused0"), "%s:\n%s", where, c.String())
		for _, d := range c.Main.Drives() {
			if isVolume(d.File) {
				require.Contains(t, blocks, s.path(d.File), "%s: %s", where, d.Key)
				require.Contains(t, held, d.File, where)
			}
		}
		if done {
			require.Len(t, s.files(), 4, where) // scsi1, scsi3, its old volume, ide0
		} else {
			require.Len(t, s.files(), 3, where)
		}
	})
	require.Len(t, seen, 2, "both happen")
}
