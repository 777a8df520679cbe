package disks

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster/memstore"
	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// newLabHost is this host, with its own programs. Storages are only noted.
func newLabHost(t *testing.T) *host {
	t.Helper()
	need.Root(t)
	h := &host{t: t, root: "/", storage: map[string]map[string]string{}}
	store := memstore.New()
	t.Cleanup(func() { store.Close() })
	var err error
	h.tasks, err = task.New(store, task.Options{Node: "n1", LogDir: t.TempDir()})
	require.NoError(t, err)
	h.Service, err = New(h.tasks, h, h, Options{Node: "n1"})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.tasks.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	return h
}

// blank requires that a disk begins with zeros and that the host sees nothing on it.
func (h *host) blank(dev string) {
	h.t.Helper()
	f, err := os.Open(dev)
	require.NoError(h.t, err)
	defer f.Close()
	head := make([]byte, 1<<20)
	_, err = f.ReadAt(head, 0)
	require.NoError(h.t, err)
	require.Equal(h.t, make([]byte, 1<<20), head)
	found, err := h.free(root(), dev)
	require.NoError(h.t, err)
	require.Empty(h.t, found.disk.Partitions)
}

func TestDisksOfAHost(t *testing.T) {
	dev := need.LabDisk(t, 0)
	need.Tool(t, "sgdisk", "wipefs", "lsblk", "vgs")
	h := newLabHost(t)
	wipe := func() {
		require.Equal(t, "OK", h.task(h.PutNodesDisksWipedisk(root(), &schema.PutNodesDisksWipedisk{Disk: dev})))
		h.blank(dev)
	}
	wipe()
	require.Equal(t, "OK", h.task(h.PostNodesDisksInitgpt(root(), &schema.PostNodesDisksInitgpt{Disk: dev})))
	wipe()

	require.Equal(t, "OK", h.task(h.PostNodesDisksLvm(root(), &schema.PostNodesDisksLvm{Device: dev, Name: "labvg", AddStorage: ptr(true)})))
	require.Equal(t, "labvg", h.storage["labvg"]["vgname"])
	tree, err := h.GetNodesDisksLvm(root(), nil)
	require.NoError(t, err)
	require.Contains(t, tree.(map[string]any)["children"].([]map[string]any)[0]["children"].([]map[string]any)[0]["name"], "/dev/")
	_, err = h.PostNodesDisksLvm(root(), &schema.PostNodesDisksLvm{Device: dev, Name: "again"})
	require.ErrorContains(t, err, "is already in use")
	require.Equal(t, "OK", h.task(h.DeleteNodesDisksLvmName(root(), &schema.DeleteNodesDisksLvmName{Name: "labvg", CleanupDisks: ptr(true), CleanupConfig: ptr(true)})))
	h.blank(dev)
	require.Equal(t, []string{"labvg"}, h.dropped)

	need.Module(t, "dm_thin_pool")
	require.Equal(t, "OK", h.task(h.PostNodesDisksLvmthin(root(), &schema.PostNodesDisksLvmthin{Device: dev, Name: "labthin", AddStorage: ptr(true)})))
	pools, err := h.GetNodesDisksLvmthin(root(), nil)
	require.NoError(t, err)
	require.Len(t, pools, 1)
	_, err = h.PutNodesDisksWipedisk(root(), &schema.PutNodesDisksWipedisk{Disk: dev})
	require.ErrorContains(t, err, "has a holder", "a pool in use is not wiped")
	require.Equal(t, "OK", h.task(h.DeleteNodesDisksLvmthinName(root(), &schema.DeleteNodesDisksLvmthinName{Name: "labthin", VolumeGroup: "labthin", CleanupDisks: ptr(true)})))
	h.blank(dev)
}

func TestPoolOfDisks(t *testing.T) {
	dev, other := need.LabDisk(t, 0), need.LabDisk(t, 1)
	need.Tool(t, "zpool", "wipefs")
	need.Module(t, "zfs")
	h := newLabHost(t)
	req := &schema.PostNodesDisksZfs{Name: "labpool", Raidlevel: "mirror", Devices: dev + "," + other}
	exit := h.task(h.PostNodesDisksZfs(root(), req))
	require.Contains(t, []string{"OK", "WARNINGS: 1"}, exit, "without systemd the pool is imported otherwise")
	pools, err := h.GetNodesDisksZfs(root(), nil)
	require.NoError(t, err)
	require.Len(t, pools, 1)
	require.Equal(t, "ONLINE", pools[0].Health)
	detail, err := h.GetNodesDisksZfsName(root(), &schema.GetNodesDisksZfsName{Name: "labpool"})
	require.NoError(t, err)
	require.Equal(t, "ONLINE", detail.(map[string]any)["state"])
	_, err = h.PostNodesDisksZfs(root(), &schema.PostNodesDisksZfs{Name: "two", Raidlevel: "single", Devices: dev})
	require.ErrorContains(t, err, "is already in use")
	require.Equal(t, "OK", h.task(h.DeleteNodesDisksZfsName(root(), &schema.DeleteNodesDisksZfsName{Name: "labpool", CleanupDisks: ptr(true)})))
	h.blank(dev)
	h.blank(other)
}
