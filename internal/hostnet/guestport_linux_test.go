package hostnet_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/hostnet"
	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/netkit"
	"github.com/turtacn/go-proxmox/netkit/netkittest"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// node is a service in a namespace with the given bridges.
func node(t *testing.T, o hostnet.Options, links ...netkit.Link) (*hostnet.Service, *netkittest.Host) {
	t.Helper()
	h := netkittest.NewHost(t)
	h.Apply(links...)
	o.Conn, o.Node = h.Conn, "alpha"
	s, err := hostnet.New(o)
	require.NoError(t, err)
	return s, h
}

func bridge(name string, b *netkit.Bridge) netkit.Link {
	return netkit.Link{Name: name, Kind: netkit.KindBridge, Up: true, Bridge: b}
}

// needKernel needs a kernel that makes the links.
func needKernel(t *testing.T, name string, links ...netkit.Link) {
	t.Helper()
	h := netkittest.NewHost(t)
	steps, err := netkit.Plan(nil, links)
	if err == nil {
		err = h.Conn.Apply(t.Context(), steps)
	}
	need.That(t, "kernel-"+name, err == nil || !errors.Is(err, errors.ErrUnsupported), "a kernel with it")
}

// watcher is a guard that notes what it is asked, and in what state the port was.
type watcher struct {
	conn  *netkit.Conn
	calls []string
	err   error
}

func (w *watcher) note(ctx context.Context, what, port string) {
	l, err := w.conn.Link(ctx, port)
	if err != nil {
		w.calls = append(w.calls, what+" absent")
		return
	}
	w.calls = append(w.calls, fmt.Sprintf("%s up=%t master=%s", what, l.Up, l.Master))
}
func (w *watcher) Close(ctx context.Context, port string) error {
	w.note(ctx, "close", port)
	return nil
}
func (w *watcher) Open(ctx context.Context, port string) error {
	w.note(ctx, "open", port)
	return w.err
}
func (w *watcher) Forget(ctx context.Context, port string) error {
	w.note(ctx, "forget", port)
	return nil
}

func TestThreat49_PortIsGuardedBeforeItPasses(t *testing.T) {
	w := &watcher{}
	s, h := node(t, hostnet.Options{Guard: w}, bridge("vmbr0", nil), bridge("vmbr1", nil))
	w.conn = h.Conn
	p := hostnet.Port{Name: "tap100i0", Bridge: "vmbr0", Owner: 70100}
	require.NoError(t, s.CreatePort(t.Context(), p))
	require.Equal(t, []string{"close absent", "open up=false master=vmbr0"}, w.calls)
	require.True(t, h.Link("tap100i0").Up)

	// Limits change under way; another bridge does not.
	w.calls = nil
	slow, moved := p, p
	slow.RateMBps, slow.LinkDown = 1.5, true
	slow.RateMBps = 0
	require.NoError(t, s.ChangePort(t.Context(), p, slow))
	require.Empty(t, w.calls)
	require.False(t, h.Link("tap100i0").Up)
	moved.Bridge = "vmbr1"
	require.NoError(t, s.ChangePort(t.Context(), slow, moved))
	require.Equal(t, []string{"close up=false master=vmbr0", "open up=false master=vmbr1"}, w.calls)
	require.True(t, h.Link("tap100i0").Up)

	w.calls = nil
	require.NoError(t, s.DeletePort(t.Context(), "tap100i0"))
	require.Equal(t, []string{"forget absent"}, w.calls)

	w.err = errors.New("no rules")
	require.ErrorIs(t, s.CreatePort(t.Context(), p), w.err)
	require.False(t, h.Link("tap100i0").Up, "a port without its rules stays down")
}

func TestLinkDownFromTheStart(t *testing.T) {
	s, h := node(t, hostnet.Options{}, bridge("vmbr0", nil))
	p := hostnet.Port{Name: "tap100i0", Bridge: "vmbr0", LinkDown: true}
	require.NoError(t, s.CreatePort(t.Context(), p))
	require.False(t, h.Link("tap100i0").Up)
	require.True(t, h.Link("tap100i0").NoIPv6, "the host does not listen to a guest's router advertisements")
}

func TestRateOfAPort(t *testing.T) {
	s, h := node(t, hostnet.Options{}, bridge("vmbr0", nil))
	p := hostnet.Port{Name: "tap100i0", Bridge: "vmbr0", RateMBps: 2.5}
	err := s.CreatePort(t.Context(), p)
	if errors.Is(err, errors.ErrUnsupported) {
		_, public := errors.AsType[*call.Error](err)
		require.True(t, public)
		require.ErrorContains(t, err, "network of tap100i0: the kernel lacks")
		need.That(t, "kernel-police", false, "a kernel with it")
	}
	require.NoError(t, err)
	require.Equal(t, &netkit.Rate{Out: 2621440, In: 2621440}, h.Link("tap100i0").Rate)
	fast := p
	fast.RateMBps = 0
	require.NoError(t, s.ChangePort(t.Context(), p, fast))
	require.Nil(t, h.Link("tap100i0").Rate)
}

func TestReconcileRemovesStrays(t *testing.T) {
	s, h := node(t, hostnet.Options{}, bridge("vmbr0", nil))
	for i, owner := range []uint32{70100, 70101, 5} {
		require.NoError(t, s.CreatePort(t.Context(), hostnet.Port{Name: fmt.Sprintf("tap10%di0", i), Bridge: "vmbr0", Owner: owner}))
	}
	require.NoError(t, s.Reconcile(t.Context(), func(name string, owner uint32) bool { return owner >= 70000 && name != "tap100i0" }))
	ports, err := s.Ports(t.Context(), "tap")
	require.NoError(t, err)
	names := []string{}
	for _, p := range ports {
		names = append(names, p.Name)
	}
	require.Equal(t, []string{"tap100i0", "tap102i0"}, names)
	require.Equal(t, "vmbr0", h.Link("tap100i0").Master)
}

func TestBridgeThatDoesNotLearn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "interfaces")
	require.NoError(t, os.WriteFile(file, []byte("iface vmbr0 inet manual\n\tbridge-ports none\n\tbridge-disable-mac-learning 1\n"), 0o644))
	s, h := node(t, hostnet.Options{InterfacesFile: file}, bridge("vmbr0", nil), bridge("vmbr1", nil))
	p := hostnet.Port{Name: "tap100i0", Bridge: "vmbr0", MAC: "BC:24:11:00:00:01"}
	for range 2 {
		require.NoError(t, s.CreatePort(t.Context(), p))
	}
	port := h.Link("tap100i0").Port
	require.True(t, port.NoLearning && port.NoFlood)
	require.Equal(t, []net.HardwareAddr{{0xbc, 0x24, 0x11, 0, 0, 1}}, port.MACs)
	p.Bridge = "vmbr1"
	require.NoError(t, s.CreatePort(t.Context(), p))
	require.False(t, h.Link("tap100i0").Port.NoLearning)
	p.Bridge, p.MAC = "vmbr0", "nonsense"
	require.EqualError(t, s.CreatePort(t.Context(), p), "unable to parse MAC address 'nonsense'")
}

// guestFrame is a frame of a guest, and what recognises it.
func guestFrame(note string, vlans ...uint16) netkittest.Frame {
	return netkittest.Frame{Dst: netkittest.Broadcast(), Src: net.HardwareAddr{2, 0, 0, 0, 0, 1}, VLANs: vlans, Type: netkittest.TypeTest, Payload: []byte(note)}
}

func is(note string, vlans ...uint16) func(netkittest.Frame) bool {
	return func(f netkittest.Frame) bool {
		return bytes.HasPrefix(f.Payload, []byte(note)) && slices.Equal(f.VLANs, vlans)
	}
}

func TestPortOfAVLANAwareBridge(t *testing.T) {
	needKernel(t, "vlan-filtering", bridge("vmbr0", &netkit.Bridge{VLANAware: true, PVID: 1}))
	s, h := node(t, hostnet.Options{}, bridge("vmbr0", &netkit.Bridge{VLANAware: true, PVID: 1}))
	trunks := []netkit.VLANRange{{First: 5, Last: 5}, {First: 20, Last: 30}}
	ports := []hostnet.Port{
		{Name: "tap100i0", Bridge: "vmbr0", VLAN: 5}, {Name: "tap101i0", Bridge: "vmbr0"}, {Name: "tap102i0", Bridge: "vmbr0", Trunks: trunks},
		{Name: "tap103i0", Bridge: "vmbr0", VLAN: 7, Trunks: trunks},
	}
	var wires []*netkittest.Wire
	for _, p := range ports {
		require.NoError(t, s.CreatePort(t.Context(), p))
		wires = append(wires, h.Plug(p.Name, netkit.Tap{VNetHeader: true}))
	}
	for name, want := range map[string]netkit.Port{
		"tap100i0": {PVID: 5}, "tap101i0": {PVID: 1, VLANs: []netkit.VLANRange{netkit.AllVLANs()}}, "tap102i0": {PVID: 1, VLANs: trunks}, "tap103i0": {PVID: 7, VLANs: trunks},
	} {
		require.Equal(t, want, *h.Link(name).Port, name)
	}
	wires[0].Send(guestFrame("five"))
	wires[1].Expect(is("five", 5))
	wires[2].Expect(is("five", 5))
	wires[1].Send(guestFrame("one"))
	wires[2].Expect(is("one"))
	wires[0].Quiet(200*time.Millisecond, is("one"))

	after := ports[0]
	after.VLAN = 7
	require.NoError(t, s.ChangePort(t.Context(), ports[0], after))
	wires[0].Send(guestFrame("seven"))
	wires[3].Expect(is("seven"))
}

func TestTagOnAPlainBridge(t *testing.T) {
	trunked := hostnet.Port{Name: "tap100i0", Bridge: "vmbr0", Trunks: []netkit.VLANRange{{First: 5, Last: 6}}}
	s, _ := node(t, hostnet.Options{}, bridge("vmbr0", nil))
	require.EqualError(t, s.CreatePort(t.Context(), trunked), "vlan aware feature need to be enabled to use trunks")
	tagged := hostnet.Port{Name: "tap100i0", Bridge: "vmbr0", VLAN: 5}
	require.EqualError(t, s.CreatePort(t.Context(), tagged), "no physical interface on bridge 'vmbr0'")
	tagged.VLAN = 5000
	require.EqualError(t, s.CreatePort(t.Context(), tagged), "got strange vlan tag '5000'")
	ports, err := s.Ports(t.Context(), "tap")
	require.NoError(t, err)
	require.Empty(t, ports)

	s, _ = node(t, hostnet.Options{}, netkit.Link{Name: "vmbr0", Kind: netkit.KindBridge})
	tagged.VLAN = 5
	require.EqualError(t, s.CreatePort(t.Context(), tagged), "bridge 'vmbr0' is not active")
}

func TestTagBridgeOverAnUplink(t *testing.T) {
	bond := netkit.Link{Name: "an-uplink-bond", Kind: netkit.KindBond, Up: true, Master: "vmbr0", Bond: &netkit.Bond{Mode: netkit.BondActiveBackup}}
	needKernel(t, "bond", bridge("vmbr0", nil), bond)
	needKernel(t, "vlan", netkit.Link{Name: "d", Kind: netkit.KindDummy}, netkit.Link{Name: "d.5", Kind: netkit.KindVLAN, Parent: "d", VLAN: &netkit.VLAN{ID: 5}})
	other := netkittest.NewHost(t)
	s, h := node(t, hostnet.Options{}, bridge("vmbr0", nil), bond)
	h.Cable("eth0", other, "eth0")
	h.Apply(netkit.Link{Name: "eth0", Up: true, Master: "an-uplink-bond"})
	p := hostnet.Port{Name: "tap100i0", Bridge: "vmbr0", VLAN: 4000}
	for range 2 {
		require.NoError(t, s.CreatePort(t.Context(), p))
	}
	require.NoError(t, s.CreatePort(t.Context(), hostnet.Port{Name: "tap101i0", Bridge: "vmbr0"}))
	require.Equal(t, "vmbr0v4000", h.Link("tap100i0").Master)
	dev, err := h.Conn.Link(t.Context(), "an-uplink-bond.4000")
	require.NoError(t, err, "a name that is too long is kept beside the short one")
	require.Equal(t, "vmbr0v4000", dev.Master)
	require.True(t, dev.NoIPv6)

	outside := other.Wire("eth0")
	guest, neighbour := h.Plug("tap100i0", netkit.Tap{VNetHeader: true}), h.Plug("tap101i0", netkit.Tap{VNetHeader: true})
	require.Eventually(t, func() bool { l, err := h.Conn.Link(t.Context(), dev.Name); return err == nil && l.Running }, netkittest.Patience, 10*time.Millisecond)
	guest.Send(guestFrame("out"))
	outside.Expect(is("out", 4000))
	outside.Send(netkittest.Frame{Dst: netkittest.Broadcast(), Src: net.HardwareAddr{2, 0, 0, 0, 0, 9}, VLANs: []uint16{4000}, Type: netkittest.TypeTest, Payload: []byte("in")})
	guest.Expect(is("in"))
	neighbour.Quiet(200*time.Millisecond, is("in"))
}

// TestFullBridge: the kernel gives a bridge 1024 ports, of which it uses 1023. The guest after them is told so.
func TestFullBridge(t *testing.T) {
	s, h := node(t, hostnet.Options{}, bridge("vmbr0", nil))
	var others []netkit.Link
	for i := range 1023 {
		others = append(others, netkit.Link{Name: fmt.Sprintf("m%d", i), Kind: netkit.KindTap, Master: "vmbr0"})
	}
	h.Apply(others...)
	err := s.CreatePort(t.Context(), hostnet.Port{Name: "tap100i0", Bridge: "vmbr0"})
	require.ErrorIs(t, err, netkit.ErrBridgeFull)
	_, public := errors.AsType[*call.Error](err)
	require.True(t, public)
	require.EqualError(t, err, "bridge 'vmbr0' has no port left for tap100i0: the bridge is full: the kernel gives one at most 1023 ports")
	require.NoError(t, s.DeletePort(t.Context(), "tap100i0"))
	h.Remove("m7")
	require.NoError(t, s.CreatePort(t.Context(), hostnet.Port{Name: "tap100i0", Bridge: "vmbr0"}))
}
