package netkit_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/netkit"
	"github.com/turtacn/go-proxmox/netkit/netkittest"
)

func cidr(s string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(s)} }

// pair are two hosts with a cable and addresses 192.0.2.1 and .2.
func pair(t *testing.T) (a, b *netkittest.Host) {
	t.Helper()
	a, b = netkittest.NewHost(t), netkittest.NewHost(t)
	a.Cable("eth0", b, "eth0")
	a.Apply(netkit.Link{Name: "eth0", Up: true, Addrs: cidr("192.0.2.1/24")})
	b.Apply(netkit.Link{Name: "eth0", Up: true, Addrs: cidr("192.0.2.2/24")})
	return a, b
}

func TestVXLANUnicast(t *testing.T) {
	a, b := pair(t)
	vx := func(local, remote, inner string) netkit.Link {
		return netkit.Link{Name: "vx7", Kind: netkit.KindVXLAN, Up: true, MTU: 1450, Addrs: cidr(inner), VXLAN: &netkit.VXLAN{
			ID: 7, Local: netip.MustParseAddr(local), Remotes: []netip.Addr{netip.MustParseAddr(remote)}, Learning: true}}
	}
	la, lb := vx("192.0.2.1", "192.0.2.2", "10.7.0.1/24"), vx("192.0.2.2", "192.0.2.1", "10.7.0.2/24")
	a.Apply(la)
	b.Apply(lb)
	require.Empty(t, a.Apply(la))
	require.Equal(t, la.VXLAN.Remotes, a.Link("vx7").VXLAN.Remotes)
	a.Ping(netip.MustParseAddr("10.7.0.2"))

	la.VXLAN = &netkit.VXLAN{ID: 7, Local: netip.MustParseAddr("192.0.2.1"), Learning: true, Remotes: []netip.Addr{netip.MustParseAddr("192.0.2.9")}}
	require.Equal(t, "vx7 no-remote 192.0.2.2\nvx7 remote 192.0.2.9", a.Apply(la).String())
	la.VXLAN = &netkit.VXLAN{ID: 8}
	steps := a.Apply(la)
	require.True(t, strings.HasPrefix(steps.String(), "vx7 delete\ncreate vxlan vx7 id 8 port 4789"), steps.String())
}

func TestVXLANMulticast(t *testing.T) {
	a, b := pair(t)
	vx := func(inner string) netkit.Link {
		return netkit.Link{Name: "vx9", Kind: netkit.KindVXLAN, Up: true, Parent: "eth0", Addrs: cidr(inner), VXLAN: &netkit.VXLAN{
			ID: 9, Group: netip.MustParseAddr("239.1.1.9"), Learning: true, Port: 5000}}
	}
	a.Apply(vx("10.9.0.1/24"))
	b.Apply(vx("10.9.0.2/24"))
	require.Empty(t, b.Apply(vx("10.9.0.2/24")))
	a.Ping(netip.MustParseAddr("10.9.0.2"))
}

func TestVLANDevices(t *testing.T) {
	needVLANs(t)
	a, b := pair(t)
	inner := netkit.Link{Name: "eth0.5", Kind: netkit.KindVLAN, Parent: "eth0", Up: true, VLAN: &netkit.VLAN{ID: 5}, Addrs: cidr("10.5.0.1/24")}
	a.Apply(inner)
	require.Empty(t, a.Apply(inner))
	inner.Addrs = cidr("10.5.0.2/24")
	b.Apply(inner)
	a.Ping(netip.MustParseAddr("10.5.0.2"))

	inner.VLAN = &netkit.VLAN{ID: 5, Protocol: "802.1ad"}
	require.Contains(t, b.Apply(inner).String(), "eth0.5 delete\ncreate vlan eth0.5 on eth0 id 5 802.1ad")
	require.Equal(t, "802.1ad", b.Link("eth0.5").VLAN.Protocol)
	a.NoPing(netip.MustParseAddr("10.5.0.2"))
}

func TestMacvlan(t *testing.T) {
	a, b := pair(t)
	for _, kind := range []netkit.Kind{netkit.KindMacvlan, netkit.KindMacvtap} {
		mv := netkit.Link{Name: "mv0", Kind: kind, Parent: "eth0", Up: true, Macvlan: netkit.MacvlanPrivate}
		a.Apply(mv)
		require.Empty(t, a.Apply(mv))
		require.Equal(t, netkit.MacvlanPrivate, a.Link("mv0").Macvlan)
		require.Equal(t, "eth0", a.Link("mv0").Parent)
		a.Remove("mv0")
	}
	a.Apply(netkit.Link{Name: "mv0", Kind: netkit.KindMacvlan, Parent: "eth0", Up: true, Addrs: cidr("198.51.100.1/24")})
	b.Apply(netkit.Link{Name: "eth0", Up: true, Addrs: cidr("198.51.100.2/24")})
	b.Ping(netip.MustParseAddr("198.51.100.1"))
}

func TestBonds(t *testing.T) {
	needLinks(t, "bond", netkit.Link{Name: "bond0", Kind: netkit.KindBond, Bond: &netkit.Bond{}})
	for _, mode := range []netkit.BondMode{netkit.BondRoundRobin, netkit.BondActiveBackup, netkit.BondXOR, netkit.BondBroadcast, netkit.BondLACP, netkit.BondTLB, netkit.BondALB} {
		t.Run(string(mode), func(t *testing.T) {
			a, b := netkittest.NewHost(t), netkittest.NewHost(t)
			if mode == netkit.BondTLB || mode == netkit.BondALB {
				// They listen on one link and send on all: what is between must know where everybody listens.
				sw := netkittest.NewHost(t)
				sw.Apply(netkit.Link{Name: "br0", Kind: netkit.KindBridge, Up: true})
				for i, h := range []*netkittest.Host{a, b} {
					for _, eth := range []string{"eth0", "eth1"} {
						port := fmt.Sprintf("%s-%d", eth, i)
						sw.Cable(port, h, eth)
						sw.Apply(netkit.Link{Name: port, Up: true, Master: "br0"})
					}
				}
			} else {
				a.Cable("eth0", b, "eth0")
				a.Cable("eth1", b, "eth1")
			}
			for i, h := range []*netkittest.Host{a, b} {
				bond := &netkit.Bond{Mode: mode, MIIMon: 100e6}
				switch mode {
				case netkit.BondXOR, netkit.BondLACP, netkit.BondTLB:
					bond.XmitHash = "layer2+3"
				case netkit.BondActiveBackup:
					bond.Primary = "eth1"
				}
				if mode == netkit.BondLACP {
					bond.LACPRate = "fast"
				}
				want := []netkit.Link{
					{Name: "bond0", Kind: netkit.KindBond, Up: true, Bond: bond, Addrs: cidr([]string{"10.1.0.1/24", "10.1.0.2/24"}[i])},
					{Name: "eth0", Up: true, Master: "bond0"}, {Name: "eth1", Up: true, Master: "bond0"},
				}
				h.Apply(want...)
				require.Empty(t, h.Apply(want...), "a second plan finds nothing to do")
				require.Equal(t, *bond, *h.Link("bond0").Bond)
				require.Equal(t, "bond0", h.Link("eth1").Master)
			}
			a.Ping(netip.MustParseAddr("10.1.0.2"))
		})
	}
}

func TestBondOfAnotherMode(t *testing.T) {
	needLinks(t, "bond", netkit.Link{Name: "bond0", Kind: netkit.KindBond, Bond: &netkit.Bond{}})
	h := netkittest.NewHost(t)
	want := func(m netkit.BondMode) []netkit.Link {
		return []netkit.Link{
			{Name: "br0", Kind: netkit.KindBridge, Up: true}, {Name: "d0", Kind: netkit.KindDummy, Up: true, Master: "bond0"},
			{Name: "bond0", Kind: netkit.KindBond, Up: true, Bond: &netkit.Bond{Mode: m}, Master: "br0"},
		}
	}
	h.Apply(want(netkit.BondXOR)...)
	steps := h.Apply(want(netkit.BondActiveBackup)...)
	require.Contains(t, steps.String(), "bond0 delete\ncreate bond bond0 mode active-backup\nbond0 master br0\nbond0 up")
	require.Empty(t, h.Apply(want(netkit.BondActiveBackup)...))
}

func TestRates(t *testing.T) {
	h := netkittest.NewHost(t)
	tap := netkit.Link{Name: "tap7i0", Kind: netkit.KindTap, Up: true, Rate: &netkit.Rate{Out: 2 << 20}}
	change := func() netkit.Steps {
		have, err := h.Conn.Lookup(t.Context(), tap.Name)
		require.NoError(t, err)
		steps, err := netkit.Plan(have, []netkit.Link{tap})
		require.NoError(t, err)
		require.NoError(t, h.Conn.Apply(t.Context(), steps))
		return steps
	}
	require.Contains(t, change().String(), "tap7i0 rate out=2097152 in=0")
	require.Equal(t, tap.Rate, h.Link("tap7i0").Rate)
	require.Empty(t, change())
	tap.Rate = &netkit.Rate{}
	require.Equal(t, "tap7i0 rate out=0 in=0", change().String())
	require.Nil(t, h.Link("tap7i0").Rate)
	require.Empty(t, change())

	needPolice(t)
	tap.Rate = &netkit.Rate{Out: 6 << 30, In: 3 << 20}
	change()
	require.Equal(t, tap.Rate, h.Link("tap7i0").Rate)
	require.Empty(t, change())
	tap.Rate = &netkit.Rate{In: 5 << 20}
	change()
	require.Equal(t, tap.Rate, h.Link("tap7i0").Rate)
}

func TestRoutesRulesNeighbours(t *testing.T) {
	a, _ := pair(t)
	mac := []byte{2, 0, 0, 0, 0, 9}
	want := netkit.State{
		Links: []netkit.Link{{Name: "eth0", Up: true, Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("fd00::1/64")}, Exact: true}},
		Routes: []netkit.Route{
			{Dst: netip.MustParsePrefix("0.0.0.0/0"), Via: netip.MustParseAddr("192.0.2.2"), Link: "eth0"},
			{Dst: netip.MustParsePrefix("::/0"), Via: netip.MustParseAddr("fd00::2"), Link: "eth0"},
			{Dst: netip.MustParsePrefix("198.51.100.0/24"), Link: "eth0", Table: 77, Metric: 5},
		},
		Neighbours: []netkit.Neighbour{{Link: "eth0", IP: netip.MustParseAddr("192.0.2.9"), MAC: mac}},
	}
	apply := func(want, gone netkit.State) netkit.Steps {
		have, err := a.Conn.State(t.Context())
		require.NoError(t, err)
		steps, err := netkit.PlanState(have, want, gone)
		require.NoError(t, err)
		require.NoError(t, a.Conn.Apply(t.Context(), steps))
		return steps
	}
	apply(want, netkit.State{})
	require.Empty(t, apply(want, netkit.State{}))
	other := want
	other.Routes = []netkit.Route{{Dst: netip.MustParsePrefix("0.0.0.0/0"), Via: netip.MustParseAddr("192.0.2.3"), Link: "eth0"}}
	steps := apply(other, netkit.State{Routes: want.Routes})
	require.Equal(t, "no-route default via 192.0.2.2 dev eth0\nno-route default via fd00::2 dev eth0 metric 1024\n"+
		"no-route 198.51.100.0/24 dev eth0 table 77 metric 5\nroute default via 192.0.2.3 dev eth0", steps.String())

	// An address that goes takes its routes along; the plan brings those back that are wanted.
	moved := other
	moved.Links = []netkit.Link{{Name: "eth0", Up: true, Exact: true, Addrs: cidr("192.0.2.8/24")}}
	moved.Neighbours = nil
	apply(moved, netkit.State{Neighbours: want.Neighbours})
	require.Empty(t, apply(moved, netkit.State{}))
}

func TestRules(t *testing.T) {
	h := netkittest.NewHost(t)
	rules := []netkit.Rule{
		{Priority: 100, From: netip.MustParsePrefix("192.0.2.0/24"), Table: 77}, {Priority: 101, IIF: "lo", Mark: 3, Table: 78},
		{Priority: 102, To: netip.MustParsePrefix("fd00::/8"), Table: 79, IPv6: true},
	}
	apply := func(want, gone []netkit.Rule) netkit.Steps {
		have, err := h.Conn.State(t.Context())
		require.NoError(t, err)
		steps, err := netkit.PlanState(have, netkit.State{Rules: want}, netkit.State{Rules: gone})
		require.NoError(t, err)
		require.NoError(t, h.Conn.Apply(t.Context(), steps))
		return steps
	}
	_, err := h.Conn.State(t.Context())
	require.NoError(t, err)
	apply(rules, nil)
	require.Empty(t, apply(rules, nil))
	require.Len(t, apply(nil, rules), 3)
	require.Empty(t, apply(nil, rules))
}

func TestMoveAndFurtherNames(t *testing.T) {
	a, b := netkittest.NewHost(t), netkittest.NewHost(t)
	long := "a-name-that-is-far-longer-than-the-kernel-takes"
	short := netkit.ShortName(long)
	require.NoError(t, netkit.CheckName(short))
	link := netkit.Link{Name: short, Kind: netkit.KindTap, AltNames: []string{long}}
	a.Apply(link)
	require.Empty(t, a.Apply(link))
	l, err := a.Conn.Link(t.Context(), long)
	require.NoError(t, err)
	require.Equal(t, short, l.Name)

	a.Cable("x", a, "y")
	a.Apply(netkit.Link{Name: "z", Kind: netkit.KindVeth, Parent: "zz"})
	b.Apply(netkit.Link{Name: "taken", Kind: netkit.KindBridge})
	b.Apply(netkit.Link{Name: "zz", Kind: netkit.KindBridge})
	require.ErrorIs(t, a.Conn.Move(t.Context(), "zz", b.NS), netkit.ErrExists)
	require.ErrorIs(t, a.Conn.Move(t.Context(), "nope", b.NS), netkit.ErrNotFound)
	b.Remove("zz")
	require.NoError(t, a.Conn.Move(t.Context(), "zz", b.NS))
	require.ErrorIs(t, b.Conn.Rename(t.Context(), "zz", "taken"), netkit.ErrExists)
	require.ErrorIs(t, b.Conn.Rename(t.Context(), "zz", "far-too-long-a-name"), netkit.ErrBadLink)
	require.NoError(t, b.Conn.Rename(t.Context(), "zz", "q"))
	require.Equal(t, netkit.KindVeth, b.Link("q").Kind)
	require.Empty(t, a.Link("z").Parent, "the other end is elsewhere")
}
