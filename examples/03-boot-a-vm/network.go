package main

import (
	"context"
	"net/netip"
	"os"

	"github.com/turtacn/go-proxmox/netkit"
	"github.com/turtacn/go-proxmox/qmp/machine"
)

// network returns a card for the guest, the files that QEMU needs for it, and what undoes it all.
func network(ctx context.Context) (card machine.Unit, files []*os.File, done func(), err error) {
	if os.Geteuid() != 0 {
		return machine.UserNet("net0"), nil, func() {}, nil
	}
	ns, err := netkit.NewNS() // it goes with its last user: nothing on the host changes
	if err != nil {
		return machine.Unit{}, nil, nil, err
	}
	defer func() {
		if err != nil {
			ns.Close()
		}
	}()
	conn, err := netkit.Dial(ctx, ns)
	if err != nil {
		return machine.Unit{}, nil, nil, err
	}
	defer conn.Close()
	have, err := conn.Links(ctx)
	if err != nil {
		return machine.Unit{}, nil, nil, err
	}
	tap := netkit.Tap{VNetHeader: true}
	plan, err := netkit.Plan(have, []netkit.Link{ // what is wanted; the plan is what is missing, and can be printed
		{Name: "vmbr0", Kind: netkit.KindBridge, Up: true, Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}},
		{Name: "tap0", Kind: netkit.KindTap, Up: true, Master: "vmbr0", Tap: tap},
	})
	if err != nil {
		return machine.Unit{}, nil, nil, err
	}
	if err := conn.Apply(ctx, plan); err != nil {
		return machine.Unit{}, nil, nil, err
	}
	files, err = conn.OpenTap(ctx, "tap0", tap, 1)
	if err != nil {
		return machine.Unit{}, nil, nil, err
	}
	card = machine.UserNet("net0")
	// QEMU gets the open tap: it needs no right to the namespace, nor to /dev/net/tun.
	card.Netdevs[0] = machine.Netdev{Type: "tap", ID: "net0", Props: []machine.Property{{Name: "fd", Value: machine.FirstFile}}}
	return card, files, func() { files[0].Close(); ns.Close() }, nil
}
