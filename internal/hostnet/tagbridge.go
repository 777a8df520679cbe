package hostnet

import (
	"context"
	"fmt"
	"slices"

	"github.com/turtacn/go-proxmox/netkit"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// tagBridge is what carries one VLAN of a bridge that is not VLAN-aware: a bridge of its own, vmbr0v5, and for each uplink
// of vmbr0 a VLAN device in it. They are made when first needed, and stay. The bridge comes first.
func (s *Service) tagBridge(ctx context.Context, bridge netkit.Link, tag int) ([]netkit.Link, error) {
	if tag < 1 || tag > 4094 {
		return nil, call.Errorf("got strange vlan tag '%d'", tag)
	}
	if !bridge.Up {
		return nil, call.Errorf("bridge '%s' is not active", bridge.Name)
	}
	all, err := s.conn.Links(ctx)
	if err != nil {
		return nil, err
	}
	br := named(netkit.Link{Kind: netkit.KindBridge, Up: true, MTU: bridge.MTU, NoIPv6: true}, fmt.Sprintf("%sv%d", bridge.Name, tag))
	br.Bridge = &netkit.Bridge{STP: bridge.Bridge.STP, ForwardDelay: bridge.Bridge.ForwardDelay, Ageing: bridge.Bridge.Ageing}
	out := []netkit.Link{br}
	for _, port := range all {
		if port.Master != bridge.Name || !isUplink(port.Kind) {
			continue
		}
		dev := named(netkit.Link{
			Kind: netkit.KindVLAN, Up: true, Parent: port.Name, Master: br.Name, NoIPv6: true, VLAN: &netkit.VLAN{ID: uint16(tag)},
		}, fmt.Sprintf("%s.%d", port.Name, tag))
		i := slices.IndexFunc(all, func(l netkit.Link) bool { return l.Name == dev.Name })
		if i >= 0 && all[i].Master != "" && all[i].Master != br.Name {
			return nil, call.Errorf("interface %s already exist in bridge %s", dev.Name, all[i].Master)
		}
		out = append(out, dev)
	}
	if len(out) == 1 {
		return nil, call.Errorf("no physical interface on bridge '%s'", bridge.Name)
	}
	return out, nil
}

// isUplink tells whether a port of a bridge leads to other hosts.
func isUplink(k netkit.Kind) bool {
	return k == netkit.KindPhysical || k == netkit.KindBond || k == netkit.KindVLAN
}

// named gives a link its name, which may be longer than the kernel takes: then it goes by a short one, and by the long one too.
func named(l netkit.Link, name string) netkit.Link {
	l.Name = netkit.ShortName(name)
	if l.Name != name {
		l.AltNames = []string{name}
	}
	return l
}
