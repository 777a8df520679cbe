package interfaces_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/hostnet/interfaces"
)

type entry = interfaces.Entry

var inet = []interfaces.Family{interfaces.Inet}

// host has two NICs, one with another name, and a bridge.
var host = interfaces.Live{
	Links: []interfaces.Link{
		{Name: "lo"}, {Name: "eno1", Physical: true}, {Name: "eno2", Physical: true, AltNames: []string{"enp5s0", "nic7"}}, {Name: "br0"},
	},
	Up: []string{"lo", "eno1", "br0"},
}

func TestParse(t *testing.T) {
	f := interfaces.Parse(`# gone
source /etc/network/interfaces.d/*
auto lo
iface lo inet loopback

allow-hotplug eno1
iface eno1 inet manual
	hwaddress ether 02:00:00:00:00:01
	mtu 9000

auto br0
iface br0 inet static
	address 192.0.2.10/24
	gateway 192.0.2.1
	bridge-ports eno1 none
	bridge_stp yes
	bridge-vlan-aware no
	bridge-vids 2-50
	up ip route add 198.51.100.0/24 via 192.0.2.9
# uplink  
iface br0 inet6 static
	address 2001:db8::a
	netmask 64
	#six
	up true

`, host)
	require.Equal(t, []interfaces.Line{{Priority: 2, Text: "source /etc/network/interfaces.d/*"}}, f.Global)
	require.Equal(t, map[string]entry{
		"lo":   {"type": "loopback", "method": "loopback", "method6": "manual", "families": inet, "autostart": 1, "active": 1, "priority": 3},
		"eno1": {"type": "eth", "method": "manual", "method6": "manual", "families": inet, "autostart": 1, "active": 1, "exists": 1, "priority": 4, "mtu": "9000", "options": []string{"hwaddress ether 02:00:00:00:00:01"}},
		"eno2": {"type": "eth", "method": "manual", "method6": "manual", "families": inet, "exists": 1, "altnames": []string{"enp5s0", "nic7"}},
		"br0": {
			"type": "bridge", "method": "static", "method6": "static", "families": []interfaces.Family{interfaces.Inet, interfaces.Inet6}, "autostart": 1, "active": 1,
			"priority": 5, "address": "192.0.2.10", "netmask": "24", "cidr": "192.0.2.10/24", "gateway": "192.0.2.1", "address6": "2001:db8::a", "netmask6": "64",
			"cidr6": "2001:db8::a/64", "bridge_ports": "eno1", "bridge_stp": "on", "bridge_vlan_aware": 1, "bridge_vids": "2-50",
			"options": []string{"up ip route add 198.51.100.0/24 via 192.0.2.9"}, "options6": []string{"up true"}, "comments": " uplink\nsix\n",
		},
	}, f.Ifaces)
}

// one parses a stanza and returns its entry.
func one(t *testing.T, name, text string) entry {
	t.Helper()
	e := interfaces.Parse(text, interfaces.Live{}).Ifaces[name]
	require.NotNil(t, e)
	return e
}

func TestTypes(t *testing.T) {
	for text, want := range map[string]entry{
		"iface eno1 inet manual":                                                                     {"type": "eth"},
		"iface nic3 inet manual":                                                                     {"type": "eth"},
		"iface wlan0 inet dhcp":                                                                      {"type": "unknown", "method": "dhcp"},
		"iface eno1:3 inet manual":                                                                   {"type": "alias", "exists": 0},
		"iface eno1.30 inet manual":                                                                  {"type": "vlan", "vlan-id": "30", "vlan-raw-device": "eno1", "exists": 0},
		"iface eno1.30.4 inet manual":                                                                {"type": "vlan", "vlan-id": "4", "vlan-raw-device": "eno1.30", "exists": 0},
		"iface dm0 inet manual\n link-type dummy":                                                    {"type": "dummy", "link-type": "dummy"},
		"iface vlan12 inet manual\n vlan-raw-device eno1":                                            {"type": "vlan", "vlan-id": "12", "vlan-raw-device": "eno1", "exists": 0},
		"iface store inet manual\n vlan-raw-device eno1\n vlan-id 5":                                 {"type": "vlan", "vlan-id": "5", "vlan-raw-device": "eno1", "exists": 0},
		"iface bond0 inet manual\n bond-mode 1\n bond-slaves b a\n bond_slaves c":                    {"type": "bond", "bond_mode": "active-backup", "slaves": "a b c"},
		"iface team inet manual\n bond-slaves a":                                                     {"type": "unknown", "slaves": "a"},
		"iface vmbr1 inet manual\n bridge-ports none":                                                {"type": "bridge", "bridge_ports": "", "bridge_stp": "off", "bridge_fd": 0},
		"iface vmbr1 inet manual\n bridge-ports x\n bridge-fd 3":                                     {"type": "bridge", "bridge_ports": "x", "bridge_stp": "off", "bridge_fd": "3"},
		"iface x inet manual\n vxlan-id 7\n vxlan-remoteip 192.0.2.1\n vxlan-remoteip 192.0.2.2":     {"type": "vxlan", "vxlan-id": "7", "vxlan-remoteip": []string{"192.0.2.1", "192.0.2.2"}},
		"iface ob inet manual\n ovs_type OVSBridge\n ovs_mtu 1400":                                   {"type": "OVSBridge", "ovs_type": "OVSBridge", "mtu": "1400"},
		"iface oi inet manual\n ovs_type OVSIntPort\n ovs_options tag=3 vlan_mode=access":            {"type": "OVSIntPort", "ovs_type": "OVSIntPort", "ovs_tag": "3", "ovs_options": "vlan_mode=access"},
		"iface eno1 inet manual\n ovs_type OVSPort\n ovs_options tag=3":                              {"type": "OVSPort", "ovs_type": "OVSPort", "ovs_tag": "3"},
		"iface eno1 inet manual\n ovs_type OVSBond":                                                  {"type": "unknown", "ovs_type": "OVSBond"},
		"iface bond1 inet manual\n ovs_type OVSBond\n ovs_options bond_mode=balance-slb lacp=active": {"type": "OVSBond", "ovs_type": "OVSBond", "bond_mode": "lacp-balance-slb"},
		"iface bond1 inet manual\n ovs_type other":                                                   {"type": "unknown", "ovs_type": "other"},
	} {
		name := strings.Fields(text)[1]
		got := one(t, name, text+"\n")
		for key, def := range map[string]any{"method": "manual", "method6": "manual", "families": inet, "priority": 2} {
			if _, ok := want[key]; !ok {
				want[key] = def
			}
		}
		require.Equal(t, want, got, text)
	}
}

func TestParentThatIsNowhere(t *testing.T) {
	f := interfaces.Parse("iface eno9.5 inet manual\n\niface br0 inet manual\n bridge-ports none\n\niface br0.7 inet manual\n", interfaces.Live{})
	require.Equal(t, entry{"exists": 0}, f.Ifaces["eno9"])
	v, there := f.Ifaces["br0.7"]["exists"]
	require.True(t, there)
	require.Nil(t, v, "whether a bridge exists is not known")
}

func TestAddresses(t *testing.T) {
	for text, want := range map[string][4]string{ // cidr, address, netmask, suffix
		"inet static\n address 192.0.2.1/25":                       {"192.0.2.1/25", "192.0.2.1", "25", ""},
		"inet static\n address 192.0.2.1\n netmask 26":             {"192.0.2.1/26", "192.0.2.1", "26", ""},
		"inet static\n address 192.0.2.1\n netmask 255.255.252.0":  {"192.0.2.1/22", "192.0.2.1", "22", ""},
		"inet static\n address 192.0.2.1\n netmask 255.0.255.0":    {"192.0.2.1/32", "192.0.2.1", "255.0.255.0", ""},
		"inet static\n address 192.0.2.1\n netmask 0":              {"192.0.2.1/32", "192.0.2.1", "0", ""},
		"inet static\n address 192.0.2.1":                          {"192.0.2.1/32", "192.0.2.1", "", ""},
		"inet6 static\n address 2001:db8::1":                       {"2001:db8::1/128", "2001:db8::1", "", "6"},
		"inet6 static\n address 2001:db8::1\n netmask 255.255.0.0": {"2001:db8::1/128", "2001:db8::1", "255.255.0.0", "6"},
		"\n address 2001:db8::1/64":                                {"2001:db8::1/64", "2001:db8::1", "64", "6"},
		"\n address 192.0.2.1/24":                                  {"192.0.2.1/24", "192.0.2.1", "24", ""},
	} {
		e := one(t, "x", "iface x "+text+"\n")
		s := want[3]
		require.Equal(t, want, [4]string{e.Text("cidr" + s), e.Text("address" + s), e.Text("netmask" + s), s}, text)
	}
}

func TestGlobalLines(t *testing.T) {
	f := interfaces.Parse(`iface a inet manual
mapping eth0
	script /bin/x
iface bad line here now
	address 192.0.2.1/24
iface b inet manual
lonely
	key after
}
allow-ob p1 p2
allow-zz p1
auto c
iface ob inet manual
	ovs_type OVSBridge
	ovs_ports p1
`, interfaces.Live{})
	var lines []string
	for _, l := range f.Global {
		lines = append(lines, l.Text)
	}
	require.Equal(t, []string{"mapping eth0", "\tscript /bin/x", "iface bad line here now", "\taddress 192.0.2.1/24", "lonely", "\tkey after", "allow-ob p2", "allow-zz p1"}, lines)
	require.Equal(t, "unknown", f.Ifaces["c"].Type(), "auto alone makes an interface")
	require.Nil(t, f.Ifaces["c"]["priority"])
	require.Equal(t, entry{"type": "loopback", "method": "loopback", "method6": "manual", "families": inet, "autostart": 1, "priority": 1}, f.Ifaces["lo"])
}

func TestRepeatedFamily(t *testing.T) {
	e := one(t, "x", "iface x inet dhcp\n up a\n#one\n\niface x inet static\n address 192.0.2.1/24\n")
	require.Equal(t, []interfaces.Family{"inet", "inet"}, e.Families())
	require.Equal(t, "static", e.Text("method"))
	require.Nil(t, e.Strings("options"))
	require.Empty(t, e.Text("comments"))
}

func TestAltName(t *testing.T) {
	f := interfaces.Parse("iface nic7 inet manual\n", host)
	require.Equal(t, entry{"type": "eth", "method": "manual", "method6": "manual", "families": inet, "exists": 1, "priority": 2, "altnames": []string{"eno2", "enp5s0"}}, f.Ifaces["nic7"])
	require.Nil(t, f.Ifaces["eno2"])
}

func TestJSON(t *testing.T) {
	e := one(t, "x", "iface x\n address 192.0.2.1/24\n bridge-ports none\n bridge-vlan-aware yes\n up true\n")
	text, err := json.Marshal(e)
	require.NoError(t, err)
	require.JSONEq(t, `{"type":"bridge","families":[null],"method":"manual","method6":"manual","priority":2,"address":"192.0.2.1","netmask":"24","cidr":"192.0.2.1/24",
		"bridge_ports":"","bridge_stp":"off","bridge_fd":0,"bridge_vlan_aware":1,"options":["up true"]}`, string(text))
	var back entry
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, e, back)
	require.NoError(t, json.Unmarshal([]byte(`{"a":true,"b":false,"c":{},"d":["x",1],"e":null}`), &back))
	require.Equal(t, entry{"a": 1, "b": 0, "c": nil, "d": []string{"x"}, "e": nil}, back)
	require.Error(t, json.Unmarshal([]byte(`{"families":7}`), &back))
}
