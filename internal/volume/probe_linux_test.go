package volume_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster/memstore"
	"github.com/turtacn/go-proxmox/internal/access"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/internal/volume"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/dir"
)

// What somebody is still writing at the first sweep is swept when that one has died.
func TestSweepComesAgain(t *testing.T) {
	store := memstore.New()
	defer store.Close()
	acc, err := access.New(store, nil)
	require.NoError(t, err)
	tasks, err := task.New(store, task.Options{Node: "pve1", LogDir: t.TempDir()})
	require.NoError(t, err)
	reg, err := storage.NewRegistry(dir.Backend(nil))
	require.NoError(t, err)
	local := filepath.Join(t.TempDir(), "local")
	iso := filepath.Join(local, "template/iso")
	require.NoError(t, os.MkdirAll(iso, 0o755))
	s, err := volume.New(store, tasks, acc, reg, &volume.Options{Node: "pve1", LocalPath: local, ProbeInterval: 5 * time.Millisecond})
	require.NoError(t, err)

	writer, err := dir.New(local, nil) // another process, for all that the locks know
	require.NoError(t, err)
	stage, err := writer.Stage(t.Context(), "iso/x.iso")
	require.NoError(t, err)
	dead := filepath.Join(iso, ".gpve-DEAD.tmp")
	require.NoError(t, os.WriteFile(dead, nil, 0o600))
	temps := func() int {
		names, err := filepath.Glob(filepath.Join(iso, ".gpve-*.tmp"))
		require.NoError(t, err)
		return len(names)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	require.Eventually(t, func() bool { _, err := os.Stat(dead); return os.IsNotExist(err) }, 10*time.Second, time.Millisecond)
	require.Equal(t, 1, temps(), "what is being written stays")
	require.NoError(t, stage.File().Close()) // as the end of its process does
	require.Eventually(t, func() bool { return temps() == 0 }, 10*time.Second, time.Millisecond)
	cancel()
	require.NoError(t, <-done)
}

// A storage that others serve is asked from outside of this process, one question at a time, each with an end: nothing of this
// process hangs in it, and whoever wants to know its state gets it at once.
func TestDeadStorageIsAskedFromOutside(t *testing.T) {
	var mu sync.Mutex
	asked, atOnce, most := map[string]int{}, map[string]int{}, 0
	dead := true
	count := func(id string, by int) bool {
		mu.Lock()
		defer mu.Unlock()
		atOnce[id] += by
		most = max(most, atOnce[id])
		asked[id] += max(by, 0)
		return dead
	}
	probe := func(ctx context.Context, cfg storage.Config) (storage.Usage, error) {
		defer count(cfg.ID, -1)
		if count(cfg.ID, 1) {
			<-ctx.Done() // as a child that is killed then
			return storage.Usage{}, storage.ErrUnavailable
		}
		return storage.Usage{TotalBytes: 100, AvailBytes: 100}, nil
	}
	here := t.TempDir()
	w := newWorldWith(t, "nfs: share\n\tserver 192.0.2.1\n\texport /x\n\tcontent images\n\ndir: mount\n\tpath "+here+"\n\tshared\n\tcontent images\n\n"+
		"dir: here\n\tpath "+here+"\n\tcontent images\n\n",
		func(o *volume.Options) {
			o.ProbeInterval, o.ProbeTimeout, o.Probe = 30*time.Millisecond, 10*time.Millisecond, probe
		})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	times := func(id string) int {
		mu.Lock()
		defer mu.Unlock()
		return asked[id]
	}
	require.Eventually(t, func() bool { return times("share") >= 4 && times("mount") >= 4 }, 20*time.Second, time.Millisecond, "each probe has an end")
	active := func() map[string]bool {
		began := time.Now()
		rows, err := w.GetNodesStorage(w.ctx, &schema.GetNodesStorage{})
		require.NoError(t, err)
		require.Less(t, time.Since(began), 5*time.Second)
		on := map[string]bool{}
		for _, r := range rows {
			on[r.Storage] = bool(*r.Active)
		}
		return on
	}
	require.Equal(t, map[string]bool{"local": true, "here": true, "share": false, "mount": false}, active())
	_, err := w.GetNodesStorageContent(w.ctx, &schema.GetNodesStorageContent{Storage: "share"})
	require.ErrorContains(t, err, "storage 'share' is not online")
	mu.Lock()
	dead = false
	mu.Unlock()
	require.Eventually(t, func() bool { on := active(); return on["share"] && on["mount"] }, 20*time.Second, 10*time.Millisecond, "back")
	cancel()
	require.NoError(t, <-done)
	require.Equal(t, 1, most, "no probe beside one that hangs")
	require.Zero(t, times("here"), "the host's own disks are asked directly")
	require.Zero(t, times("local"))
}

// The driver of a storage across a network is asked with an end, too: it kills its programs then.
func TestProbesEnd(t *testing.T) {
	ended := make(chan error, 100)
	w := newWorldBackends(t, "rbd: ceph\n\tmonhost 192.0.2.1\n\tcontent images\n\n",
		func(o *volume.Options) { o.ProbeTimeout = 10 * time.Millisecond },
		storage.Backend{Type: "rbd", Open: func(storage.Config) (storage.Driver, error) { return patient{ended: ended}, nil }})
	_, err := w.GetNodesStorageContent(w.ctx, &schema.GetNodesStorageContent{Storage: "ceph"})
	require.ErrorContains(t, err, "storage 'ceph' is not online")
	require.ErrorIs(t, <-ended, context.DeadlineExceeded)
}

// Whoever looks at a list of storages does not make the node ask a dead one again; whoever wants to use it does.
func TestDeathIsNewsForOneInterval(t *testing.T) {
	asked := 0
	w := newWorldBackends(t, "rbd: ceph\n\tmonhost 192.0.2.1\n\tcontent images\n\n", nil,
		storage.Backend{Type: "rbd", Open: func(storage.Config) (storage.Driver, error) { return refusing{asked: &asked}, nil }})
	for range 3 {
		rows, err := w.GetNodesStorage(w.ctx, &schema.GetNodesStorage{Storage: ptr("ceph")})
		require.NoError(t, err)
		require.Len(t, rows, 1)
		require.False(t, bool(*rows[0].Active))
		require.Equal(t, 1, asked)
	}
	_, err := w.GetNodesStorageContent(w.ctx, &schema.GetNodesStorageContent{Storage: "ceph"})
	require.ErrorContains(t, err, "storage 'ceph' is not online")
	require.Equal(t, 2, asked)
}

// refusing is a storage that says at once that it is not there.
type refusing struct {
	storage.Driver
	asked *int
}

func (r refusing) Usage(context.Context) (storage.Usage, error) {
	*r.asked++
	return storage.Usage{}, storage.ErrUnavailable
}

// patient is a storage whose program runs until it is killed.
type patient struct {
	storage.Driver
	ended chan<- error
}

func (p patient) Usage(ctx context.Context) (storage.Usage, error) {
	<-ctx.Done()
	p.ended <- ctx.Err()
	return storage.Usage{}, storage.ErrUnavailable
}

func TestServedElsewhere(t *testing.T) {
	for text, want := range map[string]bool{
		"nfs": true, "rbd": true, "iscsi": true, "iscsidirect": true, "lvm": false, "lvmthin": false, "zfspool": false,
		"dir": false, "dir shared=1": true, "dir shared=0": false, "dir is_mountpoint=yes": true, "dir is_mountpoint=/mnt": true, "dir is_mountpoint=no": false,
	} {
		typ, option, _ := strings.Cut(text, " ")
		key, value, _ := strings.Cut(option, "=")
		require.Equal(t, want, volume.ServedElsewhere(storage.Config{Type: typ, Options: map[string]string{key: value}}), text)
	}
}
