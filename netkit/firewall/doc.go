// Package firewall is Proxmox VE's firewall: its files, its verdicts, and one nftables ruleset that has the same verdicts.
//
// Three parts, each usable alone:
//
//   - [Parse] and [Config.Text] read and write the .fw files of cluster, hosts, guests and vnets.
//   - [World.Verdict] tells what happens to a packet, and why: the order of evaluation of the iptables generation.
//   - [World.Compile] makes a [Ruleset], a plain value: printable (String is input of nft), deterministic, and applied by
//     [Conn.Apply] in one transaction which leaves alone what has not changed.
//
// In short:
//
//	cluster, warnings, err := firewall.Parse(text, firewall.Cluster, nil)
//	guest, _, err := firewall.Parse(text, firewall.Guest, &firewall.Scope{Cluster: cluster})
//	w := &firewall.World{Cluster: cluster, Guests: []firewall.GuestConfig{{ID: 100, Config: guest, NICs: nics}}}
//	decision := w.Verdict(&firewall.Packet{From: firewall.GuestNIC(100, 0), To: firewall.Outside("vmbr0"), …})
//	rules := w.Compile()
//	report, err := conn.Apply(ctx, rules)
//
// The ruleset needs no bridge of its own per NIC: taps are ports of the user's bridge, and a table of the bridge family
// filters what enters and leaves by them. A packet finds its guest by one look-up, and rules that differ only by their
// values share a verdict map, so matching does not grow with guests or rules.
//
// Who compiles again and again does so with a [Compiler], which takes over what has not changed, and Apply goes by that: one
// guest's rule costs what that guest costs, however many others there are. A map of many rules stays the same map while its
// elements change.
//
// Ports are closed before they are open: [Conn.Guard] drops all frames of a port until Apply has put the rules of its guest
// in and read them back.
//
// Three things are coarser in the ruleset than in the verdict, since a bridge can only answer where a frame comes in:
// a guest's rejection of what the node itself sends or routes is a drop; so is that of whois (TCP port 43 over IPv6), which
// Proxmox's policies reject, by a guest that rejects nothing else; and a guest's rejections are answered to whoever sends to
// its MAC on its bridge, whatever the VLAN.
//
// A Conn remembers what the kernel held after its last change, and the kernel numbers the changes of a namespace's ruleset: while
// nobody else changes rules, Apply reads nothing before it writes, and each transaction is refused by the kernel if somebody
// was faster. What a transaction touched is read back; of sets with thousands of elements, elements between which no message of
// the transaction fits.
//
// What is not here: the forward direction and vnet files are read and written but have no effect, as in the iptables
// generation. Setting the sysctls of [Sysctls] and the reading of Proxmox's
// guest configurations belong to others; package nflog reads what rules log.
//
// Everything but Conn is pure. Values may be read by any number of goroutines as long as none changes them; a Compiler is for
// one goroutine at a time; a Conn is safe for concurrent use, with one Apply at a time. Apply needs CAP_NET_ADMIN, and nf_conntrack_bridge, nft_meta_bridge and
// nft_reject_bridge where guests are filtered.
package firewall
