package hostnet

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/hostnet/interfaces"
	"github.com/turtacn/go-proxmox/netkit"
)

// planned is the plan from one file to another on a node with the given links, and its notes.
func planned(t *testing.T, former, text string, links ...netkit.Link) (string, []string) {
	t.Helper()
	have := netkit.State{Links: links}
	live := liveOf(links)
	w, err := desired(interfaces.Parse(text, live), interfaces.Parse(former, live), have, func(name string) bool { return name == "vmbr99" })
	require.NoError(t, err)
	steps, err := netkit.PlanState(have, w.want, w.gone)
	require.NoError(t, err)
	return steps.String(), w.notes
}

func nic(name string, more ...func(*netkit.Link)) netkit.Link {
	l := netkit.Link{Name: name, Kind: netkit.KindPhysical, Up: true, MTU: 1500}
	for _, m := range more {
		m(&l)
	}
	return l
}

const bonded = `iface eno1 inet manual

iface eno2 inet manual

auto bond0
iface bond0 inet manual
	bond-slaves eno1 eno2
	bond-miimon 50
	bond-mode active-backup
	bond-primary eno1

auto vmbr0
iface vmbr0 inet manual
	bridge-ports bond0
	bridge-stp off
	bridge-fd 0
	bridge-vlan-aware yes
	bridge-vids 2-50 100

auto vmbr0.5
iface vmbr0.5 inet static
	address 10.5.0.1/24

auto vx9
iface vx9 inet manual
	vxlan-id 9
	vxlan-local-tunnelip 10.5.0.1
	vxlan-remoteip 10.5.0.2
	vxlan-remoteip 10.5.0.3
`

func TestDesiredFromScratch(t *testing.T) {
	plan, notes := planned(t, "", bonded, nic("eno1"), nic("eno2"))
	require.Empty(t, notes)
	require.Equal(t, strings.Join([]string{
		"create bridge vmbr0", "vmbr0 bridge vlan-aware=true pvid=1 stp=false forward-delay=0s", "vmbr0 vlan 5", "vmbr0 up",
		"create bond bond0 mode active-backup", "bond0 master vmbr0", "bond0 vlan 2-50,100", "bond0 up",
		"eno1 down", "eno1 master bond0", "eno1 up", "eno2 down", "eno2 master bond0", "eno2 up",
		"create vlan vmbr0.5 on vmbr0 id 5 802.1Q", "vmbr0.5 address 10.5.0.1/24", "vmbr0.5 up",
		"create vxlan vx9 id 9 port 4789", "vx9 remote 10.5.0.2", "vx9 remote 10.5.0.3", "vx9 up",
	}, "\n"), plan)
}

func TestDesiredDifferences(t *testing.T) {
	static := func(rest string) string { return "auto eno1\niface eno1 inet static\n\taddress 192.0.2.1/24\n" + rest }
	withAddr := func(list ...string) func(*netkit.Link) {
		return func(l *netkit.Link) {
			for _, a := range list {
				l.Addrs = append(l.Addrs, netip.MustParsePrefix(a))
			}
		}
	}
	vmbr1 := netkit.Link{Name: "vmbr1", Kind: netkit.KindBridge, Up: true, Bridge: &netkit.Bridge{PVID: 1}}
	vmbr1Text := "\nauto vmbr1\niface vmbr1 inet manual\n\tbridge-ports none\n"
	for name, tc := range map[string]struct {
		former, text string
		links        []netkit.Link
		plan         string
		notes        []string
	}{
		"nothing": {former: static(""), text: static(""), links: []netkit.Link{nic("eno1", withAddr("192.0.2.1/24"))}},
		"an address of nobody's file stays": {
			former: static(""), text: strings.ReplaceAll(static(""), "2.1/24", "2.7/24"), links: []netkit.Link{nic("eno1", withAddr("192.0.2.1/24", "198.51.100.1/24"))},
			plan: "eno1 no-address 192.0.2.1/24\neno1 address 192.0.2.7/24",
		},
		"a bridge that is gone from the file": {
			former: vmbr1Text, links: []netkit.Link{vmbr1, {Name: "tap100i0", Kind: netkit.KindTap, Master: "vmbr1"}, {Name: "docker0", Kind: netkit.KindBridge}},
			plan: "vmbr1 delete", notes: []string{"vmbr1: the guest behind tap100i0 loses its network"},
		},
		"the daemon's own bridge": {
			former: strings.ReplaceAll(vmbr1Text, "vmbr1", "vmbr99"), links: []netkit.Link{{Name: "vmbr99", Kind: netkit.KindBridge}},
		},
		"a NIC that is gone from the file keeps nothing of it": {
			former: static(""), text: "", links: []netkit.Link{nic("eno1", withAddr("192.0.2.1/24"))}, plan: "eno1 no-address 192.0.2.1/24",
		},
		"a NIC leaves its bridge": {
			former: "auto vmbr1\niface vmbr1 inet manual\n\tbridge-ports eno1\n", text: vmbr1Text[1:],
			links: []netkit.Link{vmbr1, nic("eno1", func(l *netkit.Link) { l.Master = "vmbr1"; l.Port = &netkit.Port{} })}, plan: "eno1 nomaster",
		},
		"a NIC of a stranger's bridge": {
			text: static(""), links: []netkit.Link{nic("eno1", withAddr("192.0.2.1/24"), func(l *netkit.Link) { l.Master = "ovs-system" }), {Name: "ovs-system", Kind: netkit.KindBridge}},
		},
		"missing hardware": {
			text: "auto vmbr1\niface vmbr1 inet manual\n\tbridge-ports eno7\n\niface eno7 inet manual\n", links: []netkit.Link{vmbr1}, notes: []string{"eno7: interface is not there"},
		},
		"another MTU, and back": {
			former: static("\tmtu 9000\n"), text: static(""), links: []netkit.Link{nic("eno1", withAddr("192.0.2.1/24"), func(l *netkit.Link) { l.MTU = 9000 })}, plan: "eno1 mtu 1500",
		},
		"what a shell or a DHCP client would do": {
			text: "auto eno1\niface eno1 inet dhcp\n\tpost-up echo hello\n\thwaddress ether 02:00:00:00:00:01\n", links: []netkit.Link{nic("eno1", withAddr("10.0.0.7/8"))},
			plan:  "eno1 mac 02:00:00:00:00:01",
			notes: []string{"eno1: method dhcp takes effect at the next start of the node", "eno1: 'post-up echo hello' takes effect at the next start of the node"},
		},
		"an alias and a further name": {
			text:  "auto eno1\niface eno1 inet manual\n\nauto eno1:1\niface eno1:1 inet static\n\taddress 192.0.2.9/24\n",
			links: []netkit.Link{nic("enp1s0", func(l *netkit.Link) { l.AltNames = []string{"eno1"} })}, plan: "enp1s0 address 192.0.2.9/24",
		},
		"a VLAN device that becomes a bridge": {
			former: "auto x\niface x inet manual\n\tvlan-raw-device eno1\n\tvlan-id 5\n", text: "auto x\niface x inet manual\n\tbridge-ports none\n",
			links: []netkit.Link{nic("eno1"), {Name: "x", Kind: netkit.KindVLAN, Parent: "eno1", VLAN: &netkit.VLAN{ID: 5}}},
			plan:  "x delete\ncreate bridge x\nx bridge vlan-aware=false pvid=0 stp=false forward-delay=0s\nx up",
		},
		"port options": {
			text:  "auto vmbr1\niface vmbr1 inet manual\n\tbridge-ports eno1\n\tbridge-vlan-aware yes\n\niface eno1 inet manual\n\tbridge-access 7\n\tbridge-learning off\n",
			links: []netkit.Link{{Name: "vmbr1", Kind: netkit.KindBridge, Up: true, Bridge: &netkit.Bridge{VLANAware: true, PVID: 1}}, nic("eno1")},
			plan:  "eno1 master vmbr1\neno1 port no-learning\neno1 no-vlan 1\neno1 pvid 7",
		},
	} {
		t.Run(name, func(t *testing.T) {
			plan, notes := planned(t, tc.former, tc.text, tc.links...)
			require.Equal(t, tc.plan, plan)
			require.Equal(t, tc.notes, notes)
		})
	}
}
