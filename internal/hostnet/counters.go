package hostnet

import (
	"context"

	"github.com/turtacn/go-proxmox/netkit"
)

// Counters are the bytes that the host has received from a port and sent to it.
type Counters = netkit.Counters

// Counters returns the counters of the named ports of guests, as far as they are there; without names those of all devices.
// On a port the host receives what the guest sends.
func (s *Service) Counters(ctx context.Context, ports ...string) (map[string]Counters, error) {
	if s.conn == nil {
		return nil, nil
	}
	return s.conn.Counters(ctx, ports...)
}
