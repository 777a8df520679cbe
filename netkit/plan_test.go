package netkit_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/netkit"
)

func TestPlan(t *testing.T) {
	bridge := netkit.Link{Name: "vmbr1", Kind: netkit.KindBridge, MTU: 1500, Up: true, Addrs: []netip.Prefix{netip.MustParsePrefix("10.9.0.1/24")}}
	tap := netkit.Link{Name: "tap7i0", Kind: netkit.KindTap, MTU: 1500, Up: true, Master: "vmbr1", Tap: netkit.Tap{Owner: 7}}
	with := func(l netkit.Link, change func(*netkit.Link)) netkit.Link { change(&l); return l }

	for name, tc := range map[string]struct {
		have, want []netkit.Link
		gone       []string
		plan       string
	}{
		"nothing to do": {have: []netkit.Link{bridge, tap}, want: []netkit.Link{tap, bridge}},
		"from scratch, bridge before port": {
			want: []netkit.Link{tap, bridge},
			plan: "create bridge vmbr1\nvmbr1 mtu 1500\nvmbr1 address 10.9.0.1/24\nvmbr1 up\n" +
				"create tun tap7i0\ntap7i0 master vmbr1\ntap7i0 mtu 1500\ntap7i0 up",
		},
		"another owner makes the tap anew": {
			have: []netkit.Link{bridge, tap},
			want: []netkit.Link{with(tap, func(l *netkit.Link) { l.Tap.Owner = 8; l.MTU = 0 })},
			plan: "tap7i0 delete\ncreate tun tap7i0\ntap7i0 master vmbr1\ntap7i0 up",
		},
		"who names no kind leaves the tap as it is": {
			have: []netkit.Link{bridge, with(tap, func(l *netkit.Link) { l.Up = false })},
			want: []netkit.Link{{Name: "tap7i0", Up: true, Master: "vmbr1"}},
			plan: "tap7i0 up",
		},
		"leave the bridge, go down, new MAC": {
			have: []netkit.Link{bridge, tap},
			want: []netkit.Link{with(tap, func(l *netkit.Link) {
				l.Master, l.Up, l.MAC = "", false, net.HardwareAddr{2, 0, 0, 0, 0, 1}
			})},
			plan: "tap7i0 down\ntap7i0 mac 02:00:00:00:00:01\ntap7i0 nomaster",
		},
		"a bond is made before its links join, which are down then": {
			have: []netkit.Link{{Name: "eth0", Kind: netkit.KindPhysical, Up: true}, {Name: "eth1", Kind: netkit.KindPhysical}},
			want: []netkit.Link{
				{Name: "eth0", Up: true, Master: "bond0"}, {Name: "eth1", Up: true, Master: "bond0"}, {Name: "vmbr1", Kind: netkit.KindBridge, Up: true},
				{Name: "bond0", Kind: netkit.KindBond, Up: true, Master: "vmbr1", Bond: &netkit.Bond{Mode: netkit.BondLACP, XmitHash: "layer3+4"}},
			},
			plan: "create bridge vmbr1\nvmbr1 up\ncreate bond bond0 mode 802.3ad\nbond0 master vmbr1\nbond0 up\n" +
				"eth0 down\neth0 master bond0\neth0 up\neth1 master bond0\neth1 up",
		},
		"a bond shuts down the links that it lets go": {
			have: []netkit.Link{
				{Name: "eth0", Kind: netkit.KindPhysical, Up: true, Master: "bond0"}, {Name: "eth1", Kind: netkit.KindPhysical, Up: true, Master: "bond1"},
				{Name: "bond0", Kind: netkit.KindBond, Up: true}, {Name: "bond1", Kind: netkit.KindBond, Up: true},
			},
			want: []netkit.Link{{Name: "eth0", Up: true}, {Name: "eth1", Up: true}}, gone: []string{"bond1"},
			plan: "bond1 delete\neth0 nomaster\neth0 up\neth1 up",
		},
		"what stands on a link that is made anew is made anew": {
			have: []netkit.Link{
				{Name: "eth0", Kind: netkit.KindPhysical, Up: true}, {Name: "bond0", Kind: netkit.KindBond, Up: true, Bond: &netkit.Bond{Mode: netkit.BondXOR}},
				{Name: "bond0.5", Kind: netkit.KindVLAN, Parent: "bond0", Up: true, VLAN: &netkit.VLAN{ID: 5}},
			},
			want: []netkit.Link{
				{Name: "bond0.5", Kind: netkit.KindVLAN, Parent: "bond0", Up: true, VLAN: &netkit.VLAN{ID: 5}},
				{Name: "bond0", Kind: netkit.KindBond, Up: true, Bond: &netkit.Bond{Mode: netkit.BondALB}},
			},
			plan: "bond0 delete\ncreate bond bond0 mode balance-alb\nbond0 up\ncreate vlan bond0.5 on bond0 id 5 802.1Q\nbond0.5 up",
		},
		"VLANs of a port of a bridge that becomes VLAN-aware": {
			have: []netkit.Link{bridge, with(tap, func(l *netkit.Link) { l.Port = &netkit.Port{PVID: 1} })},
			want: []netkit.Link{
				with(bridge, func(l *netkit.Link) {
					l.Bridge = &netkit.Bridge{VLANAware: true, PVID: 1, Self: []netkit.VLANRange{{First: 7, Last: 7}}}
				}),
				with(tap, func(l *netkit.Link) {
					l.Port = &netkit.Port{PVID: 5, VLANs: []netkit.VLANRange{{First: 1, Last: 3}}, Isolated: true}
				}),
			},
			plan: "vmbr1 bridge vlan-aware=true pvid=1 stp=false forward-delay=0s\nvmbr1 vlan 7\n" +
				"tap7i0 port isolated\ntap7i0 no-vlan 1\ntap7i0 pvid 5\ntap7i0 vlan 1-3",
		},
		"addresses that are not wanted go, where that is asked for": {
			have: []netkit.Link{bridge},
			want: []netkit.Link{with(bridge, func(l *netkit.Link) { l.Exact = true; l.Addrs = []netip.Prefix{netip.MustParsePrefix("10.9.0.2/24")} })},
			plan: "vmbr1 no-address 10.9.0.1/24\nvmbr1 address 10.9.0.2/24",
		},
		"only what is there is deleted": {
			have: []netkit.Link{bridge, tap}, gone: []string{"tap7i0", "tap7i1"},
			plan: "tap7i0 delete",
		},
	} {
		t.Run(name, func(t *testing.T) {
			steps, err := netkit.Plan(tc.have, tc.want, tc.gone...)
			require.NoError(t, err)
			require.Equal(t, tc.plan, steps.String())
		})
	}
}

func TestPlanRefuses(t *testing.T) {
	nic := netkit.Link{Name: "eth0", Kind: "device"}
	for name, tc := range map[string]struct {
		want netkit.Link
		err  error
	}{
		"missing bridge":                {netkit.Link{Name: "tap1i0", Kind: netkit.KindTap, Master: "vmbr9"}, netkit.ErrNotFound},
		"master is no bridge":           {netkit.Link{Name: "tap1i0", Kind: netkit.KindTap, Master: "eth0"}, netkit.ErrBadLink},
		"name taken":                    {netkit.Link{Name: "eth0", Kind: netkit.KindBridge}, netkit.ErrExists},
		"own master":                    {netkit.Link{Name: "br0", Kind: netkit.KindBridge, Master: "br0"}, netkit.ErrBadLink},
		"foreign kind":                  {netkit.Link{Name: "eth1", Kind: "device"}, netkit.ErrBadLink},
		"multicast MAC":                 {netkit.Link{Name: "br0", Kind: netkit.KindBridge, MAC: net.HardwareAddr{1, 0, 0, 0, 0, 1}}, netkit.ErrBadLink},
		"tiny MTU":                      {netkit.Link{Name: "br0", Kind: netkit.KindBridge, MTU: 12}, netkit.ErrBadLink},
		"VLANs on a plain bridge":       {netkit.Link{Name: "t", Kind: netkit.KindTap, Master: "plain", Port: &netkit.Port{PVID: 5}}, netkit.ErrBadLink},
		"VLAN 4095":                     {netkit.Link{Name: "v", Kind: netkit.KindVLAN, Parent: "eth0", VLAN: &netkit.VLAN{ID: 4095}}, netkit.ErrBadLink},
		"reversed VLANs":                {netkit.Link{Name: "t", Kind: netkit.KindTap, Master: "plain", Port: &netkit.Port{VLANs: []netkit.VLANRange{{First: 9, Last: 3}}}}, netkit.ErrBadLink},
		"VLAN without parent":           {netkit.Link{Name: "v", Kind: netkit.KindVLAN, VLAN: &netkit.VLAN{ID: 5}}, netkit.ErrBadLink},
		"parent that is nowhere":        {netkit.Link{Name: "v", Kind: netkit.KindVLAN, Parent: "eth9", VLAN: &netkit.VLAN{ID: 5}}, netkit.ErrNotFound},
		"group without device":          {netkit.Link{Name: "x", Kind: netkit.KindVXLAN, VXLAN: &netkit.VXLAN{ID: 5, Group: netip.MustParseAddr("239.0.0.1")}}, netkit.ErrBadLink},
		"hash policy of a mode without": {netkit.Link{Name: "b", Kind: netkit.KindBond, Bond: &netkit.Bond{XmitHash: "layer2"}}, netkit.ErrBadLink},
		"static address that is learnt": {netkit.Link{Name: "t", Kind: netkit.KindTap, Master: "plain", Port: &netkit.Port{MACs: []net.HardwareAddr{{2, 0, 0, 0, 0, 1}}}}, netkit.ErrBadLink},
		"limit beyond the kernel's":     {netkit.Link{Name: "t", Kind: netkit.KindTap, Rate: &netkit.Rate{In: 1 << 32}}, netkit.ErrBadLink},
		"nothing to adjust":             {netkit.Link{Name: "eth9", Up: true}, netkit.ErrNotFound},
		"zero address":                  {netkit.Link{Name: "br0", Kind: netkit.KindBridge, Addrs: make([]netip.Prefix, 1)}, netkit.ErrBadLink},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := netkit.Plan([]netkit.Link{nic, {Name: "plain", Kind: netkit.KindBridge, Bridge: &netkit.Bridge{}}}, []netkit.Link{tc.want})
			require.ErrorIs(t, err, tc.err)
		})
	}
}

func TestCheckName(t *testing.T) {
	require.NoError(t, netkit.CheckName("tap999999999i31"))
	for _, bad := range []string{"", ".", "..", "-x", "a/b", "a b", "ü", "a\n", "a:1", strings.Repeat("a", 16)} {
		require.ErrorIs(t, netkit.CheckName(bad), netkit.ErrBadLink, bad)
	}
}

func TestPlanRefusesCirclesAndTwins(t *testing.T) {
	a := netkit.Link{Name: "a.1", Kind: netkit.KindVLAN, Parent: "b.1", VLAN: &netkit.VLAN{ID: 1}}
	b := netkit.Link{Name: "b.1", Kind: netkit.KindVLAN, Parent: "a.1", VLAN: &netkit.VLAN{ID: 1}}
	_, err := netkit.Plan(nil, []netkit.Link{a, b})
	require.ErrorContains(t, err, "stands on itself")
	br := netkit.Link{Name: "br0", Kind: netkit.KindBridge}
	_, err = netkit.Plan(nil, []netkit.Link{br, br})
	require.ErrorContains(t, err, "is wanted twice")
}

func TestShortName(t *testing.T) {
	require.Equal(t, "vmbr0v5", netkit.ShortName("vmbr0v5"))
	one, two := netkit.ShortName("enp129s0f1np1.4001"), netkit.ShortName("enp129s0f1np1.4002")
	require.NotEqual(t, one, two)
	require.Equal(t, one, netkit.ShortName("enp129s0f1np1.4001"))
	for _, n := range []string{one, two, netkit.ShortName(strings.Repeat("x", 200))} {
		require.NoError(t, netkit.CheckName(n))
	}
}
