package volume_test

import (
	"context"
	"encoding/json"
	"iter"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/cluster/memstore"
	"github.com/turtacn/go-proxmox/internal/access"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/internal/volume"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/proxmoxapi/upid"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/dir"
)

// world is a service with everything that it stands on.
type world struct {
	*volume.Service
	store cluster.Store
	tasks *task.Engine
	local string // folder of the storage local
	ctx   context.Context
}

const users = `user:root@pam:1:0::::::
user:audit@pve:1:0::::::
user:space@pve:1:0::::::
user:alloc@pve:1:0::::::
user:owner@pve:1:0::::::
user:backup@pve:1:0::::::
user:nobody@pve:1:0::::::

role:Audit:Datastore.Audit:
role:Space:Datastore.AllocateSpace:
role:Alloc:Datastore.Allocate:
role:Owner:Datastore.Audit,VM.Config.Disk:
role:Backup:Datastore.AllocateSpace,VM.Backup:

acl:1:/storage/local:audit@pve:Audit:
acl:1:/storage/local:space@pve:Space:
acl:1:/storage/local:alloc@pve:Alloc:
acl:1:/storage/local:owner@pve:Owner:
acl:1:/storage/local:backup@pve:Backup:
acl:1:/vms/100:owner@pve:Owner:
acl:1:/vms/100:backup@pve:Backup:
`

// silent is a storage that never answers, like a dead network file system, until its gate opens.
type silent struct{ gate chan struct{} }

func (s silent) Create(context.Context, storage.VolumeSpec) (storage.Volume, error) {
	<-s.gate
	return storage.Volume{}, nil
}
func (s silent) Stat(context.Context, storage.VolumeID) (storage.Volume, error) {
	<-s.gate
	return storage.Volume{}, nil
}
func (s silent) List(context.Context, storage.Filter) iter.Seq2[storage.Volume, error] {
	return func(func(storage.Volume, error) bool) { <-s.gate }
}
func (s silent) Attach(context.Context, storage.VolumeID, storage.AttachOptions) (storage.Attachment, error) {
	<-s.gate
	return nil, nil
}
func (s silent) Detach(context.Context, storage.VolumeID) error { <-s.gate; return nil }
func (s silent) Delete(context.Context, storage.VolumeID) error { <-s.gate; return nil }
func (s silent) Usage(context.Context) (storage.Usage, error)   { <-s.gate; return storage.Usage{}, nil }

func as(user string) context.Context {
	return call.With(context.Background(), call.Caller{AuthID: user})
}

// newWorld starts a service; storageCfg is the text of storage.cfg.
func newWorld(t testing.TB, storageCfg string) *world {
	t.Helper()
	store := memstore.New()
	t.Cleanup(func() { store.Close() })
	parts := []cluster.Part{cluster.Put("/pve/user.cfg", []byte(users))}
	if storageCfg != "" {
		parts = append(parts, cluster.Put(volume.Key, []byte(storageCfg)))
	}
	_, err := store.Txn(context.Background(), parts...)
	require.NoError(t, err)
	return startWorld(t, store, filepath.Join(t.TempDir(), "local"))
}

// newWorldWith is newWorld with other options.
func newWorldWith(t testing.TB, storageCfg string, change func(*volume.Options)) *world {
	t.Helper()
	store := memstore.New()
	t.Cleanup(func() { store.Close() })
	_, err := store.Txn(context.Background(), cluster.Put("/pve/user.cfg", []byte(users)), cluster.Put(volume.Key, []byte(storageCfg)))
	require.NoError(t, err)
	return startWorld(t, store, filepath.Join(t.TempDir(), "local"), change)
}

// newWorldBackends is newWorldWith with further types of storage.
func newWorldBackends(t testing.TB, storageCfg string, change func(*volume.Options), more ...storage.Backend) *world {
	t.Helper()
	store := memstore.New()
	t.Cleanup(func() { store.Close() })
	_, err := store.Txn(context.Background(), cluster.Put("/pve/user.cfg", []byte(users)), cluster.Put(volume.Key, []byte(storageCfg)))
	require.NoError(t, err)
	if change == nil {
		change = func(*volume.Options) {}
	}
	return startBackends(t, store, filepath.Join(t.TempDir(), "local"), more, change)
}

func startWorld(t testing.TB, store cluster.Store, local string, changes ...func(*volume.Options)) *world {
	t.Helper()
	return startBackends(t, store, local, nil, changes...)
}

func startBackends(t testing.TB, store cluster.Store, local string, more []storage.Backend, changes ...func(*volume.Options)) *world {
	t.Helper()
	acc, err := access.New(store, nil)
	require.NoError(t, err)
	tasks, err := task.New(store, task.Options{Node: "pve1", LogDir: t.TempDir()})
	require.NoError(t, err)
	gate := make(chan struct{})
	reg, err := storage.NewRegistry(append([]storage.Backend{
		dir.Backend(nil), {Type: "nfs", Open: func(storage.Config) (storage.Driver, error) { return silent{gate}, nil }},
	}, more...)...)
	require.NoError(t, err)
	o := &volume.Options{Node: "pve1", LocalPath: local, ProbeTimeout: 300 * time.Millisecond}
	for _, change := range changes {
		change(o)
	}
	s, err := volume.New(store, tasks, acc, reg, o)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- tasks.Run(ctx) }()
	t.Cleanup(func() {
		close(gate)
		cancel()
		require.NoError(t, <-done)
	})
	return &world{Service: s, store: store, tasks: tasks, local: local, ctx: as(call.Root)}
}

// wait waits for a task and returns its exit status.
func (w *world) wait(t testing.TB, text string) string {
	t.Helper()
	id, err := upid.Parse(text)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(w.ctx, 30*time.Second)
	defer cancel()
	st, err := w.tasks.Wait(ctx, id)
	require.NoError(t, err)
	return st.Exit
}

func ptr[T any](v T) *T { return &v }

// asJSON is an answer as it goes over the wire, back as maps.
func asJSON(t testing.TB, v any) any {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	var out any
	require.NoError(t, json.Unmarshal(text, &out))
	return out
}

func TestNewChecksItsOptions(t *testing.T) {
	_, err := volume.New(nil, nil, nil, nil, nil)
	require.Error(t, err)
	_, err = volume.New(nil, nil, nil, nil, &volume.Options{Node: "n", MaxCopies: -1})
	require.Error(t, err)
}

func TestStatusOfStorages(t *testing.T) {
	w := newWorld(t, "nfs: dead\n\tserver 192.0.2.1\n\texport /x\n\tcontent images\n\nlvm: vg\n\tvgname vg\n\ndir: off\n\tpath /srv/off\n\tdisable\n\ndir: away\n\tpath /srv/away\n\tnodes pve2\n\n")
	start := time.Now()
	rows, err := w.GetNodesStorage(w.ctx, &schema.GetNodesStorage{Format: ptr(true)})
	require.NoError(t, err)
	require.Less(t, time.Since(start), 5*time.Second, "one dead storage holds nobody up")
	got := map[string][2]any{}
	for _, r := range asJSON(t, rows).([]any) {
		m := r.(map[string]any)
		got[m["storage"].(string)] = [2]any{m["active"], m["enabled"]}
		if m["storage"] == "local" {
			require.Positive(t, m["total"])
			require.Positive(t, m["used_fraction"])
			require.Equal(t, map[string]any{"default": "raw", "supported": []any{"qcow2", "raw", "subvol", "vmdk"}}, m["formats"])
		} else {
			require.Zero(t, m["total"])
		}
	}
	require.Equal(t, map[string][2]any{
		"local": {1.0, 1.0}, "dead": {0.0, 1.0}, "vg": {0.0, 1.0}, "off": {0.0, 0.0}, "away": {0.0, 0.0},
	}, got)

	start = time.Now()
	_, err = w.Stat(w.ctx, "dead:100/vm-100-disk-0.raw")
	require.EqualError(t, err, "storage 'dead' is not online")
	require.Less(t, time.Since(start), time.Second, "the breaker is open")
	_, err = w.Stat(w.ctx, "vg:vm-100-disk-0")
	require.EqualError(t, err, "storage 'vg' is of type 'lvm', which this version cannot use")
	_, err = w.Stat(w.ctx, "off:100/vm-100-disk-0.raw")
	require.EqualError(t, err, "storage 'off' is disabled")
	_, err = w.Stat(w.ctx, "away:100/vm-100-disk-0.raw")
	require.EqualError(t, err, "storage 'away' is not available on node 'pve1'")
	_, err = w.Stat(w.ctx, "none:100/vm-100-disk-0.raw")
	require.EqualError(t, err, "storage 'none' does not exist")
	require.ErrorIs(t, err, storage.ErrNotFound)

	images, err := w.Images(w.ctx, 100)
	require.NoError(t, err)
	require.Empty(t, images)

	only, err := w.GetNodesStorage(w.ctx, &schema.GetNodesStorage{Content: ptr("iso"), Enabled: ptr(true)})
	require.NoError(t, err)
	require.Len(t, only, 1)
	_, err = w.GetNodesStorage(w.ctx, &schema.GetNodesStorage{Storage: ptr("nowhere")})
	require.Equal(t, call.ParamErrors{"storage": "No such storage."}, err)
	none, err := w.GetNodesStorage(as("nobody@pve"), &schema.GetNodesStorage{})
	require.NoError(t, err)
	require.Empty(t, none)
	st, err := w.GetNodesStorageStatus(w.ctx, &schema.GetNodesStorageStatus{Storage: "local"})
	require.NoError(t, err)
	require.Equal(t, schema.Bool(true), *st.Active)
}
