package disks

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster/memstore"
	"github.com/turtacn/go-proxmox/internal/hosttool"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/internal/volume"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/proxmoxapi/upid"
)

// host is a host made of files: a root folder, and what its programs say.
type host struct {
	*Service
	t     *testing.T
	root  string
	tasks *task.Engine

	mu      sync.Mutex
	says    map[string]string // by program
	missing map[string]bool
	fails   map[string]int // exit codes
	ran     []string
	storage map[string]map[string]string // what AddForNode was given
	dropped []string
	denied  string // a path on which nobody may do anything
}

func (h *host) Run(_ context.Context, c hosttool.Command) ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ran = append(h.ran, commandLine(c.Name, c.Args))
	if h.missing[c.Name] {
		return nil, fmt.Errorf("%s: %w", c.Name, hosttool.ErrMissing)
	}
	if exit := h.fails[c.Name]; exit != 0 {
		return []byte(h.says[c.Name]), &hosttool.Error{Argv: []string{c.Name}, Exit: exit, Stderr: "no luck"}
	}
	if c.Name == "sgdisk" && slices.Contains(c.Args, "--new") { // the kernel finds a new partition
		disk := strings.TrimPrefix(c.Args[len(c.Args)-1], "/dev/")
		part := disk + "1"
		if strings.HasPrefix(disk, "nvme") {
			part = disk + "p1"
		}
		h.addPart(disk, part)
	}
	return []byte(h.says[c.Name]), nil
}

func (h *host) Check(_ context.Context, path string, privs ...string) error {
	if path == h.denied {
		return call.Status(403, "Permission check failed (%s, %s)", path, privs[0])
	}
	return nil
}

func (h *host) CheckForNode(_ context.Context, typ, id string, options map[string]string) error {
	if _, ok := h.storage[id]; ok {
		return call.Errorf("Storage ID '%s' already exists on node n1", id)
	}
	return nil
}

func (h *host) AddForNode(_ context.Context, typ, id string, options map[string]string) error {
	options["type"] = typ
	h.storage[id] = options
	return nil
}

func (h *host) DropForNode(_ context.Context, match func(*volume.Config) bool) error {
	for id, o := range h.storage {
		if match(&volume.Config{ID: id, Type: o["type"], Options: o}) {
			h.dropped = append(h.dropped, id)
		}
	}
	return nil
}

func (h *host) write(name, text string) {
	file := filepath.Join(h.root, name)
	require.NoError(h.t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(h.t, os.WriteFile(file, []byte(text), 0o600))
}

func (h *host) addDisk(name string) {
	h.write("sys/block/"+name+"/size", "20480\n")
	h.write("sys/block/"+name+"/queue/rotational", "0\n")
	h.write("dev/"+name, strings.Repeat("x", 10<<20))
}

func (h *host) addPart(disk, name string) {
	h.write("sys/block/"+disk+"/"+name+"/size", "2048\n")
	h.write("sys/block/"+disk+"/"+name+"/partition", "1\n")
	h.write("dev/"+name, strings.Repeat("y", 1<<20))
}

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{t: t, root: t.TempDir(), says: map[string]string{}, missing: map[string]bool{}, fails: map[string]int{}, storage: map[string]map[string]string{}}
	store := memstore.New()
	t.Cleanup(func() { store.Close() })
	var err error
	h.tasks, err = task.New(store, task.Options{Node: "n1", LogDir: t.TempDir()})
	require.NoError(t, err)
	h.Service, err = New(h.tasks, h, h, Options{Node: "n1", Tools: h, Root: h.root})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.tasks.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	require.NoError(t, os.MkdirAll(filepath.Join(h.root, "etc/systemd/system"), 0o755))
	for _, name := range []string{"sda", "sdb", "sdc", "nvme0n1"} {
		h.addDisk(name)
	}
	h.addPart("sda", "sda1")
	h.write("proc/mounts", "/dev/sda1 / ext4 rw 0 0\n")
	return h
}

func root() context.Context { return call.With(context.Background(), call.Caller{AuthID: call.Root}) }

// task waits for a task and returns how it ended.
func (h *host) task(text string, err error) string {
	h.t.Helper()
	require.NoError(h.t, err)
	id, err := upid.Parse(text)
	require.NoError(h.t, err)
	ctx, cancel := context.WithTimeout(root(), 2*time.Minute) // a lab zeroes slowly
	defer cancel()
	st, err := h.tasks.Wait(ctx, id)
	require.NoError(h.t, err)
	return st.Exit
}

// changes are the commands that were run and change something.
func (h *host) changes() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []string
	for _, c := range h.ran {
		name, _, _ := strings.Cut(c, " ")
		if slices.Contains([]string{"sgdisk", "wipefs", "mkfs", "pvcreate", "vgcreate", "lvcreate", "systemctl", "vgremove", "pvremove", "lvremove"}, name) ||
			strings.HasPrefix(c, "zpool create") || strings.HasPrefix(c, "zpool destroy") || strings.HasPrefix(c, "zfs set") {
			list = append(list, c)
		}
	}
	h.ran = nil
	return list
}

func ptr[T any](v T) *T { return &v }

func TestList(t *testing.T) {
	h := newHost(t)
	h.says["pvs"] = "  /dev/sdb\n"
	h.says["smartctl"] = "SMART overall-health self-assessment test result: PASSED\n"
	got, err := h.GetNodesDisksList(root(), &schema.GetNodesDisksList{})
	require.NoError(t, err)
	rows := map[string]string{}
	for _, r := range got.([]map[string]any) {
		rows[r["devpath"].(string)] = fmt.Sprint(r["used"], " ", r["health"])
	}
	require.Equal(t, map[string]string{"/dev/sda": "mounted PASSED", "/dev/sdb": "LVM PASSED", "/dev/sdc": "<nil> PASSED", "/dev/nvme0n1": "<nil> PASSED"}, rows)
	got, err = h.GetNodesDisksList(root(), &schema.GetNodesDisksList{Type: ptr("unused"), Skipsmart: ptr(true)})
	require.NoError(t, err)
	require.Len(t, got, 2)
	got, err = h.GetNodesDisksList(root(), &schema.GetNodesDisksList{IncludePartitions: ptr(true), Skipsmart: ptr(true)})
	require.NoError(t, err)
	require.Len(t, got, 5)
}

func TestSMART(t *testing.T) {
	h := newHost(t)
	h.says["smartctl"], h.fails["smartctl"] = "SMART Health Status: OK\n", 4
	got, err := h.GetNodesDisksSmart(root(), &schema.GetNodesDisksSmart{Disk: "/dev/sdb"})
	require.NoError(t, err, "a disk with complaints still reports")
	require.Equal(t, "OK", got.(map[string]any)["health"])
	h.fails["smartctl"] = 2
	_, err = h.GetNodesDisksSmart(root(), &schema.GetNodesDisksSmart{Disk: "/dev/sdb"})
	require.EqualError(t, err, "Error getting S.M.A.R.T. data: Exit code: 2")
	h.missing["smartctl"] = true
	_, err = h.GetNodesDisksSmart(root(), &schema.GetNodesDisksSmart{Disk: "/dev/sdb"})
	require.EqualError(t, err, "the program 'smartctl' is not installed on this node")
}

// TestThreat9_OnlyDisksOfTheHost: no name gets a task to anything but a local disk that is free.
func TestThreat9_OnlyDisksOfTheHost(t *testing.T) {
	h := newHost(t)
	require.NoError(t, os.Symlink("sda", filepath.Join(h.root, "dev/sdz")))
	require.NoError(t, os.Symlink("../etc/passwd", filepath.Join(h.root, "dev/sdy")))
	h.write("etc/passwd", "root")
	h.write("dev/mapper-x", "")
	h.write("dev/sdq", "")
	h.write("sys/class/block/sdc/holders/dm-0", "")
	for _, c := range []struct{ disk, text string }{
		{"/etc/passwd", "got unusual device path '/etc/passwd'"},
		{"/dev/../etc/passwd", "got unusual device path '/dev/../etc/passwd'"},
		{"-a", "got unusual device path '-a'"},
		{"sdb", "got unusual device path 'sdb'"},
		{"/dev/sdb\x00", "got unusual device path '/dev/sdb\x00'"},
		{"/dev/sdy", "got unusual device path '/etc/passwd'"},
		{"/dev/mapper-x", "got unusual device path '/dev/mapper-x'"},
		{"/dev/none", "failed to get absolute path to /dev/none"},
		{"/dev/sdq", "'/dev/sdq' is not a valid local disk"},
		{"/dev/sda1", "/dev/sda1 is a partition"},
		{"/dev/sda", "disk /dev/sda already in use"},
		{"/dev/sdz", "disk /dev/sda already in use"},
		{"/dev/sdc", "disk /dev/sdc already in use"},
	} {
		_, err := h.PostNodesDisksInitgpt(root(), &schema.PostNodesDisksInitgpt{Disk: c.disk})
		require.EqualError(t, err, c.text, c.disk)
		_, err = h.PostNodesDisksLvm(root(), &schema.PostNodesDisksLvm{Device: c.disk, Name: "new"})
		require.Error(t, err, c.disk)
		if strings.HasPrefix(c.disk, "/dev/sda") || c.disk == "/dev/sdz" {
			_, err = h.PutNodesDisksWipedisk(root(), &schema.PutNodesDisksWipedisk{Disk: c.disk})
			require.ErrorContains(t, err, "is mounted", c.disk)
		}
	}
	_, err := h.PutNodesDisksWipedisk(root(), &schema.PutNodesDisksWipedisk{Disk: "/dev/sdc"})
	require.EqualError(t, err, "disk/partition '/dev/sdc' has a holder")
	_, err = h.PutNodesDisksWipedisk(call.With(context.Background(), call.Caller{AuthID: "joe@pve"}), &schema.PutNodesDisksWipedisk{Disk: "/dev/sdb"})
	require.EqualError(t, err, "Permission check failed (user != root@pam)")
	require.Empty(t, h.changes())
}

func TestInitAndWipe(t *testing.T) {
	h := newHost(t)
	id, err := h.PostNodesDisksInitgpt(root(), &schema.PostNodesDisksInitgpt{Disk: "/dev/sdb"})
	require.Contains(t, id, ":diskinit:sdb:")
	require.Equal(t, "OK", h.task(id, err))
	require.Equal(t, []string{"sgdisk --disk-guid R /dev/sdb"}, h.changes())

	h.addPart("sdb", "sdb1")
	require.Equal(t, "OK", h.task(h.PutNodesDisksWipedisk(root(), &schema.PutNodesDisksWipedisk{Disk: "/dev/sdb"})))
	require.Equal(t, []string{"wipefs --all -- /dev/sdb1 /dev/sdb"}, h.changes())
	data, err := os.ReadFile(filepath.Join(h.root, "dev/sdb"))
	require.NoError(t, err)
	require.Equal(t, make([]byte, 10<<20), data)

	h.fails["wipefs"] = 1
	require.Equal(t, "command 'wipefs' failed: no luck", h.task(h.PutNodesDisksWipedisk(root(), &schema.PutNodesDisksWipedisk{Disk: "/dev/sdc"})))
	data, err = os.ReadFile(filepath.Join(h.root, "dev/sdc"))
	require.NoError(t, err)
	require.NotZero(t, data[0], "a refusal stops it")
}

func TestDirectory(t *testing.T) {
	h := newHost(t)
	h.says["blkid"] = "0b1c2d3e-0000-1111-2222-333344445555\n"
	require.Equal(t, "OK", h.task(h.PostNodesDisksDirectory(root(), &schema.PostNodesDisksDirectory{Device: "/dev/nvme0n1", Name: "fast-1", AddStorage: ptr(true), Filesystem: ptr("xfs")})),
		"the kernel names the partition nvme0n1p1")
	unit := `mnt-pve-fast\x2d1.mount`
	require.Equal(t, []string{
		"sgdisk --new 1:0:0 --typecode 1:8300 /dev/nvme0n1", "mkfs -t xfs /dev/nvme0n1p1",
		"systemctl daemon-reload", "systemctl enable " + unit, "systemctl start " + unit,
	}, h.changes())
	text, err := os.ReadFile(filepath.Join(h.root, "etc/systemd/system", unit))
	require.NoError(t, err)
	require.Contains(t, string(text), "What=/dev/disk/by-uuid/0b1c2d3e-0000-1111-2222-333344445555\nWhere=/mnt/pve/fast-1\nType=xfs\n")
	require.Equal(t, "/mnt/pve/fast-1", h.storage["fast-1"]["path"])
	require.Equal(t, "1", h.storage["fast-1"]["is_mountpoint"])

	require.Equal(t, "OK", h.task(h.DeleteNodesDisksDirectoryName(root(), &schema.DeleteNodesDisksDirectoryName{Name: "fast-1", CleanupConfig: ptr(true)})))
	require.NoFileExists(t, filepath.Join(h.root, "etc/systemd/system", unit))
	require.Equal(t, []string{"fast-1"}, h.dropped)
	require.Contains(t, h.task(h.DeleteNodesDisksDirectoryName(root(), &schema.DeleteNodesDisksDirectoryName{Name: "none"})), "no such mount unit")
}

func TestVolumeGroup(t *testing.T) {
	h := newHost(t)
	h.says["vgs"] = `{"report":[{"vg":[{"vg_name":"old","vg_size":"100","vg_free":"10","lv_count":"0"}]}]}`
	id, err := h.PostNodesDisksLvm(root(), &schema.PostNodesDisksLvm{Device: "/dev/sdb", Name: "fresh", AddStorage: ptr(true)})
	require.Equal(t, "OK", h.task(id, err))
	require.Equal(t, []string{"pvcreate --metadatasize 250k --yes -- /dev/sdb", "vgcreate -- fresh /dev/sdb"}, h.changes())
	require.Equal(t, map[string]string{"type": "lvm", "vgname": "fresh", "content": "rootdir,images", "shared": "0"}, h.storage["fresh"])

	_, err = h.PostNodesDisksLvm(root(), &schema.PostNodesDisksLvm{Device: "/dev/sdc", Name: "fresh", AddStorage: ptr(true)})
	require.EqualError(t, err, "Storage ID 'fresh' already exists on node n1")
	_, err = h.PostNodesDisksLvm(root(), &schema.PostNodesDisksLvm{Device: "/dev/sdc", Name: "old"})
	require.EqualError(t, err, "volume group with name 'old' already exists on node 'n1'")
	h.denied = "/storage"
	_, err = h.PostNodesDisksLvm(root(), &schema.PostNodesDisksLvm{Device: "/dev/sdc", Name: "more", AddStorage: ptr(true)})
	require.ErrorContains(t, err, "Datastore.Allocate")
	h.denied = ""

	_, err = h.DeleteNodesDisksLvmName(root(), &schema.DeleteNodesDisksLvmName{Name: "none"})
	require.EqualError(t, err, "no such volume group 'none'")
	h.storage["thin"] = map[string]string{"type": "lvmthin", "vgname": "old"}
	require.Equal(t, "OK", h.task(h.DeleteNodesDisksLvmName(root(), &schema.DeleteNodesDisksLvmName{Name: "old", CleanupConfig: ptr(true)})))
	require.Equal(t, []string{"vgremove -- old"}, h.changes())
	require.Equal(t, []string{"thin"}, h.dropped)
	h.says["vgs"] = strings.Replace(h.says["vgs"], `"lv_count":"0"`, `"lv_count":"3"`, 1)
	require.Equal(t, "volume group 'old' still in use", h.task(h.DeleteNodesDisksLvmName(root(), &schema.DeleteNodesDisksLvmName{Name: "old"})))
	require.Empty(t, h.changes())
}

func TestThinSizes(t *testing.T) {
	for _, c := range []struct{ size, data, meta int64 }{
		{1 << 30, 1<<30 - 128<<20 - 2*(8<<20), 8 << 20},
		{100 << 30, 100<<30 - 128<<20 - 2<<30, 1 << 30},
		{4000 << 30, 4000<<30 - 128<<20 - 32<<30, 16 << 30},
	} {
		data, meta, err := thinSizes(c.size)
		require.NoError(t, err)
		require.Equal(t, []int64{c.data, c.meta}, []int64{data, meta})
	}
	_, _, err := thinSizes(100 << 20)
	require.Error(t, err)
}

func TestZFSTopology(t *testing.T) {
	for _, c := range []struct {
		p     zfsParams
		disks string
		want  string
	}{
		{zfsParams{Level: "single"}, "a", "a"},
		{zfsParams{Level: "mirror"}, "a b", "mirror a b"},
		{zfsParams{Level: "raid10"}, "a b c d", "mirror a b mirror c d"},
		{zfsParams{Level: "raidz2"}, "a b c d", "raidz2 a b c d"},
		{zfsParams{Level: "draid2", DRAID: "data=2,spares=1"}, "a b c d e", "draid2:2d:5c:1s a b c d e"},
		{zfsParams{Level: "single"}, "a b", "please give only one disk for single disk mode"},
		{zfsParams{Level: "raid10"}, "a b c d e", "raid10 needs an even number of disks"},
		{zfsParams{Level: "raidz3"}, "a b", "raidz3 needs at least 5 disks"},
		{zfsParams{Level: "mirror", DRAID: "data=1"}, "a b", "draid-config set without using dRAID level"},
		{zfsParams{Level: "draid", DRAID: "data=4,spares=1"}, "a b c", "At least 6 disks needed for current dRAID config"},
	} {
		words, err := c.p.topology(strings.Fields(c.disks))
		if err != nil {
			require.EqualError(t, err, c.want)
			continue
		}
		require.Equal(t, c.want, strings.Join(words, " "))
	}
}

func TestZFSPool(t *testing.T) {
	h := newHost(t)
	h.says["zpool"] = "tank\t1000\t100\t900\t1\t1.00\tONLINE\n"
	req := &schema.PostNodesDisksZfs{Name: "new", Raidlevel: "mirror", Devices: "/dev/sdb,/dev/sdc", AddStorage: ptr(true)}
	require.Equal(t, "OK", h.task(h.PostNodesDisksZfs(root(), req)))
	require.Equal(t, []string{"zpool create -o ashift=12 new mirror /dev/sdb /dev/sdc", "zfs set compression=on new", "systemctl enable zfs-import@new.service"}, h.changes())
	require.Equal(t, "new", h.storage["new"]["pool"])
	for text, req := range map[string]*schema.PostNodesDisksZfs{
		"pool 'tank' already exists on node 'n1'": {Name: "tank", Raidlevel: "single", Devices: "/dev/sdb"},
		"device '/dev/sda' is already in use":     {Name: "x", Raidlevel: "mirror", Devices: "/dev/sdb,/dev/sda"},
		"mirror needs at least 2 disks":           {Name: "x", Raidlevel: "mirror", Devices: "/dev/sdb"},
	} {
		_, err := h.PostNodesDisksZfs(root(), req)
		require.EqualError(t, err, text)
	}
	_, err := h.PostNodesDisksZfs(root(), &schema.PostNodesDisksZfs{Name: "x", Raidlevel: "mirror", Devices: "/dev/sdb,/dev/sdb"})
	require.Error(t, err, "one disk is no mirror")
	h.missing["zpool"] = true
	_, err = h.PostNodesDisksZfs(root(), &schema.PostNodesDisksZfs{Name: "x", Raidlevel: "single", Devices: "/dev/sdb"})
	require.EqualError(t, err, "zfsutils-linux not installed")
}

func TestUnits(t *testing.T) {
	require.Equal(t, `mnt-pve-fast\x2d1.mount`, mountUnit("fast-1"))
	m := parseUnit("u", "[Unit]\nWhat=/no\n[Mount]\nWhat = /dev/disk/by-uuid/1\nWhere=/mnt/pve/a\nType=ext4\n[Install]\nOptions=none\n")
	require.Equal(t, mount{"u", "/dev/disk/by-uuid/1", "/mnt/pve/a", "ext4", "defaults"}, m)
	h := newHost(t)
	h.write("etc/systemd/system/mnt-pve-a.mount", "[Mount]\nWhat=/dev/x\nWhere=/mnt/pve/a\nType=xfs\nOptions=noatime\n")
	h.write("etc/systemd/system/mnt-other.mount", "[Mount]\n")
	rows, err := h.GetNodesDisksDirectory(root(), nil)
	require.NoError(t, err)
	text, err := json.Marshal(rows)
	require.NoError(t, err)
	require.JSONEq(t, `[{"device":"/dev/x","options":"noatime","path":"/mnt/pve/a","type":"xfs","unitfile":"/etc/systemd/system/mnt-pve-a.mount"}]`, string(text))
	_, err = h.PostNodesDisksDirectory(root(), &schema.PostNodesDisksDirectory{Device: "/dev/sdb", Name: "a"})
	require.EqualError(t, err, "a systemd mount unit already exists: /etc/systemd/system/mnt-pve-a.mount")
}
