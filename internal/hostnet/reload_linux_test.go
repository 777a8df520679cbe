package hostnet

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/cluster/memstore"
	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/netkit"
	"github.com/turtacn/go-proxmox/netkit/netkittest"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/proxmoxapi/upid"
)

// rig is a node with a NIC eno1 whose cable leads to another host, and a service that lives from start to stop.
type rig struct {
	t           *testing.T
	host, other *netkittest.Host
	store       cluster.Store
	dir         string
	s           *Service
	tasks       *task.Engine
	stop        func()
	boot        Boot
}

const (
	oldNet = "auto eno1\niface eno1 inet static\n\taddress 192.0.2.1/24\n\tgateway 192.0.2.2\n\nauto vmbr9\niface vmbr9 inet manual\n\tbridge-ports none\n\tbridge-stp off\n\tbridge-fd 0\n"
	newNet = "iface eno1 inet manual\n\nauto vmbr0\niface vmbr0 inet static\n\taddress 192.0.2.1/24\n\tgateway 192.0.2.2\n\tbridge-ports eno1\n\tbridge-stp off\n\tbridge-fd 0\n"
)

var outside = netip.MustParseAddr("192.0.2.2")

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, host: netkittest.NewHost(t), other: netkittest.NewHost(t), store: memstore.New(), dir: t.TempDir()}
	t.Cleanup(func() { r.store.Close() })
	r.host.Cable("eno1", r.other, "eth0")
	r.other.Apply(netkit.Link{Name: "eth0", Up: true, Addrs: []netip.Prefix{netip.PrefixFrom(outside, 24)}})
	require.NoError(t, os.WriteFile(r.file(), []byte(oldNet), 0o644))
	r.start(time.Minute)
	r.reload(true) // what ifupdown does at boot
	r.host.Ping(outside)
	return r
}

func (r *rig) file() string { return filepath.Join(r.dir, "interfaces") }

// start begins a life of the daemon.
func (r *rig) start(confirm time.Duration) {
	r.t.Helper()
	var err error
	r.tasks, err = task.New(r.store, task.Options{Node: "alpha", LogDir: filepath.Join(r.dir, "log")})
	require.NoError(r.t, err)
	r.s, err = New(Options{Conn: r.host.Conn, InterfacesFile: r.file(), Node: "alpha", Tasks: r.tasks, ConfirmTime: confirm, Boot: r.boot})
	require.NoError(r.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.tasks.Run(ctx) }()
	stopped := false
	r.stop = func() {
		if !stopped {
			stopped = true
			cancel()
			<-ended
		}
	}
	r.t.Cleanup(r.stop)
	<-r.tasks.Ready()
}

func (r *rig) submit() upid.UPID {
	r.t.Helper()
	ctx := call.With(r.t.Context(), call.Caller{AuthID: call.Root, Remote: "192.0.2.2"})
	id, err := r.s.PutNodesNetwork(ctx, &schema.PutNodesNetwork{Node: "alpha"})
	require.NoError(r.t, err)
	return id
}

// reload applies what is pending and returns how the task ended. A client gets through, if so told.
func (r *rig) reload(reached bool) string {
	r.t.Helper()
	id := r.submit()
	var exit string
	require.Eventually(r.t, func() bool {
		if reached {
			r.s.Confirm(time.Now(), "192.0.2.2")
		}
		st, err := r.tasks.Status(id)
		if err != nil || st.Running {
			return false
		}
		exit = st.Exit
		return true
	}, 20*time.Second, 2*time.Millisecond)
	return exit
}

func (r *rig) pend(text string) {
	r.t.Helper()
	require.NoError(r.t, os.WriteFile(r.s.pendingFile(), []byte(text), 0o644))
}

func (r *rig) fileText() string {
	r.t.Helper()
	data, err := os.ReadFile(r.file())
	require.NoError(r.t, err)
	return string(data)
}

// isOld and isNew compare the whole node with the configurations.
func (r *rig) isOld() {
	r.t.Helper()
	require.Equal(r.t, oldNet, r.fileText())
	require.Empty(r.t, r.host.Link("eno1").Master)
	require.Equal(r.t, []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}, r.host.Link("eno1").Addrs)
	_, err := r.host.Conn.Link(r.t.Context(), "vmbr0")
	require.ErrorIs(r.t, err, netkit.ErrNotFound)
	require.Equal(r.t, netkit.KindBridge, r.host.Link("vmbr9").Kind)
	r.hasGateway("eno1")
	r.host.Ping(outside)
}

func (r *rig) isNew() {
	r.t.Helper()
	require.Equal(r.t, newNet, r.fileText())
	require.NoFileExists(r.t, r.s.pendingFile())
	require.Equal(r.t, "vmbr0", r.host.Link("eno1").Master)
	require.Empty(r.t, r.host.Link("eno1").Addrs)
	_, err := r.host.Conn.Link(r.t.Context(), "vmbr9")
	require.ErrorIs(r.t, err, netkit.ErrNotFound)
	r.hasGateway("vmbr0")
	r.host.Ping(outside)
}

func (r *rig) hasGateway(link string) {
	r.t.Helper()
	st, err := r.host.Conn.State(r.t.Context())
	require.NoError(r.t, err)
	require.Contains(r.t, st.Routes, netkit.Route{Dst: netip.MustParsePrefix("0.0.0.0/0"), Via: outside, Link: link, Table: netkit.TableMain})
}

func TestReloadMovesTheNodeToABridge(t *testing.T) {
	r := newRig(t)
	r.isOld()
	require.Equal(t, "OK", r.reload(false), "nothing to do needs nobody's word")
	r.pend(newNet)
	require.Equal(t, "OK", r.reload(true))
	r.isNew()
	r.pend(oldNet)
	require.Equal(t, "OK", r.reload(true))
	r.isOld()
}

func TestReloadThatNobodyConfirmsIsTakenBack(t *testing.T) {
	r := newRig(t)
	r.stop()
	r.start(20 * time.Millisecond)
	r.pend(newNet)
	require.Contains(t, r.reload(false), "no request has reached this node since")
	r.isOld()
	require.FileExists(t, r.s.pendingFile(), "what was pending is pending")
}

func TestReloadWithoutConfirmation(t *testing.T) {
	r := newRig(t)
	r.stop()
	r.start(-1)
	r.pend(newNet)
	require.Equal(t, "OK", r.reload(false))
	r.isNew()
}

func TestReloadTakesBackAGuestsBridge(t *testing.T) {
	r := newRig(t)
	require.NoError(t, r.s.CreatePort(t.Context(), Port{Name: "tap100i0", Bridge: "vmbr9"}))
	require.NoError(t, r.s.CreatePort(t.Context(), Port{Name: "tap101i0", Bridge: "vmbr9"}))
	r.stop()
	r.start(50 * time.Millisecond)
	r.s.fail = func(_ context.Context, point string) {
		if point == "applied" {
			require.NoError(t, r.s.conn.Apply(t.Context(), netkit.Steps{{Action: netkit.ActDelete, Link: r.host.Link("tap101i0")}}))
		}
	}
	r.pend(newNet)
	require.Contains(t, r.reload(false), "no request has reached this node since")
	r.isOld()
	require.Equal(t, "vmbr9", r.host.Link("tap100i0").Master, "its port is back")
	_, err := r.host.Conn.Link(t.Context(), "tap101i0")
	require.ErrorIs(t, err, netkit.ErrNotFound, "that of a guest that has ended is not")
}

func TestFailedReloadIsTakenBack(t *testing.T) {
	r := newRig(t)
	r.pend(strings.Replace(newNet, "gateway 192.0.2.2", "gateway 203.0.113.1", 1)) // no address leads there: the last step fails
	require.Contains(t, r.reload(true), "network is unreachable")
	r.isOld()
	require.FileExists(t, r.s.pendingFile())
}

func TestReloadOfAnImpossibleFile(t *testing.T) {
	r := newRig(t)
	r.pend("auto a-name-that-is-too-long\niface a-name-that-is-too-long inet manual\n\tbridge-ports none\n")
	require.Contains(t, r.reload(true), "longer than 15 characters")
	r.pend("auto ob\niface ob inet manual\n\tovs_type OVSBridge\n")
	require.Equal(t, "interface 'ob': Open vSwitch cannot be applied while the node runs, restart it", r.reload(true))
	r.isOld()
}

// TestReloadThatIsKilled ends the daemon at each point; its next life finds the old configuration or makes the new one whole.
func TestReloadThatIsKilled(t *testing.T) {
	for point, fresh := range map[string]bool{"noted": false, "applied": false, "confirmed": true, "written": true} {
		t.Run(point, func(t *testing.T) {
			r := newRig(t)
			r.pend(newNet)
			killed := make(chan struct{})
			died := errors.New("killed")
			r.s.fail = func(ctx context.Context, p string) {
				if p == point {
					close(killed)
					<-ctx.Done() // the engine ends: what a killed process would do next is nothing
					panic(died)
				}
			}
			id := r.submit()
			require.Eventually(t, func() bool {
				r.s.Confirm(time.Now(), "192.0.2.2")
				select {
				case <-killed:
					return true
				default:
					return false
				}
			}, 20*time.Second, 2*time.Millisecond)
			r.stop()
			r.start(time.Minute)
			require.Eventually(t, func() bool {
				st, err := r.tasks.Status(id)
				return err == nil && !st.Running
			}, 20*time.Second, 2*time.Millisecond)
			if fresh {
				r.isNew()
			} else {
				r.isOld()
			}
		})
	}
}

// TestReloadOfBondAndVLANs needs a kernel with all of it.
func TestReloadOfBondAndVLANs(t *testing.T) {
	h := netkittest.NewHost(t)
	for name, l := range map[string]netkit.Link{
		"vlan-filtering": {Name: "b", Kind: netkit.KindBridge, Bridge: &netkit.Bridge{VLANAware: true}}, "bond": {Name: "bond9", Kind: netkit.KindBond, Bond: &netkit.Bond{}},
	} {
		steps, err := netkit.Plan(nil, []netkit.Link{l})
		require.NoError(t, err)
		need.That(t, "kernel-"+name, h.Conn.Apply(t.Context(), steps) == nil, "a kernel with it")
	}
	r := newRig(t)
	r.host.Cable("eno2", r.other, "eth1")
	r.other.Apply(netkit.Link{Name: "eth0.5", Kind: netkit.KindVLAN, Parent: "eth0", VLAN: &netkit.VLAN{ID: 5}, Up: true, Addrs: []netip.Prefix{netip.MustParsePrefix("10.5.0.2/24")}})
	r.pend(bonded)
	require.Equal(t, "OK", r.reload(true))
	r.host.Ping(netip.MustParseAddr("10.5.0.2"))
	require.Equal(t, 50*time.Millisecond, r.host.Link("bond0").Bond.MIIMon)
	require.Equal(t, "OK", r.reload(false), "a second time there is nothing to do")
	r.pend(oldNet)
	require.Equal(t, "OK", r.reload(true))
	r.isOld()
	r.stop()
	r.start(time.Nanosecond)
	r.pend(bonded)
	require.Contains(t, r.reload(false), "no request has reached")
	r.isOld()
}
