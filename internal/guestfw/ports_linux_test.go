package guestfw

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster/memstore"
	"github.com/turtacn/go-proxmox/internal/hostnet"
	"github.com/turtacn/go-proxmox/internal/inventory"
	"github.com/turtacn/go-proxmox/netkit"
	"github.com/turtacn/go-proxmox/netkit/firewall"
	"github.com/turtacn/go-proxmox/netkit/netkittest"
)

// ports are a site of real objects: a node with the bridge vmbr0, hostnet that makes the ports of guests, the firewall that guards them, and a
// machine at the far end of the bridge's cable.
type ports struct {
	*hostnet.Service
	lab      *lab
	h        *netkittest.Host
	fw       *Service
	kernel   *firewall.Conn
	refuse   atomic.Bool // rulesets
	last     atomic.Pointer[firewall.Ruleset]
	opening  func(port string)
	outside  *netkittest.Wire
	outsider net.HardwareAddr
}

// refusing is a kernel that takes no rulesets while it is told so.
type refusing struct {
	Kernel
	p *ports
}

var errRefused = errors.New("no memory for rules")

func (r refusing) Apply(ctx context.Context, want *firewall.Ruleset) (*firewall.Report, error) {
	if r.p.refuse.Load() {
		return nil, errRefused
	}
	r.p.last.Store(want)
	return r.Kernel.Apply(ctx, want)
}

// Close, Open and Forget are the guard's, with a look at the port before it is opened.
func (p *ports) Close(ctx context.Context, port string) error  { return p.fw.Close(ctx, port) }
func (p *ports) Forget(ctx context.Context, port string) error { return p.fw.Forget(ctx, port) }
func (p *ports) Open(ctx context.Context, port string) error {
	if p.opening != nil {
		p.opening(port)
	}
	return p.fw.Open(ctx, port)
}

func newPorts(t testing.TB) *ports {
	h := netkittest.NewHost(t)
	h.Apply(netkit.Link{Name: "vmbr0", Kind: netkit.KindBridge, Up: true})
	far := netkittest.NewHost(t)
	h.Cable("eth9", far, "eth0")
	h.Apply(netkit.Link{Name: "eth9", Master: "vmbr0", Up: true})
	p := &ports{h: h, lab: &lab{t: t, name: node, node: h.NS, store: memstore.New()}, outside: far.Wire("eth0"), outsider: far.MAC("eth0")}
	t.Cleanup(func() { p.lab.store.Close() })
	p.lab.put(clusterKey, onText)
	p.lab.put("/pve/nodes/"+node+"/host.fw", "[OPTIONS]\nenable: 0\n")
	var err error
	p.kernel, err = firewall.Dial(t.Context(), h.NS)
	require.NoError(t, err)
	t.Cleanup(func() { p.kernel.Close() })
	p.fw = New(Options{Node: node, Store: p.lab.store, Kernel: refusing{p.kernel, p}})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = p.fw.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	p.Service, err = hostnet.New(hostnet.Options{Conn: h.Conn, Node: node, Guard: p})
	require.NoError(t, err)
	return p
}

// closed is the ports that the kernel drops all frames of.
func (p *ports) closed() []string {
	names, err := p.kernel.Closed(p.lab.t.Context())
	require.NoError(p.lab.t, err)
	return names
}

// guestMAC is the address of the guest's card in these tests.
func guestMAC() net.HardwareAddr { return net.HardwareAddr{2, 0, 0, 0, 0, 0x10} }

// sends has the machine outside send a datagram to a port of the guest. note recognises it.
func (p *ports) sends(port uint16, note string) {
	p.outside.Send(netkittest.Frame{Dst: guestMAC(), Src: p.outsider, Type: netkittest.TypeIPv4,
		Payload: netkittest.UDP(netip.MustParseAddrPort("192.0.2.99:4000"), netip.AddrPortFrom(netip.MustParseAddr("192.0.2.10"), port), []byte(note))})
}

// answers has the guest send a datagram of a connection of its own.
func (p *ports) answers(guest *netkittest.Wire, from net.HardwareAddr, port uint16, note string) {
	guest.Send(netkittest.Frame{Dst: p.outsider, Src: from, Type: netkittest.TypeIPv4,
		Payload: netkittest.UDP(netip.AddrPortFrom(netip.MustParseAddr("192.0.2.10"), port), netip.MustParseAddrPort("192.0.2.99:5000"), []byte(note))})
}

func carries(note string) func(netkittest.Frame) bool {
	return func(f netkittest.Frame) bool { return bytes.Contains(f.Payload, []byte(note)) }
}

// nothing makes sure that frames that match do not come. What was sent before is through, or dropped, after a moment: a frame
// over a cable takes microseconds.
const nothing = 200 * time.Millisecond

func card(firewall string) string {
	return string(inventory.Encode(node, "net0: virtio=02:00:00:00:00:10,bridge=vmbr0"+firewall+"\n"))
}

// TestThreat49_PortsOfAGuest makes the port of a guest by hostnet with the firewall as its guard. Nothing passes before the rules
// are in, even if the tap is up; what is allowed passes afterwards, and nothing is left when the port has gone. A kernel that
// cannot hold the rules, or does not take them, leaves it closed.
func TestThreat49_PortsOfAGuest(t *testing.T) {
	p := newPorts(t)
	ctx := t.Context()
	filters := (&lab{t: t, node: netkittest.NewHost(t).NS}).filters()
	tap := hostnet.Port{Name: "tap100i0", Bridge: "vmbr0", MAC: "02:00:00:00:00:10", Firewall: true}
	p.lab.put(inventory.Key(100), card(",firewall=1"))
	p.lab.put(GuestKey(100), "[OPTIONS]\nenable: 1\n\n[RULES]\nIN ACCEPT -p udp -dport 80\n")

	var guest *netkittest.Wire
	p.opening = func(port string) { // somebody brings the tap up before its time
		require.Equal(t, []string{port}, p.closed())
		p.h.Apply(netkit.Link{Name: port, Up: true})
		if guest == nil {
			guest = p.h.Plug(port, netkit.Tap{VNetHeader: true})
		}
		p.sends(80, "early in")
		guest.Quiet(nothing, carries("early in"))
		p.answers(guest, guestMAC(), 5001, "early out")
		p.outside.Quiet(nothing, carries("early out"))
	}
	p.refuse.Store(true)
	require.ErrorIs(t, p.CreatePort(ctx, tap), errRefused)
	require.Equal(t, []string{"tap100i0"}, p.closed(), "an error leaves it closed")
	p.refuse.Store(false)

	err := p.CreatePort(ctx, tap)
	if filters {
		require.NoError(t, err)
		require.Empty(t, p.closed())
		p.sends(80, "allowed")
		guest.Expect(carries("allowed"))
		p.sends(81, "forbidden")
		guest.Quiet(nothing, carries("forbidden"))
		p.answers(guest, guestMAC(), 5002, "from the guest")
		p.outside.Expect(carries("from the guest"))
		p.answers(guest, net.HardwareAddr{2, 0, 0, 0, 0, 0x66}, 5003, "from another")
		p.outside.Quiet(nothing, carries("from another"))
	} else {
		require.ErrorContains(t, err, "the firewall of net0 cannot be enforced on this node: the kernel lacks connection tracking on bridges")
		require.ErrorIs(t, err, errors.ErrUnsupported)
		require.Equal(t, []string{"tap100i0"}, p.closed())
		p.sends(80, "still closed")
		guest.Quiet(nothing, carries("still closed"))
	}
	guest.Close()
	require.NoError(t, p.DeletePort(ctx, "tap100i0"))
	require.Empty(t, p.closed(), "a port that has gone is forgotten")
	left, err := p.Ports(ctx, "tap")
	require.NoError(t, err)
	require.Empty(t, left)

	// A card without firewall=1 needs no rules, on any kernel.
	p.opening, tap.Firewall = nil, false
	p.lab.put(inventory.Key(100), card(""))
	require.NoError(t, p.CreatePort(ctx, tap))
	guest = p.h.Plug("tap100i0", netkit.Tap{VNetHeader: true})
	p.sends(81, "unfiltered")
	guest.Expect(carries("unfiltered"))
}
