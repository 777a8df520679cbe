package netkit_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/netkit"
	"github.com/turtacn/go-proxmox/netkit/netkittest"
)

const settle = 300 * time.Millisecond // in which a frame that may come would have come

// station is a wire on a port of a bridge.
type station struct {
	*netkittest.Wire
	mac net.HardwareAddr
}

// stations makes a bridge with ports, one tap each, and takes the place of the guest behind each.
func stations(t *testing.T, bridge *netkit.Bridge, ports ...*netkit.Port) (*netkittest.Host, []station) {
	t.Helper()
	h := netkittest.NewHost(t)
	h.Sysctl("net/ipv6/conf/default/disable_ipv6", "1")
	links := []netkit.Link{{Name: "br0", Kind: netkit.KindBridge, Up: true, Bridge: bridge}}
	tap := netkit.Tap{VNetHeader: true}
	for i, p := range ports {
		links = append(links, netkit.Link{Name: fmt.Sprintf("tap%d", i), Kind: netkit.KindTap, Tap: tap, Up: true, Master: "br0", Port: p})
	}
	h.Apply(links...)
	require.Empty(t, h.Apply(links...), "a second plan finds nothing to do")
	var out []station
	for i := range ports {
		out = append(out, station{h.Plug(fmt.Sprintf("tap%d", i), tap), net.HardwareAddr{2, 0, 0, 0, 0, byte(i + 1)}})
	}
	return h, out
}

// from makes a frame of a station for everybody, and what recognises it with the given tags.
func (s station) from(note string, vlans ...uint16) netkittest.Frame {
	return netkittest.Frame{Dst: netkittest.Broadcast(), Src: s.mac, VLANs: vlans, Type: netkittest.TypeTest, Payload: []byte(note)}
}

func noted(note string, vlans ...uint16) func(netkittest.Frame) bool {
	return func(f netkittest.Frame) bool {
		return f.Type == netkittest.TypeTest && bytes.HasPrefix(f.Payload, []byte(note)) && fmt.Sprint(f.VLANs) == fmt.Sprint(vlans)
	}
}

func anyNoted(note string) func(netkittest.Frame) bool {
	return func(f netkittest.Frame) bool { return bytes.Contains(f.Payload, []byte(note)) }
}

func TestVLANAwareBridge(t *testing.T) {
	needFiltering(t)
	five, six := &netkit.Port{PVID: 5}, &netkit.Port{PVID: 6}
	trunk := &netkit.Port{PVID: 1, VLANs: []netkit.VLANRange{{First: 5, Last: 5}, {First: 10, Last: 20}}}
	h, s := stations(t, &netkit.Bridge{VLANAware: true, PVID: 1}, five, five, six, trunk)

	s[0].Send(s[0].from("plain"))
	s[1].Expect(noted("plain"))
	s[3].Expect(noted("plain", 5))
	s[2].Quiet(settle, anyNoted("plain"))

	s[3].Send(s[3].from("to five", 5))
	s[0].Expect(noted("to five"))
	s[3].Send(s[3].from("to six", 6)) // not among its VLANs
	s[2].Quiet(settle, anyNoted("to six"))

	require.Equal(t, *trunk, portOf(t, h, "tap3"))
	require.Equal(t, *five, portOf(t, h, "tap0"))

	// A change of VLANs needs no new port.
	steps := h.Apply(netkit.Link{Name: "tap3", Kind: netkit.KindTap, Tap: netkit.Tap{VNetHeader: true}, Up: true, Master: "br0", Port: &netkit.Port{PVID: 6, VLANs: []netkit.VLANRange{{First: 12, Last: 30}}}})
	require.Equal(t, "tap3 no-vlan 1\ntap3 pvid 6\ntap3 no-vlan 5,10-11\ntap3 vlan 21-30", steps.String())
	s[3].Send(s[3].from("six now"))
	s[2].Expect(noted("six now"))
}

func TestThreat48_VLANHopping(t *testing.T) {
	needFiltering(t)
	_, s := stations(t, &netkit.Bridge{VLANAware: true, PVID: 1}, &netkit.Port{PVID: 5}, &netkit.Port{PVID: 6}, &netkit.Port{PVID: 1, VLANs: []netkit.VLANRange{netkit.AllVLANs()}})
	s[0].Send(s[0].from("hop", 6)) // an access port has no tags
	s[1].Quiet(settle, anyNoted("hop"))
	s[0].Send(s[0].from("double", 5, 6))
	s[1].Quiet(settle, anyNoted("double"))
	s[2].Send(s[2].from("into", 6))
	s[1].Expect(noted("into"))
}

func portOf(t *testing.T, h *netkittest.Host, name string) netkit.Port {
	t.Helper()
	p := h.Link(name).Port
	require.NotNil(t, p)
	return *p
}

func TestVLANsNeedAFilteringKernel(t *testing.T) {
	h := netkittest.NewHost(t)
	steps, err := netkit.Plan(nil, []netkit.Link{{Name: "br0", Kind: netkit.KindBridge, Bridge: &netkit.Bridge{VLANAware: true}}})
	require.NoError(t, err)
	err = h.Conn.Apply(t.Context(), steps)
	if err == nil {
		require.True(t, h.Link("br0").Bridge.VLANAware)
		return
	}
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.ErrorContains(t, err, "VLAN filtering")
}

func TestPortIsolation(t *testing.T) {
	_, s := stations(t, &netkit.Bridge{}, &netkit.Port{Isolated: true}, &netkit.Port{Isolated: true}, &netkit.Port{})
	s[0].Send(s[0].from("a"))
	s[2].Expect(noted("a"))
	s[1].Quiet(settle, anyNoted("a"))
	s[2].Send(s[2].from("b"))
	s[0].Expect(noted("b"))
	s[1].Expect(noted("b"))
}

func TestStaticAddressesInsteadOfLearning(t *testing.T) {
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 2}
	quiet := &netkit.Port{NoLearning: true, NoFlood: true, MACs: []net.HardwareAddr{mac}}
	h, s := stations(t, &netkit.Bridge{}, &netkit.Port{}, &netkit.Port{NoLearning: true, NoFlood: true})
	to := func(note string, dst net.HardwareAddr) netkittest.Frame {
		f := s[0].from(note)
		f.Dst = dst
		return f
	}
	s[1].Send(s[1].from("hello")) // not learnt
	s[0].Expect(noted("hello"))
	s[0].Send(to("unknown", mac))
	s[1].Quiet(settle, anyNoted("unknown"))

	// Links does not list static addresses, Lookup does.
	have, err := h.Conn.Lookup(t.Context(), "tap1")
	require.NoError(t, err)
	want := netkit.Link{Name: "tap1", Up: true, Master: "br0", Port: quiet, Kind: netkit.KindTap, Tap: netkit.Tap{VNetHeader: true}}
	steps, err := netkit.Plan(have, []netkit.Link{want})
	require.NoError(t, err)
	require.Equal(t, "tap1 fdb 02:00:00:00:00:02", steps.String())
	require.NoError(t, h.Conn.Apply(t.Context(), steps))
	require.Equal(t, quiet.MACs, portOf(t, h, "tap1").MACs)
	s[0].Send(to("known", mac))
	s[1].Expect(func(f netkittest.Frame) bool { return bytes.HasPrefix(f.Payload, []byte("known")) })

	want.Port = &netkit.Port{NoLearning: true, NoFlood: true}
	have, err = h.Conn.Lookup(t.Context(), "tap1")
	require.NoError(t, err)
	steps, err = netkit.Plan(have, []netkit.Link{want})
	require.NoError(t, err)
	require.Equal(t, "tap1 no-fdb 02:00:00:00:00:02", steps.String())
	require.NoError(t, h.Conn.Apply(t.Context(), steps))
	require.Empty(t, portOf(t, h, "tap1").MACs)
}

func TestBridgeProperties(t *testing.T) {
	h := netkittest.NewHost(t)
	br := netkit.Link{Name: "br0", Kind: netkit.KindBridge, Bridge: &netkit.Bridge{STP: true, ForwardDelay: 4 * time.Second, Ageing: 60 * time.Second}}
	h.Apply(br)
	require.Empty(t, h.Apply(br))
	got := h.Link("br0").Bridge
	require.True(t, got.STP)
	require.Equal(t, 4*time.Second, got.ForwardDelay)
	require.Equal(t, 60*time.Second, got.Ageing)
	br.Bridge = &netkit.Bridge{} // shorter than STP would allow
	h.Apply(br)
	require.Empty(t, h.Apply(br))
	require.False(t, h.Link("br0").Bridge.STP)
	require.Zero(t, h.Link("br0").Bridge.ForwardDelay)
}

func TestFullBridge(t *testing.T) {
	h := netkittest.NewHost(t)
	links := []netkit.Link{{Name: "br0", Kind: netkit.KindBridge}}
	for i := range 1024 {
		links = append(links, netkit.Link{Name: fmt.Sprintf("m%d", i), Kind: netkit.KindTap, Master: "br0"})
	}
	steps, err := netkit.Plan(nil, links)
	require.NoError(t, err)
	err = h.Conn.Apply(t.Context(), steps)
	require.ErrorIs(t, err, netkit.ErrBridgeFull)
	require.ErrorContains(t, err, "m1023: the bridge is full")
}
