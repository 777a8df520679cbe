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
		"leave the bridge, go down, new MAC": {
			have: []netkit.Link{bridge, tap},
			want: []netkit.Link{with(tap, func(l *netkit.Link) {
				l.Master, l.Up, l.MAC = "", false, net.HardwareAddr{2, 0, 0, 0, 0, 1}
			})},
			plan: "tap7i0 down\ntap7i0 mac 02:00:00:00:00:01\ntap7i0 nomaster",
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
		"missing bridge":      {netkit.Link{Name: "tap1i0", Kind: netkit.KindTap, Master: "vmbr9"}, netkit.ErrNotFound},
		"master is no bridge": {netkit.Link{Name: "tap1i0", Kind: netkit.KindTap, Master: "eth0"}, netkit.ErrBadLink},
		"name taken":          {netkit.Link{Name: "eth0", Kind: netkit.KindBridge}, netkit.ErrExists},
		"own master":          {netkit.Link{Name: "br0", Kind: netkit.KindBridge, Master: "br0"}, netkit.ErrBadLink},
		"foreign kind":        {netkit.Link{Name: "eth1", Kind: "device"}, netkit.ErrBadLink},
		"multicast MAC":       {netkit.Link{Name: "br0", Kind: netkit.KindBridge, MAC: net.HardwareAddr{1, 0, 0, 0, 0, 1}}, netkit.ErrBadLink},
		"tiny MTU":            {netkit.Link{Name: "br0", Kind: netkit.KindBridge, MTU: 12}, netkit.ErrBadLink},
		"zero address":        {netkit.Link{Name: "br0", Kind: netkit.KindBridge, Addrs: make([]netip.Prefix, 1)}, netkit.ErrBadLink},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := netkit.Plan([]netkit.Link{nic}, []netkit.Link{tc.want})
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
