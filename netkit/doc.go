// Package netkit shapes the network of a host: bridges, taps, addresses and masquerading, in any network namespace.
//
// A namespace is a value ([NS]); every operation hangs off a [Conn] opened in one. Wanted links are described ([Link]),
// compared with what is there ([Plan], pure and printable) and made so ([Conn.Apply], idempotent):
//
//	conn, err := netkit.Dial(ctx, ns)
//	have, err := conn.Links(ctx)
//	plan, err := netkit.Plan(have, []netkit.Link{
//		{Name: "vmbr1", Kind: netkit.KindBridge, Up: true, Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}},
//		{Name: "tap100i0", Kind: netkit.KindTap, Up: true, Master: "vmbr1", Tap: netkit.Tap{Owner: 100000}},
//	})
//	err = conn.Apply(ctx, plan)
//
// It is no network manager: it does not own links it was not asked about, and does not watch.
//
// A Conn is safe for concurrent use once open; it keeps no thread. Changing links needs CAP_NET_ADMIN in the namespace,
// taps need /dev/net/tun. Lists are complete, or the error is [ErrInterrupted].
package netkit
