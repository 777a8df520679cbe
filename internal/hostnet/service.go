package hostnet

import (
	"context"
	"sync"

	"github.com/turtacn/go-proxmox/netkit"
)

// Options are what the service needs of its host.
type Options struct {
	Conn           *netkit.Conn // in the namespace of the guests' bridges; the caller closes it
	Bridges        []Bridge     // to be made by EnsureBridges
	InterfacesFile string       // Debian's /etc/network/interfaces; a missing file is an empty one
	Node           string       // name of this node
}

// Service is safe for concurrent use.
type Service struct {
	conn    *netkit.Conn
	bridges []Bridge
	file    string
	node    string

	// change serialises plan and apply: two planners of one link would see each other's half.
	change sync.Mutex
}

// New checks the options; it touches nothing.
func New(o Options) (*Service, error) {
	for _, b := range o.Bridges {
		if err := b.Check(); err != nil {
			return nil, err
		}
	}
	return &Service{conn: o.Conn, bridges: o.Bridges, file: o.InterfacesFile, node: o.Node}, nil
}

func (s *Service) apply(ctx context.Context, want []netkit.Link, gone ...string) error {
	s.change.Lock()
	defer s.change.Unlock()
	have, err := s.conn.Links(ctx)
	if err != nil {
		return err
	}
	steps, err := netkit.Plan(have, want, gone...)
	if err != nil {
		return err
	}
	return s.conn.Apply(ctx, steps)
}
