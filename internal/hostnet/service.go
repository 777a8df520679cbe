package hostnet

import (
	"context"
	"sync"

	"github.com/turtacn/go-proxmox/internal/access"
	"github.com/turtacn/go-proxmox/netkit"
)

// Options are what the service needs of its host.
type Options struct {
	Conn           *netkit.Conn // in the namespace of the guests' bridges; the caller closes it
	Bridges        []Bridge     // to be made by EnsureBridges
	InterfacesFile string       // Debian's /etc/network/interfaces; a missing file is an empty one
	Node           string       // name of this node
	// Access decides which bridges a caller may see in the node's network list; without it only root@pam sees any.
	Access *access.Service
}

// Service is safe for concurrent use.
type Service struct {
	conn    *netkit.Conn
	bridges []Bridge
	file    string
	node    string
	access  *access.Service
	links   func(context.Context) ([]netkit.Link, error) // of the host

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
	s := &Service{conn: o.Conn, bridges: o.Bridges, file: o.InterfacesFile, node: o.Node, access: o.Access}
	s.links = func(ctx context.Context) ([]netkit.Link, error) { return s.conn.Links(ctx) }
	return s, nil
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
