package hostnet

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/turtacn/go-proxmox/netkit"
)

// natTable is the nftables table of a bridge's masquerading, wholly ours. Each bridge has its own, so that daemons with
// different bridges on one host do not touch each other's.
func natTable(bridge string) string { return "gpve-nat-" + bridge }

// Bridge is a bridge that gpved makes: with an address of the host on it and, for NAT, masquerading of its network.
type Bridge struct {
	Name string       // vmbr0
	CIDR netip.Prefix // the host's address on it, with the network's prefix length
	NAT  bool
}

// Check refuses a bridge that could not be made, naming the reason.
func (b Bridge) Check() error {
	if err := netkit.CheckName(b.Name); err != nil {
		return err
	}
	switch {
	case !b.CIDR.IsValid():
		return fmt.Errorf("bridge %s: no address", b.Name)
	case b.NAT && !b.CIDR.Addr().Is4():
		return fmt.Errorf("bridge %s: masquerading needs an IPv4 network, not %s", b.Name, b.CIDR)
	case b.CIDR.Bits() > b.CIDR.Addr().BitLen()-2:
		return fmt.Errorf("bridge %s: %s leaves no address for a guest", b.Name, b.CIDR)
	case b.CIDR.Addr() == b.CIDR.Masked().Addr():
		return fmt.Errorf("bridge %s: %s is the network's own address; give the host one inside it", b.Name, b.CIDR)
	}
	return nil
}

// EnsureBridges makes the configured bridges and their masquerading as they should be. It is idempotent, so it runs at
// every start; nothing is taken down at a stop, since guests go on.
func (s *Service) EnsureBridges(ctx context.Context) error {
	if len(s.bridges) == 0 {
		return nil
	}
	var want []netkit.Link
	for _, b := range s.bridges {
		want = append(want, netkit.Link{Name: b.Name, Kind: netkit.KindBridge, Up: true, Addrs: []netip.Prefix{b.CIDR}})
	}
	if err := s.change(ctx, func() ([]netkit.Link, error) { return s.conn.Links(ctx) }, want); err != nil {
		return err
	}
	for _, b := range s.bridges {
		var nat []netkit.Masquerade
		if b.NAT {
			nat = append(nat, netkit.Masquerade{Bridge: b.Name, Source: b.CIDR})
		}
		if err := s.conn.SetMasquerade(ctx, natTable(b.Name), nat); err != nil {
			return err
		}
	}
	return nil
}
