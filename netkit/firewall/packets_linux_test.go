package firewall

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/netkit"
)

// lan is a node with a bridge, and machines on it in namespaces of their own. The node is 192.0.2.1.
type lan struct {
	t    testing.TB
	c    *Conn
	node *netkit.NS
}

func newLAN(t testing.TB) *lan {
	c, ns := dialNew(t)
	need.That(t, "nf_conntrack_bridge", bridges(t, c), "connection tracking, names and rejecting on bridges")
	l := &lan{t, c, ns}
	l.in(ns, func(h *netlink.Handle) {
		br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}
		require.NoError(t, h.LinkAdd(br))
		require.NoError(t, h.LinkSetUp(br))
		address(t, h, br, "192.0.2.1/24")
	})
	return l
}

func (l *lan) in(ns *netkit.NS, fn func(h *netlink.Handle)) {
	f, err := os.Open(ns.Path())
	require.NoError(l.t, err)
	defer f.Close()
	h, err := netlink.NewHandleAt(netns.NsHandle(f.Fd()), unix.NETLINK_ROUTE)
	require.NoError(l.t, err)
	defer h.Close()
	fn(h)
}

func address(t testing.TB, h *netlink.Handle, l netlink.Link, cidr string) {
	a, err := netlink.ParseAddr(cidr)
	require.NoError(t, err)
	a.Flags = unix.IFA_F_NODAD
	require.NoError(t, h.AddrAdd(l, a))
}

// machine makes a namespace whose eth0 is a port of the bridge.
func (l *lan) machine(port, mac string, cidrs ...string) *netkit.NS {
	ns, err := netkit.NewNS()
	require.NoError(l.t, err)
	l.t.Cleanup(func() { ns.Close() })
	f, err := os.Open(ns.Path())
	require.NoError(l.t, err)
	defer f.Close()
	hw, err := net.ParseMAC(mac)
	require.NoError(l.t, err)
	l.in(l.node, func(h *netlink.Handle) {
		require.NoError(l.t, h.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: port}, PeerName: "eth0", PeerHardwareAddr: hw, PeerNamespace: netlink.NsFd(f.Fd())}))
		v, err := h.LinkByName(port)
		require.NoError(l.t, err)
		br, err := h.LinkByName("br0")
		require.NoError(l.t, err)
		require.NoError(l.t, h.LinkSetMaster(v, br))
		require.NoError(l.t, h.LinkSetUp(v))
	})
	l.in(ns, func(h *netlink.Handle) {
		eth, err := h.LinkByName("eth0")
		require.NoError(l.t, err)
		for _, cidr := range cidrs {
			address(l.t, h, eth, cidr)
		}
		require.NoError(l.t, h.LinkSetUp(eth))
	})
	return ns
}

// listen accepts connections at an address of ns until the test ends.
func (l *lan) listen(ns *netkit.NS, at string) {
	require.NoError(l.t, ns.Do(l.t.Context(), func() error {
		ln, err := net.Listen("tcp", at)
		if err == nil {
			l.t.Cleanup(func() { ln.Close() })
		}
		return err
	}))
}

// How long an answer is waited for: where none is expected, and where one must come, however slow the machine is.
const (
	silence  = 900 * time.Millisecond
	patience = 20 * time.Second
)

// outcome is what a machine sees of its try to connect: accept, drop (silence) or reject.
func (l *lan) outcome(ns *netkit.NS, from, to string, expect Action) Action {
	l.t.Helper()
	wait := patience
	if expect == Drop {
		wait = silence
	}
	var result error
	_ = ns.Do(l.t.Context(), func() error {
		d := net.Dialer{Timeout: wait, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 0))}
		conn, err := d.Dial("tcp", to)
		if err == nil {
			conn.Close()
		}
		result = err
		return nil
	})
	switch {
	case result == nil:
		return Accept
	case errors.Is(result, os.ErrDeadlineExceeded), errors.Is(result, context.DeadlineExceeded), errors.Is(result, syscall.EHOSTUNREACH):
		return Drop
	case errors.Is(result, syscall.ECONNREFUSED):
		return Reject
	}
	l.t.Fatalf("%s to %s: %v", from, to, result)
	return ""
}

// forgetNeighbours has a machine ask anew for the addresses that it asked for in vain.
func (l *lan) forgetNeighbours(ns *netkit.NS) {
	l.in(ns, func(h *netlink.Handle) {
		eth, err := h.LinkByName("eth0")
		require.NoError(l.t, err)
		neighbours, err := h.NeighList(eth.Attrs().Index, netlink.FAMILY_V4)
		require.NoError(l.t, err)
		for i := range neighbours {
			if err := h.NeighDel(&neighbours[i]); !errors.Is(err, unix.ENOENT) {
				require.NoError(l.t, err)
			}
		}
	})
}

// TestPacketsOnBridge sends real packets and compares what becomes of them with the verdicts.
func TestPacketsOnBridge(t *testing.T) {
	l := newLAN(t)
	require.NoError(t, l.c.Guard(t.Context(), "tap10i0"))
	web := l.machine("tap10i0", "02:00:00:00:00:10", "192.0.2.10/24", "192.0.2.66/24")
	out := l.machine("eth9", "02:00:00:00:00:99", "192.0.2.99/24", "192.0.2.77/24")
	for _, port := range []string{"80", "81", "82"} {
		l.listen(web, "192.0.2.10:"+port)
		l.listen(out, "192.0.2.99:"+port)
		l.listen(l.node, "192.0.2.1:"+port)
	}
	require.Equal(t, Drop, l.outcome(out, "192.0.2.99", "192.0.2.10:80", Drop), "a guarded port")

	w := office(t, "[RULES]\nIN ACCEPT -p tcp -dport 80 -source 192.0.2.10\nIN REJECT -p tcp -dport 81\n", "",
		"ipfilter: 1\n[IPSET ipfilter-net0]\n192.0.2.10\n[RULES]\nIN ACCEPT -p tcp -dport 80 -source 192.0.2.96/28\nIN ACCEPT -p tcp -dport 82 -source 192.0.2.99\nIN REJECT -p tcp -dport 81 -source 192.0.2.99\n"+
			"IN DROP -p tcp -dport 81\nOUT REJECT -p tcp -dport 81 -dest 192.0.2.99\nOUT DROP -p tcp -dport 82 -dest 192.0.2.99\n", "")
	w.Node.LocalNetwork = netip.MustParsePrefix("203.0.113.0/24")
	w.Guests = w.Guests[:1]
	_, err := l.c.Apply(t.Context(), w.Compile())
	require.NoError(t, err)
	l.forgetNeighbours(out)

	guest, outside, node := GuestNIC(10, 0), Outside("br0"), Endpoint{}
	for _, tt := range []struct {
		ns       *netkit.NS
		from, to Endpoint
		src, dst string
		port     uint16
	}{
		{out, outside, guest, "192.0.2.99", "192.0.2.10", 80}, {out, outside, guest, "192.0.2.99", "192.0.2.10", 81},
		{out, outside, guest, "192.0.2.99", "192.0.2.10", 82}, {out, outside, guest, "192.0.2.77", "192.0.2.10", 80},
		{out, outside, guest, "192.0.2.77", "192.0.2.10", 81}, {out, outside, guest, "192.0.2.77", "192.0.2.10", 82},
		{web, guest, outside, "192.0.2.10", "192.0.2.99", 80}, {web, guest, outside, "192.0.2.10", "192.0.2.99", 81},
		{web, guest, outside, "192.0.2.10", "192.0.2.99", 82}, {web, guest, outside, "192.0.2.66", "192.0.2.99", 80},
		{web, guest, node, "192.0.2.10", "192.0.2.1", 80}, {web, guest, node, "192.0.2.10", "192.0.2.1", 81},
		{out, outside, node, "192.0.2.99", "192.0.2.1", 80}, {out, outside, node, "192.0.2.99", "192.0.2.1", 81},
		{l.node, node, guest, "192.0.2.1", "192.0.2.10", 82}, {l.node, node, outside, "192.0.2.1", "192.0.2.99", 82},
	} {
		p := &Packet{From: tt.from, To: tt.to, Src: addr(tt.src), Dst: addr(tt.dst), Proto: protoTCP, SrcPort: 40000, DstPort: tt.port}
		d := w.Verdict(p)
		got := l.outcome(tt.ns, tt.src, netip.AddrPortFrom(p.Dst, p.DstPort).String(), d.Action)
		require.Equal(t, d.Action, got, "%s to %s port %d: %v", tt.src, tt.dst, tt.port, d)
	}

	// The other way round: rules that go take their effect with them, and the guard closes an open port at once.
	w.Guests[0].Config.Rules = nil
	report, err := l.c.Apply(t.Context(), w.Compile())
	require.NoError(t, err)
	require.NotContains(t, report.Steps.String(), "table")
	require.Equal(t, Drop, l.outcome(out, "192.0.2.99", "192.0.2.10:80", Drop))
	require.Equal(t, Accept, l.outcome(web, "192.0.2.10", "192.0.2.99:82", Accept))
	require.NoError(t, l.c.Guard(t.Context(), "tap10i0"))
	require.Equal(t, Drop, l.outcome(web, "192.0.2.10", "192.0.2.99:82", Drop))
}

// TestThreat49_NoPacketSlipsThroughAnUpdate sends packets to a closed port of a guest all the while its rules change.
func TestThreat49_NoPacketSlipsThroughAnUpdate(t *testing.T) {
	l := newLAN(t)
	require.NoError(t, l.c.Guard(t.Context(), "tap10i0"))
	web := l.machine("tap10i0", "02:00:00:00:00:10", "192.0.2.10/24")
	out := l.machine("eth9", "02:00:00:00:00:99", "192.0.2.99/24")
	var received net.PacketConn
	require.NoError(t, web.Do(t.Context(), func() (err error) {
		received, err = net.ListenPacket("udp", "192.0.2.10:9")
		return err
	}))
	defer received.Close()
	var sender net.Conn
	require.NoError(t, out.Do(t.Context(), func() (err error) {
		sender, err = net.Dial("udp", "192.0.2.10:9")
		return err
	}))
	defer sender.Close()
	stop, sent := make(chan struct{}), make(chan int)
	go func() { // ends with stop
		n := 0
		for tick := time.NewTicker(time.Millisecond); ; {
			select {
			case <-stop:
				tick.Stop()
				sent <- n
				return
			case <-tick.C:
				if _, err := sender.Write([]byte("x")); err == nil {
					n++
				}
			}
		}
	}()
	for i := range 8 {
		text := strings.Repeat("IN ACCEPT -p tcp -dport 80\n", 1+i%2)
		w := office(t, "", "", "[RULES]\n"+text+[]string{"", "IN REJECT -p udp -dport 10\n"}[i%2], "")
		w.Guests = w.Guests[:1]
		_, err := l.c.Apply(t.Context(), w.Compile())
		require.NoError(t, err)
	}
	close(stop)
	require.Positive(t, <-sent)
	require.NoError(t, received.SetReadDeadline(time.Now().Add(200*time.Millisecond)))
	_, _, err := received.ReadFrom(make([]byte, 9))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "a packet went through")
}
