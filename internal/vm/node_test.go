package vm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/cluster/boltstore"
	"github.com/turtacn/go-proxmox/internal/access"
	"github.com/turtacn/go-proxmox/internal/hostnet"
	"github.com/turtacn/go-proxmox/internal/inventory"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/internal/vm/cloudinit"
	"github.com/turtacn/go-proxmox/internal/volume"
	"github.com/turtacn/go-proxmox/netkit"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/dir"
)

// testNode is the name of the node in tests.
const testNode = "alpha"

// testUIDs are the users of guests in tests.
var testUIDs = UIDRange{First: 270_000, Count: 1000}

// nodeOptions say how a node in a folder is run. The zero value is a node without a network.
type nodeOptions struct {
	Store     cluster.Store // kept open by stop; nil: a file in the folder, closed by stop
	NS        *netkit.NS    // with the bridges vmbr0 and vmbr1; nil: none
	FailPoint func(where string)
	Settings  *fakeSettings
	Host      *Host // nil: this host, as probed
}

// node is a service with everything that it stands on, in a folder: state, storages, logs, run folder. It knows nothing of
// testing, so that a process that is to be killed can run one, too.
type node struct {
	*Service
	dir     string
	store   cluster.Store
	tasks   *task.Engine
	access  *access.Service
	volumes *volume.Service
	net     *hostnet.Service
	inv     *inventory.Inventory

	gates     chan chan struct{} // see site.block
	conn      *netkit.Conn
	keepStore bool
	cancel    context.CancelFunc // of the task engine
	stopBack  context.CancelFunc // of what it writes through
	engine    chan error
	back      sync.WaitGroup
}

// fakeSettings are settings of the datacenter.
type fakeSettings struct {
	Prefix string
	Style  vmconfig.TagStyle
	Tags   func(ctx context.Context, tag string) bool // nil: all

	Workers int
}

func (f *fakeSettings) MACPrefix(context.Context) string           { return f.Prefix }
func (f *fakeSettings) TagStyle(context.Context) vmconfig.TagStyle { return f.Style }

func (f *fakeSettings) MaxWorkers(context.Context) int { return f.Workers }

func (f *fakeSettings) AllowsTag(ctx context.Context, tag string) (bool, error) {
	return f.Tags == nil || f.Tags(ctx, tag), nil
}

// testHost probes this host once for all tests.
var testHost = sync.OnceValues(func() (*Host, error) {
	return NewHost(context.Background(), HostOptions{Node: testNode, Accel: "tcg", DNS: func() cloudinit.DNS {
		return cloudinit.DNS{Servers: []string{"192.0.2.53"}, Search: []string{"example.org"}}
	}})
})

// storageCfg is the storage configuration of a node's folder.
func storageCfg(folder string) string {
	return fmt.Sprintf(`dir: local
	path %[1]s/local
	content images,iso,vztmpl,backup,snippets,import,rootdir

dir: other
	path %[1]s/other
	content images

dir: isos
	path %[1]s/isos
	content iso
`, folder)
}

func (n *node) runFolder() string { return filepath.Join(n.dir, "run") }

// startNode starts a node on what is in its folder, as the daemon does.
func startNode(folder string, o nodeOptions) (n *node, err error) {
	n = &node{dir: folder, store: o.Store, keepStore: o.Store != nil, engine: make(chan error, 1)}
	host := o.Host
	if host == nil {
		if host, err = testHost(); err != nil {
			return nil, err
		}
	}
	if n.store == nil {
		// A process that was killed while it started another one holds the file until that one is through exec.
		if n.store, err = boltstore.Open(filepath.Join(folder, "state.db"), &boltstore.Options{LockWait: 5 * time.Second}); err != nil {
			return nil, err
		}
	}
	if n.tasks, err = task.New(n.store, task.Options{Node: testNode, LogDir: filepath.Join(folder, "log"), FailPoint: o.FailPoint}); err != nil {
		return nil, err
	}
	if n.access, err = access.New(n.store, nil); err != nil {
		return nil, err
	}
	n.inv = inventory.New(n.store, nil)
	reg, err := storage.NewRegistry(dir.Backend(nil), loopBackend(filepath.Join(folder, "thin")))
	if err != nil {
		return nil, err
	}
	n.volumes, err = volume.New(n.store, n.tasks, n.access, reg, &volume.Options{Node: testNode, LocalPath: filepath.Join(folder, "local")})
	if err != nil {
		return nil, err
	}
	ctx, stopBack := context.WithCancel(context.Background())
	n.stopBack = stopBack
	if err := n.startNet(ctx, o.NS); err != nil {
		return nil, err
	}
	uids := testUIDs
	if os.Geteuid() != 0 {
		uids = UIDRange{}
	}
	n.Service = New(Options{
		Node: testNode, Store: n.store, Tasks: n.tasks, Access: n.access, Volumes: n.volumes, Network: n.net, Inventory: n.inv,
		Host: host, RunDir: n.runFolder(), UIDs: uids, Settings: cmp.Or(o.Settings, &fakeSettings{}), FailPoint: o.FailPoint, Logger: slog.New(slog.DiscardHandler),
	})
	n.registerTests()
	n.back.Go(func() { n.inv.Run(ctx) })
	n.back.Go(func() { n.access.Run(ctx) })
	n.back.Go(func() { n.volumes.Run(ctx) })
	<-n.inv.Ready()
	if err := n.Recover(ctx); err != nil {
		return nil, err
	}
	work, cancel := context.WithCancel(ctx)
	n.cancel = cancel
	go func() { n.engine <- n.tasks.Run(work) }()
	<-n.tasks.Ready()
	return n, nil
}

func (n *node) startNet(ctx context.Context, ns *netkit.NS) (err error) {
	if ns == nil {
		n.net, err = hostnet.New(hostnet.Options{Node: testNode})
		return err
	}
	if n.conn, err = netkit.Dial(ctx, ns); err != nil {
		return err
	}
	n.net, err = hostnet.New(hostnet.Options{Conn: n.conn, Node: testNode, Bridges: []hostnet.Bridge{
		{Name: "vmbr0", CIDR: netip.MustParsePrefix("10.9.0.1/24")}, {Name: "vmbr1", CIDR: netip.MustParsePrefix("10.9.1.1/24")},
	}})
	if err != nil {
		return err
	}
	return n.net.EnsureBridges(ctx)
}

// stop ends the node in the daemon's order. Guests go on.
func (n *node) stop() error {
	n.cancel()
	err := <-n.engine
	n.Close()
	n.stopBack()
	n.back.Wait()
	if n.conn != nil {
		n.conn.Close()
	}
	if !n.keepStore {
		err = errors.Join(err, n.store.Close())
	}
	return err
}

// rootContext is the context of a request by root@pam, with a test's patience.
func rootContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(call.With(context.Background(), call.Caller{AuthID: call.Root}), time.Minute)
}
