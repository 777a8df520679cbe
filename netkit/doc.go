// Package netkit shapes the network of a host: bridges with their ports' VLANs, bonds, VLANs, VXLANs, taps, cables,
// addresses, routes, rules, limits and masquerading, in any network namespace.
//
// A namespace is a value ([NS]); every operation hangs off a [Conn] opened in one. Wanted links are described ([Link]),
// compared with what is there ([Plan], pure and printable) and made so ([Conn.Apply], idempotent):
//
//	conn, err := netkit.Dial(ctx, ns)
//	have, err := conn.Links(ctx)
//	plan, err := netkit.Plan(have, []netkit.Link{
//		{Name: "vmbr1", Kind: netkit.KindBridge, Up: true, Bridge: &netkit.Bridge{VLANAware: true, PVID: 1}},
//		{Name: "tap100i0", Kind: netkit.KindTap, Up: true, Master: "vmbr1", Port: &netkit.Port{PVID: 5}, Tap: netkit.Tap{Owner: 100000}},
//	})
//	err = conn.Apply(ctx, plan)
//
// [Conn.Links] reads all links; [Conn.Lookup] reads a few, completely, at a cost that does not grow with their number.
// [PlanState] also plans routes, rules and permanent neighbours, from [Conn.State].
//
// It is no network manager: it does not own links it was not asked about, and does not watch. Names that the kernel cannot
// hold are refused, never cut; [ShortName] maps them.
//
// A Conn is safe for concurrent use once open; it keeps no thread. Two that change the same link at once do not harm each
// other: a step whose effect is there succeeds, one whose link is gone or has become another is [ErrNotFound], and planning
// anew goes on from what is there. Changing links needs CAP_NET_ADMIN in the namespace, taps need /dev/net/tun. What the kernel
// lacks is an [UnsupportedError]. Lists are complete, or the error is [ErrInterrupted].
package netkit
