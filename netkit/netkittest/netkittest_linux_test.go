package netkittest_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/netkit"
	"github.com/turtacn/go-proxmox/netkit/netkittest"
)

func TestPingsAcrossACable(t *testing.T) {
	a, b := netkittest.NewHost(t), netkittest.NewHost(t)
	a.Cable("eth0", b, "eth0")
	four, six := netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("fd00::2")
	a.Sysctl("net/ipv6/conf/eth0/accept_dad", "0")
	a.Apply(netkit.Link{Name: "eth0", Up: true, Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("fd00::1/64")}})
	b.Apply(netkit.Link{Name: "eth0", Up: true, Addrs: []netip.Prefix{netip.PrefixFrom(four, 24), netip.PrefixFrom(six, 64)}})
	a.Ping(four)
	a.Ping(six)
	a.NoPing(netip.MustParseAddr("192.0.2.3"))

	p := a.Pinger(four, time.Millisecond)
	require.Eventually(t, func() bool { _, n := p.Counts(); return n > 20 }, netkittest.Patience, time.Millisecond)
	b.Apply(netkit.Link{Name: "eth0"}) // down
	_, before := p.Counts()
	lost := func() bool { sent, n := p.Counts(); return sent > n+20 && n <= before+5 }
	require.Eventually(t, lost, netkittest.Patience, time.Millisecond)
	sent, answered := p.Stop()
	require.Greater(t, sent, answered)
}

func TestWiresSeeTagsAndNotThemselves(t *testing.T) {
	a, b := netkittest.NewHost(t), netkittest.NewHost(t)
	a.Cable("eth0", b, "eth0")
	wa, wb := a.Wire("eth0"), b.Wire("eth0")
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	for _, vlans := range [][]uint16{nil, {7}, {7, 9}} {
		f := netkittest.Frame{Dst: netkittest.Broadcast(), Src: mac, VLANs: vlans, Type: netkittest.TypeTest, Payload: []byte("hello")}
		wa.Send(f)
		got := wb.Expect(func(g netkittest.Frame) bool { return g.Type == netkittest.TypeTest })
		require.Equal(t, vlans, got.VLANs)
		require.Equal(t, f.Bytes(), got.Bytes())
	}
	wa.Quiet(50*time.Millisecond, func(g netkittest.Frame) bool { return g.Type == netkittest.TypeTest })
}

func TestFrames(t *testing.T) {
	from, to := netip.MustParseAddrPort("192.0.2.1:5"), netip.MustParseAddrPort("192.0.2.2:53")
	p := netkittest.UDP(from, to, []byte("data"))
	require.Len(t, p, 32)
	require.Zero(t, netkittest.Checksum(p[:20]), "a header with its checksum sums to nothing")
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	require.Len(t, netkittest.ARP(1, mac, from.Addr(), mac, to.Addr()), 28)
	for n := range 20 {
		_, ok := netkittest.ParseFrame(make([]byte, n))
		require.Equal(t, n >= 14, ok)
	}
}
