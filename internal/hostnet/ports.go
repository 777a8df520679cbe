package hostnet

import (
	"context"
	"errors"
	"strings"

	"github.com/turtacn/go-proxmox/netkit"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// Port is the host's end of one guest NIC: a persistent tap, a port of a bridge.
type Port struct {
	Name   string // tap100i0
	Bridge string
	Owner  uint32 // uid of the QEMU that attaches to it
	MTU    int    // bytes; 0: the bridge's
	Queues int    // 0 and 1 are a single queue
}

// CreatePort makes the tap as described, or adjusts the one that is there (left over from a crash, say). It is up and a
// port of its bridge when CreatePort returns. A missing bridge is a call error that names it.
func (s *Service) CreatePort(ctx context.Context, p Port) error {
	mtu := p.MTU
	bridge, err := s.conn.Link(ctx, p.Bridge)
	switch {
	case errors.Is(err, netkit.ErrNotFound):
		return call.Errorf("bridge '%s' does not exist", p.Bridge)
	case err != nil:
		return err
	case bridge.Kind != netkit.KindBridge:
		return call.Errorf("'%s' is not a bridge", p.Bridge)
	case mtu == 0:
		mtu = bridge.MTU
	}
	return s.apply(ctx, []netkit.Link{{
		Name: p.Name, Kind: netkit.KindTap, Up: true, Master: p.Bridge, MTU: mtu,
		Tap: p.tap(),
	}})
}

func (p Port) tap() netkit.Tap {
	return netkit.Tap{Owner: p.Owner, MultiQueue: p.Queues > 1, VNetHeader: true}
}

// DeletePort removes the tap; one that is not there is fine.
func (s *Service) DeletePort(ctx context.Context, name string) error {
	return s.apply(ctx, nil, name)
}

// Ports lists the taps whose names begin with prefix, sorted as the kernel has them.
func (s *Service) Ports(ctx context.Context, prefix string) ([]netkit.Link, error) {
	links, err := s.conn.Links(ctx)
	if err != nil {
		return nil, err
	}
	var ports []netkit.Link
	for _, l := range links {
		if l.Kind == netkit.KindTap && strings.HasPrefix(l.Name, prefix) {
			ports = append(ports, l)
		}
	}
	return ports, nil
}

// BridgeMTU returns the MTU of a bridge in bytes; a missing one is a call error that names it.
func (s *Service) BridgeMTU(ctx context.Context, name string) (int, error) {
	l, err := s.conn.Link(ctx, name)
	if errors.Is(err, netkit.ErrNotFound) {
		return 0, call.Errorf("bridge '%s' does not exist", name)
	}
	return l.MTU, err
}
