// Command 05-network builds a small network with netkit: a switch with two guests, who may reach their router and not each
// other. Everything lies in network namespaces of its own and is gone at the end; the host's network is not touched.
//
//	sudo go run ./examples/05-network
//
// It shows the three things that netkit is made of: a namespace is a value, what is wanted is described and compared with
// what is there (a plan can be printed), and applying it again does nothing.
package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"

	"github.com/turtacn/go-proxmox/netkit"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var (
	router = netip.MustParsePrefix("10.5.0.1/24")
	guests = []netip.Prefix{netip.MustParsePrefix("10.5.0.11/24"), netip.MustParsePrefix("10.5.0.12/24")}
)

// host is a namespace with a connection to its kernel.
type host struct {
	ns   *netkit.NS
	conn *netkit.Conn
}

func newHost(ctx context.Context) (h host, err error) {
	if h.ns, err = netkit.NewNS(); err != nil {
		return h, err
	}
	if h.conn, err = netkit.Dial(ctx, h.ns); err != nil {
		h.ns.Close()
	}
	return h, err
}

func (h host) close() {
	h.conn.Close()
	h.ns.Close()
}

// ensure makes links as they are wanted, and shows what that takes.
func (h host) ensure(ctx context.Context, out io.Writer, want ...netkit.Link) error {
	have, err := h.conn.Links(ctx)
	if err != nil {
		return err
	}
	plan, err := netkit.Plan(have, want)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d steps\n%s\n", len(plan), plan)
	return h.conn.Apply(ctx, plan)
}

func run(ctx context.Context, out io.Writer) error {
	sw, err := newHost(ctx)
	if err != nil {
		return err
	}
	defer sw.close()

	// A switch whose guests' ports are isolated from each other. The other end of each cable moves to its guest.
	want := []netkit.Link{{Name: "vmbr0", Kind: netkit.KindBridge, Up: true, Bridge: &netkit.Bridge{}, Addrs: []netip.Prefix{router}}}
	for i := range guests {
		want = append(want, netkit.Link{
			Name: fmt.Sprintf("port%d", i), Kind: netkit.KindVeth, Parent: fmt.Sprintf("guest%d", i), Up: true, Master: "vmbr0",
			Port: &netkit.Port{Isolated: true},
		})
	}
	fmt.Fprintln(out, "# the switch")
	if err := sw.ensure(ctx, out, want...); err != nil {
		return err
	}
	var hosts []host
	for i, addr := range guests {
		g, err := newHost(ctx)
		if err != nil {
			return err
		}
		defer g.close()
		name := fmt.Sprintf("guest%d", i)
		if err := sw.conn.Move(ctx, name, g.ns); err != nil {
			return err
		}
		fmt.Fprintln(out, "#", name)
		if err := g.ensure(ctx, out, netkit.Link{Name: name, Up: true, Addrs: []netip.Prefix{addr}}); err != nil {
			return err
		}
		hosts = append(hosts, g)
	}
	fmt.Fprintln(out, "# the switch, again")
	if err := sw.ensure(ctx, out, want...); err != nil {
		return err
	}
	fmt.Fprintln(out, "a guest reaches its router:", reaches(ctx, hosts[0], sw, router.Addr()))
	fmt.Fprintln(out, "a guest reaches the other:", reaches(ctx, hosts[0], hosts[1], guests[1].Addr()))
	return nil
}
