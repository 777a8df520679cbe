package interfaces

import "strings"

// aliases are other spellings of options in the file, by the name under which they are kept.
var aliases = map[string]string{
	"ovs_mtu":               "mtu",
	"bond-slaves":           "slaves",
	"bond_slaves":           "slaves",
	"bond-mode":             "bond_mode",
	"bond-miimon":           "bond_miimon",
	"bond-xmit-hash-policy": "bond_xmit_hash_policy",
	"bridge-ports":          "bridge_ports",
	"bridge-stp":            "bridge_stp",
	"bridge-fd":             "bridge_fd",
	"bridge-vlan-aware":     "bridge_vlan_aware",
	"bridge-vids":           "bridge_vids",
}

// familyKeys are the options that inet6 stanzas have of their own, named with a 6.
var familyKeys = keySet("address netmask broadcast gateway")

// textKeys are the options that are kept as they are.
var textKeys = keySet(`address netmask broadcast gateway mtu bridge_fd bridge_vids bond_miimon bond_xmit_hash_policy bond-primary
	ovs_type ovs_options ovs_bridge ovs_bonds ovs_ports vlan-raw-device vlan-id vlan-protocol link-type uplink-id
	vxlan-id vxlan-svcnodeip vxlan-physdev vxlan-local-tunnelip bridge-access bridge-learning bridge-arp-nd-suppress
	bridge-unicast-flood bridge-multicast-flood bridge-disable-mac-learning`)

// bondModes are the kernel's numbers of bonding modes. See Documentation/networking/bonding.rst: mode.
var bondModes = map[string]string{
	"0": "balance-rr", "1": "active-backup", "2": "balance-xor", "3": "broadcast", "4": "802.3ad", "5": "balance-tlb", "6": "balance-alb",
}

// memberKeys are the properties that list other interfaces. An interface is a member of one at most.
var memberKeys = []string{"bridge_ports", "ovs_ports", "slaves", "ovs_bonds"}

// portKeys are the options of ports of bridges.
var portKeys = []string{"bridge-learning", "bridge-arp-nd-suppress", "bridge-unicast-flood", "bridge-multicast-flood", "bridge-access"}

func keySet(list string) map[string]bool {
	set := map[string]bool{}
	for _, key := range strings.Fields(list) {
		set[key] = true
	}
	return set
}
