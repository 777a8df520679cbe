package interfaces_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/hostnet/interfaces"
)

// format returns the text without the comments in front.
func format(t *testing.T, f *interfaces.File) string {
	t.Helper()
	text, err := f.Format()
	require.NoError(t, err)
	_, body, ok := strings.Cut(text, "\n\n")
	require.True(t, ok)
	return body
}

const whole = `auto lo
iface lo inet loopback

source /etc/network/interfaces.d/*

iface eno1 inet manual
	mtu 9000
	hwaddress ether 02:00:00:00:00:01

iface eno2 inet manual

auto bond0
iface bond0 inet manual
	bond-slaves eno3 eno4
	bond-miimon 100
	bond-mode 802.3ad
	bond-xmit-hash-policy layer2+3

auto br0
iface br0 inet static
	address 192.0.2.10/24
	gateway 192.0.2.1
	bridge-ports eno1
	bridge-stp on
	bridge-fd 15
	bridge-vlan-aware yes
	bridge-vids 2-50
	mtu 9000
	up ip route add 198.51.100.0/24 via 192.0.2.9
# uplink

iface br0 inet6 static
	address 2001:db8::a/64

auto br0.30
iface br0.30
	address 198.51.100.2/24
	address 2001:db8:1::2/64

`

func TestRewriteIsStable(t *testing.T) {
	host := host
	host.Links = append(slices.Clone(host.Links), interfaces.Link{Name: "eno3", Physical: true}, interfaces.Link{Name: "eno4", Physical: true})
	text := format(t, interfaces.Parse(whole, host))
	again := strings.Replace(whole, "iface eno2 inet manual\n", "iface eno2 inet manual\n\nauto eno3\niface eno3 inet manual\n\nauto eno4\niface eno4 inet manual\n", 1)
	require.Equal(t, again, text, "links that the file does not mention are named, members of a bond are started")
	require.Equal(t, again, format(t, interfaces.Parse(text, host)))
}

func TestNewEntriesComeLast(t *testing.T) {
	f := interfaces.Parse("iface eno1 inet manual\n\niface br5 inet manual\n bridge-ports none\n\nsource x\n", interfaces.Live{})
	f.Ifaces["br1"] = entry{"type": "bridge", "families": inet, "method": "static", "cidr": "192.0.2.1/24", "bridge_ports": "eno1", "autostart": 1, "comments": " mine\n"}
	require.Equal(t, `auto lo
iface lo inet loopback

iface eno1 inet manual

iface br5 inet manual
	bridge-ports none
	bridge-stp off
	bridge-fd 0

auto br1
iface br1 inet static
	address 192.0.2.1/24
	bridge-ports eno1
	bridge-stp off
	bridge-fd 0
# mine

source x
`, format(t, f))
	require.Equal(t, "192.0.2.1/24", f.Ifaces["br1"].Text("cidr"), "the file itself is not changed")
}

func TestOpenVSwitch(t *testing.T) {
	f := interfaces.Parse(`iface bond9 inet manual
	ovs_type OVSBond
	ovs_bonds eno1 eno2
	ovs_options bond_mode=balance-slb lacp=active tag=5
	ovs_bridge ob

iface ob inet manual
	ovs_type OVSBridge
	ovs_ports bond9

iface eno3 inet manual
	ovs_type OVSPort
	ovs_bridge ob
`, interfaces.Live{Links: []interfaces.Link{{Name: "eno1", Physical: true}, {Name: "eno2", Physical: true}}})
	require.Equal(t, `auto lo
iface lo inet loopback

auto eno1
iface eno1 inet manual

auto eno2
iface eno2 inet manual

iface eno3 inet manual

auto bond9
iface bond9 inet manual
	ovs_bonds eno1 eno2
	ovs_type OVSBond
	ovs_bridge ob
	ovs_options tag=5 lacp=active bond_mode=balance-slb

iface ob inet manual
	ovs_type OVSBridge
	ovs_ports bond9

`, format(t, f), "a port that no bridge lists is a plain interface")
}

func TestRefusals(t *testing.T) {
	eth := func(more ...string) entry {
		e := entry{"type": "eth", "method": "manual", "families": inet}
		for i := 0; i < len(more); i += 2 {
			e[more[i]] = more[i+1]
		}
		return e
	}
	typed := func(typ string, more ...string) entry {
		e := eth(more...)
		e["type"] = typ
		return e
	}
	for want, ifaces := range map[string]map[string]entry{
		"port 'a' is already used on interface 'x'":                                                                   {"x": typed("bridge", "bridge_ports", "a"), "y": typed("bond", "slaves", "a"), "a": eth()},
		"OVS bridge 'o' - unable to find port 'p'":                                                                    {"o": typed("OVSBridge", "ovs_ports", "p")},
		"interface 'p' is not defined as OVS port/bond":                                                               {"o": typed("OVSBridge", "ovs_ports", "p"), "p": typed("bond")},
		"OVS bond 'c' - wrong interface type on slave 'p' ('bond' != 'eth')":                                          {"o": typed("OVSBridge", "ovs_ports", "c"), "c": typed("OVSBond", "ovs_bonds", "p"), "p": typed("bond")},
		"bond 'c' - wrong interface type on slave 'p' ('' != 'eth or bond')":                                          {"c": typed("bond", "slaves", "p")},
		"bond 'c' - bond-primary interface is not a slave":                                                            {"c": typed("bond", "slaves", "p", "bond-primary", "q"), "p": eth()},
		"iface y - duplicate vxlan-id 4 already used in x":                                                            {"x": typed("vxlan", "vxlan-id", "4"), "y": typed("vxlan", "vxlan-id", "4")},
		"iface x - vxlan-svcnodeip, vxlan-remoteip and vxlan-localtunnelip are mutually exclusive":                    {"x": typed("vxlan", "vxlan-svcnodeip", "a", "vxlan-remoteip", "b")},
		"iface x - vxlan-svcnodeip and vxlan-physdev must be define together":                                         {"x": typed("vxlan", "vxlan-physdev", "a")},
		"missing vlan-raw-device option":                                                                              {"x": typed("vlan", "vlan-id", "4")},
		"missing vlan-id option":                                                                                      {"x": typed("vlan", "vlan-raw-device", "a"), "a": eth()},
		"vlan 'a.5000' - vlan-id 5000 should be <= 4094":                                                              {"a.5000": typed("vlan"), "a": eth()},
		"vlan 'a.5' - unable to find parent 'a'":                                                                      {"a.5": typed("vlan")},
		"vlan 'a.5' - wrong interface type on parent 'a' ('unknown' != 'eth|bond|bridge|vlan' )":                      {"a.5": typed("vlan"), "a": typed("unknown")},
		"interface 'x' - uplink-id 1 is only allowed on physical and linux bond interfaces":                           {"x": typed("bridge", "uplink-id", "1")},
		"interface 'y' - uplink-id 1 is already assigned on 'x'":                                                      {"x": eth("uplink-id", "1"), "y": eth("uplink-id", "1")},
		"bridge 'b' - unable to find bridge port 'a'":                                                                 {"b": typed("bridge", "bridge_ports", "a")},
		"iface a - ip address can't be set on interface if bridged in b":                                              {"b": typed("bridge", "bridge_ports", "a"), "a": eth("method", "static", "address", "192.0.2.1")},
		"interface 'a' - mtu 1500 is lower than 'b' - mtu 9000":                                                       {"b": typed("bridge", "bridge_ports", "a", "mtu", "9000"), "a": eth()},
		"interface 'a' - mtu 1400 is lower than 'a.5' - mtu 1500":                                                     {"a.5": typed("vlan", "mtu", "1500"), "a": eth("mtu", "1400")},
		"iface a - bridge-learning: bridge port specific options can be used only on interfaces attached to a bridge": {"a": eth("bridge-learning", "on")},
		"iface a - bridge-access option can be only used if interface is in a vlan aware bridge":                      {"b": typed("bridge", "bridge_ports", "a"), "a": eth("bridge-access", "3")},
		"a.5: wrong vlan-protocol x":                                                                                  {"a.5": typed("vlan", "vlan-protocol", "x"), "a": eth()},
		"x: value of mtu contains a line feed":                                                                        {"x": eth("mtu", "1500\niface y inet manual")},
		"OVS does not support bond mode 'balance-rr":                                                                  {"o": typed("OVSBridge", "ovs_ports", "c"), "c": typed("OVSBond", "bond_mode", "balance-rr")},
	} {
		_, err := (&interfaces.File{Ifaces: ifaces}).Format()
		require.EqualError(t, err, want)
	}
}

// unordered are the interfaces without their places: the order of a file is not always transitive, so that a rewrite may
// change it.
func unordered(f *interfaces.File) map[string]entry {
	out := map[string]entry{}
	for name, e := range f.Ifaces {
		e = e.Clone()
		delete(e, "priority")
		out[name] = e
	}
	return out
}

func FuzzParse(f *testing.F) {
	f.Add(whole)
	f.Add("iface a:1\nallow-a b\n#\x00\niface a.0 inet6 \n")
	f.Add("iface x inet manual\n vlan-raw-device x\n netmask ::\n address /\n")
	f.Fuzz(func(t *testing.T, text string) {
		file := interfaces.Parse(text, host)
		once, err := file.Format()
		if err != nil {
			return
		}
		read := interfaces.Parse(once, host)
		for name, e := range read.Ifaces {
			require.NotContains(t, name, "\n")
			require.NotEmpty(t, e)
		}
		twice, err := read.Format()
		require.NoError(t, err, once)
		require.Equal(t, unordered(read), unordered(interfaces.Parse(twice, host)), once)
	})
}
