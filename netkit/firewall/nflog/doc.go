// Package nflog reads what nftables and iptables rules log to a group of the kernel (NFLOG), and prints packets as the
// kernel's own log does.
//
//	conn, err := nflog.Listen(ctx, ns, 0)
//	for {
//		p, err := conn.Next(ctx)
//		fmt.Println(p.Time, p.Prefix, p)
//	}
//
// One program at a time may listen to a group of a namespace; a second gets [ErrBusy]. Packets that are logged faster than they
// are read are lost, and counted in [Conn.Lost]. Listening needs CAP_NET_ADMIN in the namespace.
//
// Parsing is pure and never fails on hostile packets: parts that cannot be read are left out.
package nflog
