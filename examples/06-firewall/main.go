// Command 06-firewall asks Proxmox's firewall files what becomes of packets, and has the kernel filter by them.
//
//	go run ./examples/06-firewall
//
// The verdicts need nothing but the texts. As root, the same texts become one nftables ruleset, which is put into a network
// namespace of its own: nothing of the host changes.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"

	"github.com/turtacn/go-proxmox/netkit"
	"github.com/turtacn/go-proxmox/netkit/firewall"
)

// clusterFile is cluster.fw: what all nodes and guests share.
const clusterFile = `[OPTIONS]
enable: 1

[IPSET office]
192.0.2.0/24
!192.0.2.66 # the printer

[group web]
IN HTTP(ACCEPT)
IN HTTPS(ACCEPT)
`

// guestFile is 100.fw: a web server that its owners reach by SSH.
const guestFile = `[OPTIONS]
enable: 1
policy_in: DROP

[RULES]
GROUP web
IN SSH(ACCEPT) -source +office
OUT REJECT -p tcp -dport 25
`

func main() {
	if err := run(context.Background(), os.Stdout, os.Geteuid() == 0); err != nil {
		fmt.Fprintln(os.Stderr, "06-firewall:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, root bool) error {
	world, err := read()
	if err != nil {
		return err
	}
	for _, from := range []string{"192.0.2.7", "192.0.2.66", "198.51.100.1"} {
		for _, port := range []uint16{22, 443} {
			d := world.Verdict(&firewall.Packet{
				From: firewall.Outside("vmbr0"), To: firewall.GuestNIC(100, 0),
				Src: netip.MustParseAddr(from), Dst: netip.MustParseAddr("192.0.2.100"), Proto: 6, SrcPort: 40000, DstPort: port,
			})
			fmt.Fprintf(out, "%s to port %d: %s\n", from, port, d.Action)
		}
	}
	if !root {
		fmt.Fprintln(out, "the kernel's part needs root")
		return nil
	}
	return apply(ctx, out, world)
}

// read makes the world of one node with one guest.
func read() (*firewall.World, error) {
	cluster, warnings, err := firewall.Parse(clusterFile, firewall.Cluster, nil)
	if err != nil {
		return nil, err
	}
	guest, more, err := firewall.Parse(guestFile, firewall.Guest, &firewall.Scope{Cluster: cluster})
	if err != nil {
		return nil, err
	}
	for _, w := range append(warnings, more...) {
		fmt.Fprintln(os.Stderr, w)
	}
	card := firewall.NIC{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, Bridge: "vmbr0", Firewall: true}
	return &firewall.World{Cluster: cluster, Guests: []firewall.GuestConfig{{ID: 100, Config: guest, NICs: []firewall.NIC{card}}}}, nil
}

// apply closes the guest's port, puts the rules in, and shows that a second time changes nothing.
func apply(ctx context.Context, out io.Writer, world *firewall.World) error {
	ns, err := netkit.NewNS()
	if err != nil {
		return err
	}
	defer ns.Close()
	conn, err := firewall.Dial(ctx, ns)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.Guard(ctx, "tap100i0"); err != nil {
		return err
	}
	for range 2 {
		report, err := conn.Apply(ctx, world.Compile())
		if errors.Is(err, errors.ErrUnsupported) { // the port stays closed
			fmt.Fprintf(out, "closed: %v: %v\n", report.Closed, err)
			return nil
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%d changes, opened: %v\n", len(report.Steps), report.Opened)
	}
	return nil
}
