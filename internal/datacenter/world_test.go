package datacenter_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/cluster/memstore"
	"github.com/turtacn/go-proxmox/internal/access"
	"github.com/turtacn/go-proxmox/internal/datacenter"
	"github.com/turtacn/go-proxmox/internal/inventory"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

var now = time.Unix(1_800_000_000, 0)

// world is a service on real users, permissions and guests; node and storages are made up.
type world struct {
	*datacenter.Service
	t        testing.TB
	store    *memstore.Store
	inv      *inventory.Inventory
	access   *access.Service
	storages []datacenter.StorageRow
}

// nodeRow is what a node shows of itself.
type nodeRow struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, store: memstore.New(), storages: []datacenter.StorageRow{
		{Storage: "data", Node: "alpha", Type: "dir", Content: "images"},
		{Storage: "local", Node: "alpha", Type: "dir", Content: "iso,images", Shared: true, Active: true, Total: 1000, Used: 10},
	}}
	acc, err := access.New(w.store, nil)
	require.NoError(t, err)
	w.access = acc
	w.inv = inventory.New(w.store, nil)
	w.Service = datacenter.New(datacenter.Options{
		Node: "alpha", Store: w.store, Access: acc, Inventory: w.inv, Address: "192.0.2.1", Clock: func() time.Time { return now },
		NodeRow:  func(context.Context) (datacenter.NodeRow, error) { return nodeRow{"node/alpha", "node"}, nil },
		Storages: func(context.Context) ([]datacenter.StorageRow, error) { return w.storages, nil },
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		w.inv.Run(ctx)
		close(ended)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		w.store.Close()
	})
	<-w.inv.Ready()
	return w
}

func (w *world) as(user string) context.Context {
	return call.With(w.t.Context(), call.Caller{AuthID: user})
}

// file writes a file of /pve.
func (w *world) file(name, text string) {
	_, err := w.store.Txn(w.t.Context(), cluster.Put("/pve/"+name, []byte(text)))
	require.NoError(w.t, err)
}

func (w *world) read(name string) string {
	kv, err := w.store.Get(w.t.Context(), "/pve/"+name)
	require.NoError(w.t, err)
	return string(kv.Value)
}

func (w *world) guest(id int, config string) {
	rev, err := w.store.Txn(w.t.Context(), cluster.Put(inventory.Key(id), inventory.Encode("alpha", config)))
	require.NoError(w.t, err)
	require.NoError(w.t, w.inv.Wait(w.t.Context(), rev))
}

// js is an answer as clients get it.
func (w *world) js(v any, err error) string {
	w.t.Helper()
	require.NoError(w.t, err)
	text, err := json.Marshal(v)
	require.NoError(w.t, err)
	return string(text)
}

func ptr[T any](v T) *T { return &v }

// crowd makes n guests, half of them running, a pool for every hundred, and users who see all of them, one pool or nothing.
func (w *world) crowd(n int) {
	var users strings.Builder
	users.WriteString("user:all@pve:1:\nuser:some@pve:1:\nuser:none@pve:1:\nacl:1:/:all@pve:PVEAuditor:\nacl:1:/pool/p1:some@pve:PVEAdmin:\n")
	live := map[int]inventory.Live{}
	for i := range n {
		id := 100 + i
		if i%100 == 0 {
			fmt.Fprintf(&users, "%spool:p%d::", map[bool]string{true: "\n"}[i > 0], i/100)
		}
		fmt.Fprintf(&users, "%d,", id)
		w.store.Txn(w.t.Context(), cluster.Put(inventory.Key(id), inventory.Encode("alpha", fmt.Sprintf(
			"boot: order=scsi0\ncores: 2\nmemory: 2048\nname: guest-%d\nnet0: virtio=02:00:00:00:00:01,bridge=vmbr0\nscsi0: local:%d/vm-%d-disk-0.qcow2,size=32G\ntags: a;b\n", id, id, id))))
		if i%2 == 0 {
			live[id] = inventory.Live{Status: "running", PID: id, Started: now.Unix() - int64(id), CPU: 0.0378721079577321, Mem: 1 << 30, MemHost: 1 << 30, NetIn: int64(i) << 20, NetOut: 99}
		}
	}
	users.WriteString(":\n")
	w.file("user.cfg", strings.ReplaceAll(users.String(), ",\n", "::\n"))
	w.guest(100+n, "")
	w.inv.SetLive(live)
}
