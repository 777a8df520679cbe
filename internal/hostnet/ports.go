package hostnet

import (
	"context"
	"errors"
	"fmt"
	"net"
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
	MAC    string // of the guest's device; needed where the bridge does not learn addresses

	VLAN     int         // tag of the guest's untagged frames, 1-4094; 0 is none
	Trunks   []VLANRange // VLANs that the guest may tag itself; only on VLAN-aware bridges
	RateMBps float64     // limit of each direction in megabytes (1048576 bytes) per second; 0 is none
	LinkDown bool        // the tap is down, so that no frame passes even before QEMU is told
	Firewall bool        // the guest's rules are for this card, too
}

// VLANRange is a range of VLANs, both ends included.
type VLANRange = netkit.VLANRange

// PortGuard keeps frames of a port from passing until the rules of its guest are in. It is called without any lock held.
type PortGuard interface {
	// Close drops all frames of the port from now on, before its tap exists.
	Close(ctx context.Context, port string) error
	// Open puts the guest's rules in, when the tap is a port of its bridge. An error leaves the port closed.
	Open(ctx context.Context, port string) error
	// Forget lets go what was kept for the port, when the tap is gone.
	Forget(ctx context.Context, port string) error
}

// noGuard lets everything pass.
type noGuard struct{}

func (noGuard) Close(context.Context, string) error  { return nil }
func (noGuard) Open(context.Context, string) error   { return nil }
func (noGuard) Forget(context.Context, string) error { return nil }

// CreatePort makes the tap as described, or adjusts the one that is there (left over from a crash, say). It is up, unless
// LinkDown, and a port of its bridge when CreatePort returns. No frame passes before the guard has opened it; after an error
// it may be there, closed, and DeletePort removes it. A missing bridge is a call error that names it.
func (s *Service) CreatePort(ctx context.Context, p Port) error {
	links, err := s.portLinks(ctx, p)
	if err != nil {
		return err
	}
	if err := s.guard.Close(ctx, p.Name); err != nil {
		return err
	}
	// Down until it is whole and guarded, also one that is there already.
	tap := &links[len(links)-1]
	up := tap.Up
	tap.Up = false
	if err := s.applyPort(ctx, links); err != nil {
		return err
	}
	if err := s.guard.Open(ctx, p.Name); err != nil || !up {
		return err
	}
	tap.Up = true
	return s.applyPort(ctx, links[len(links)-1:])
}

// ChangePort changes the port of a running guest from before to after. Limits and the state of the link change while frames
// pass; for another bridge or VLAN the port is closed meanwhile, and only then.
func (s *Service) ChangePort(ctx context.Context, before, after Port) error {
	if before.Bridge != after.Bridge || before.VLAN != after.VLAN || fmt.Sprint(before.Trunks) != fmt.Sprint(after.Trunks) || before.Firewall != after.Firewall {
		return s.CreatePort(ctx, after)
	}
	links, err := s.portLinks(ctx, after)
	if err != nil {
		return err
	}
	return s.applyPort(ctx, links)
}

// portLinks are the links that a port is made of, the tap last.
func (s *Service) portLinks(ctx context.Context, p Port) ([]netkit.Link, error) {
	bridge, err := s.bridge(ctx, p.Bridge)
	if err != nil {
		return nil, err
	}
	tap := netkit.Link{
		Name: p.Name, Kind: netkit.KindTap, Up: !p.LinkDown, Master: p.Bridge, MTU: p.MTU, NoIPv6: true, Tap: p.tap(),
		Port: &netkit.Port{}, Rate: p.rate(),
	}
	if tap.MTU == 0 {
		tap.MTU = bridge.MTU
	}
	if err := s.learning(p, tap.Port); err != nil {
		return nil, err
	}
	switch {
	case bridge.Bridge.VLANAware:
		p.vlans(tap.Port)
		return []netkit.Link{tap}, nil
	case len(p.Trunks) > 0:
		return nil, call.Errorf("vlan aware feature need to be enabled to use trunks")
	case p.VLAN == 0:
		return []netkit.Link{tap}, nil
	}
	links, err := s.tagBridge(ctx, bridge, p.VLAN)
	if err != nil {
		return nil, err
	}
	tap.Master = links[0].Name
	return append(links, tap), nil
}

// bridge reads a bridge that a port is to belong to.
func (s *Service) bridge(ctx context.Context, name string) (netkit.Link, error) {
	l, err := s.conn.Link(ctx, name)
	switch {
	case errors.Is(err, netkit.ErrNotFound):
		return l, call.Errorf("bridge '%s' does not exist", name)
	case err != nil:
		return l, err
	case l.Kind != netkit.KindBridge || l.Bridge == nil:
		return l, call.Errorf("'%s' is not a bridge", name)
	}
	return l, nil
}

func (p Port) tap() netkit.Tap {
	return netkit.Tap{Owner: p.Owner, MultiQueue: p.Queues > 1, VNetHeader: true}
}

// untagged is the VLAN of untagged frames where none is given, as for every new port of a VLAN-aware bridge.
const untagged = 1

// vlans sets the VLANs of a port of a VLAN-aware bridge: with a tag alone it is in that one only; with neither tag nor
// trunks the guest may use all.
func (p Port) vlans(port *netkit.Port) {
	port.PVID = untagged
	if p.VLAN != 0 {
		port.PVID = uint16(p.VLAN)
	}
	port.VLANs = p.Trunks
	if p.VLAN == 0 && len(p.Trunks) == 0 {
		port.VLANs = []netkit.VLANRange{netkit.AllVLANs()}
	}
}

// bytesPerMB is what the option rate calls a megabyte.
const bytesPerMB = 1 << 20

// rate is the limit in bytes per second: what the tap sends is what the guest receives.
func (p Port) rate() *netkit.Rate {
	n := uint64(max(p.RateMBps, 0) * bytesPerMB)
	return &netkit.Rate{Out: n, In: min(n, 1<<32-1)}
}

// learning makes the guest's address a fixed one where the interfaces file says that the bridge does not learn them.
func (s *Service) learning(p Port, port *netkit.Port) error {
	off, err := s.learningOff(p.Bridge)
	if err != nil || !off {
		return err
	}
	port.NoLearning, port.NoFlood = true, true
	if p.MAC == "" {
		return nil
	}
	mac, err := net.ParseMAC(p.MAC)
	if err != nil {
		return call.Errorf("unable to parse MAC address '%s'", p.MAC)
	}
	port.MACs = []net.HardwareAddr{mac}
	return nil
}

// applyPort makes the links of a port as they are wanted. What the kernel cannot do is told to the user.
func (s *Service) applyPort(ctx context.Context, want []netkit.Link) error {
	names := make([]string, 0, 2*len(want))
	for _, l := range want {
		names = append(names, l.Name, l.Master)
		if l.Parent != "" {
			names = append(names, l.Parent)
		}
	}
	err := s.change(ctx, func() ([]netkit.Link, error) { return s.conn.Lookup(ctx, names...) }, want)
	var lacks *netkit.UnsupportedError
	switch {
	case errors.As(err, &lacks):
		return &call.Error{Status: 500, Text: fmt.Sprintf("network of %s: the kernel lacks %s", want[len(want)-1].Name, lacks.Feature), Err: err}
	case errors.Is(err, netkit.ErrBridgeFull):
		return call.Errorf("bridge '%s' has no port left for %s: %w", want[len(want)-1].Master, want[len(want)-1].Name, netkit.ErrBridgeFull)
	}
	return err
}

// DeletePort removes the tap; one that is not there is fine.
func (s *Service) DeletePort(ctx context.Context, name string) error {
	if err := s.change(ctx, func() ([]netkit.Link, error) { return s.conn.Lookup(ctx, name) }, nil, name); err != nil {
		return err
	}
	return s.guard.Forget(ctx, name)
}

// Ports lists the taps whose names begin with prefix, sorted as the kernel has them.
func (s *Service) Ports(ctx context.Context, prefix string) ([]netkit.Link, error) {
	if s.conn == nil { // a node without guests' networks
		return nil, nil
	}
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

// Reconcile removes taps that stray says belong to no guest any more, by name and owner. Call it before guests are started.
func (s *Service) Reconcile(ctx context.Context, stray func(name string, owner uint32) bool) error {
	if s.conn == nil {
		return nil // a node without a network has no taps
	}
	ports, err := s.Ports(ctx, "tap")
	if err != nil {
		return err
	}
	var errs []error
	for _, l := range ports {
		if stray(l.Name, l.Tap.Owner) {
			errs = append(errs, s.DeletePort(ctx, l.Name))
		}
	}
	return errors.Join(errs...)
}

// BridgeMTU returns the MTU of a bridge in bytes; a missing one is a call error that names it.
func (s *Service) BridgeMTU(ctx context.Context, name string) (int, error) {
	l, err := s.conn.Link(ctx, name)
	if errors.Is(err, netkit.ErrNotFound) {
		return 0, call.Errorf("bridge '%s' does not exist", name)
	}
	return l.MTU, err
}
