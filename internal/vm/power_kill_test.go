package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/netkit"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// powerJob is what a process does that is killed: it runs one operation on a VM and dies at a point of it, which counts from 1.
type powerJob struct {
	Folder, NS string
	Type       string
	Params     json.RawMessage
	Point      int32
}

// killedAt is what a process prints before it kills itself.
const killedAt = "killed at "

// powerChild runs the job in a process of its own. Without an error it has lived through all points.
func powerChild(arg string) error {
	var job powerJob
	if err := json.Unmarshal([]byte(arg), &job); err != nil {
		return err
	}
	var armed atomic.Bool
	var passed atomic.Int32
	ns, err := netkit.OpenNS(job.NS)
	if err != nil {
		return err
	}
	n, err := startNode(job.Folder, nodeOptions{NS: ns, FailPoint: func(where string) {
		if armed.Load() && passed.Add(1) == job.Point {
			fmt.Println(killedAt + where)
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(call.With(context.Background(), call.Caller{AuthID: call.Root}), time.Minute)
	defer cancel()
	armed.Store(true)
	id, err := n.tasks.Submit(ctx, spec(ctx, job.Type, 100, job.Params))
	if err != nil {
		return err
	}
	if _, err := n.tasks.Wait(ctx, id); err != nil {
		return err
	}
	for { // what it led to: a start after a reboot
		kvs, _, err := n.store.List(ctx, "/op/")
		if err != nil {
			return err
		}
		if len(kvs) == 0 {
			return n.stop()
		}
		<-time.After(10 * time.Millisecond)
	}
}

// killSite is a node on a file store, which processes that are killed take over by turns.
func killSite(t *testing.T) (*site, *netkit.NS) {
	need.Root(t)
	need.Tool(t, "qemu-img", "qemu-system-x86_64")
	ns, err := netkit.NewNS()
	require.NoError(t, err)
	t.Cleanup(func() { ns.Close() })
	return startSite(t, t.TempDir(), nodeOptions{NS: ns}), ns
}

// killAtEveryPoint lets a process run an operation and kills it at each point in turn. prepare brings the VM into its first
// state, on the restarted node; check looks at what a restart has made of it.
func killAtEveryPoint(t *testing.T, s *site, ns *netkit.NS, typ string, params any, prepare, check func(where string)) {
	raw, err := json.Marshal(params)
	require.NoError(t, err)
	var points []string
	for point := int32(1); ; point++ {
		prepare(fmt.Sprint(point))
		s.halt()
		job, err := json.Marshal(powerJob{Folder: s.dir, NS: ns.Path(), Type: typ, Params: raw, Point: point})
		require.NoError(t, err)
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), childVar+"=power "+string(job))
		out, err := child.Output()
		lived := err == nil
		var where string
		if !lived {
			exit, ok := errors.AsType[*exec.ExitError](err)
			require.True(t, ok, err)
			require.Equal(t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal(), "point %d: %s %s", point, out, exit.Stderr)
			at := strings.Index(string(out), killedAt)
			require.GreaterOrEqual(t, at, 0, string(out))
			where = strings.TrimSpace(string(out)[at:])
			points = append(points, strings.TrimPrefix(where, killedAt))
		}
		s.restart()
		check(fmt.Sprintf("%s point %d, %s", typ, point, where))
		if lived {
			break
		}
	}
	t.Logf("%s was killed at: %s", typ, strings.Join(points, ", "))
	require.GreaterOrEqual(t, len(points), 5)
}

// last is the outcome of the last task of a type.
func (s *site) last(typ string) string {
	s.t.Helper()
	s.eventually("what has ended is in the archive", func() bool {
		_, active := s.tasks.List(task.Filter{Active: true, Limit: -1})
		return active == 0
	})
	rows, _ := s.tasks.List(filterOf(typ))
	if len(rows) == 0 {
		return ""
	}
	return rows[0].Status
}

// runsOnce requires that the VM runs, as one process, with all that it holds.
func (s *site) runsOnce(id int, where string) {
	s.t.Helper()
	require.Equal(s.t, []int{id}, s.Running(), where)
	require.Equal(s.t, []int{s.pid(id)}, s.processes(), where)
	require.Equal(s.t, []string{fmt.Sprintf("tap%di0", id)}, s.taps(), where)
	h, err := s.hold(s.root(), id)
	require.NoError(s.t, err)
	require.NotNil(s.t, h, where)
	require.False(s.t, h.Reboot, where)
	require.True(s.t, slices.Contains(s.keys("/obs/"), s.uidKey(h.UID)), where)
	require.Len(s.t, s.keys("/obs/"), 2, where)
	var st syscall.Stat_t
	require.NoError(s.t, syscall.Stat(s.path(s.conf(id).Main.Drives()[0].File), &st))
	require.EqualValues(s.t, h.UID, st.Uid, where)
}

func TestKilledWhileStarting(t *testing.T) {
	s, ns := killSite(t)
	s.makeVM(100, "memory", 16, "scsi0", "local:1", "net0", "virtio,bridge=vmbr0,link_down=1")
	killAtEveryPoint(t, s, ns, opStart, startParams{ID: 100}, func(string) {
		if s.pid(100) != 0 {
			s.stopVM(100)
		}
		s.nothingHeld(100)
	}, func(where string) {
		require.Equal(t, "OK", s.last(opStart), where)
		s.runsOnce(100, where)
		var every int
		args := map[string]any{"path": balloonPath, "property": "guest-stats-polling-interval"}
		require.NoError(t, s.guest(100).do(s.root(), "qom-get", args, &every))
		require.Equal(t, statsInterval, every, "what follows the start of the process: %s", where)
	})
}

func TestKilledWhileStopping(t *testing.T) {
	s, ns := killSite(t)
	s.makeVM(100, "memory", 16, "scsi0", "local:1", "net0", "virtio,bridge=vmbr0")
	killAtEveryPoint(t, s, ns, opStop, powerParams{ID: 100}, func(string) {
		s.startVM(100)
		require.NoError(t, s.setVM(100, "cores", 2))
	}, func(where string) {
		require.Equal(t, "OK", s.last(opStop), where)
		s.nothingHeld(100)
		require.Empty(t, s.conf(100).Pending, where)
		require.NoError(t, s.setVM(100, "cores", 1))
	})
}

func TestKilledWhileRebooting(t *testing.T) {
	s, ns := killSite(t)
	s.makeACPI(100, "net0", "virtio,bridge=vmbr0")
	pid := 0
	killAtEveryPoint(t, s, ns, opReboot, powerParams{ID: 100}, func(string) {
		if s.pid(100) == 0 {
			s.startVM(100)
		}
		s.awaitACPI(100)
		pid = s.pid(100)
	}, func(where string) {
		s.runsOnce(100, where)
		require.NotEqual(t, pid, s.pid(100), where)
	})
}

// A suspension is finished or undone, and a guest that was saved goes on exactly once.
func TestKilledWhileSuspending(t *testing.T) {
	s, ns := killSite(t)
	s.makeACPI(100, "net0", "virtio,bridge=vmbr0")
	ticks := 0
	killAtEveryPoint(t, s, ns, opSuspend, suspendParams{ID: 100, Storage: "local"}, func(string) {
		if s.conf(100).Main.Has("lock") {
			require.NoError(t, s.setVM(100, "delete", "lock", "skiplock", 1))
		}
		if s.pid(100) == 0 {
			s.startVM(100)
			s.awaitACPI(100)
		}
		s.eventually("it ticks", func() bool { return s.ticks(100) > 3 })
		ticks = s.ticks(100)
	}, func(where string) {
		switch exit := s.last(opSuspend); exit {
		case "OK":
			require.Equal(t, "suspended", s.conf(100).Main["lock"], where)
			s.nothingHeld(100)
			s.startVM(100)
		case task.ErrInterrupted.Error():
			require.Equal(t, "suspending", s.conf(100).Main["lock"], where)
			require.NotContains(t, s.conf(100).Main, "vmstate", where)
		default:
			require.Fail(t, exit, where)
		}
		s.runsOnce(100, where)
		require.Len(t, s.files(), 1, where)
		require.GreaterOrEqual(t, s.ticks(100), ticks, where)
		require.Equal(t, "running", s.current(100).QMPStatus, where)
	})
}

// A VM that is being resumed goes on from its state, or stays suspended; once its state is discarded it runs.
func TestKilledWhileResuming(t *testing.T) {
	s, ns := killSite(t)
	s.makeACPI(100, "net0", "virtio,bridge=vmbr0")
	s.startACPI(100)
	s.eventually("it ticks", func() bool { return s.ticks(100) > 3 })
	ticks := s.ticks(100)
	killAtEveryPoint(t, s, ns, opStart, startParams{ID: 100}, func(string) {
		s.ok(s.suspend(100, "todisk", 1))
	}, func(where string) {
		require.Equal(t, "OK", s.last(opStart), where)
		s.runsOnce(100, where)
		require.Len(t, s.files(), 1, where)
		require.NotContains(t, s.conf(100).Main, "vmstate", where)
		require.GreaterOrEqual(t, s.ticks(100), ticks, where)
		require.Equal(t, "running", s.current(100).QMPStatus, where)
		ticks = s.ticks(100)
	})
}
