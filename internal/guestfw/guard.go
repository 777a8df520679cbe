package guestfw

import (
	"context"
	"errors"
	"fmt"

	"github.com/turtacn/go-proxmox/internal/inventory"
	"github.com/turtacn/go-proxmox/netkit"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// opening is a port that waits for its rules.
type opening struct {
	port string
	done chan error // holds the answer
}

// Close drops all frames of a port from now on, if it is one that rules are for. Call it before the port exists. An error is
// a kernel that cannot do that; the port must not be made then.
func (s *Service) Close(ctx context.Context, port string) error {
	if _, _, ok := portOf(port); !ok {
		return nil
	}
	if err := s.refreshPort(ctx, port); err != nil {
		return err
	}
	w, err := s.worldWith(port)
	if err != nil {
		return err
	}
	if w.portState(port) == portFree {
		return nil
	}
	s.mu.Lock()
	s.closed[port] = true
	s.mu.Unlock()
	return refusal(port, s.o.Kernel.Guard(ctx, port))
}

// Open lets frames pass by the rules of the port's guest. Call it when the port is a port of its bridge. It returns when the
// kernel holds rules that were made after the call, and read back so; an error leaves the port closed.
func (s *Service) Open(ctx context.Context, port string) error {
	if _, _, ok := portOf(port); !ok {
		return nil
	}
	o := &opening{port: port, done: make(chan error, 1)}
	select {
	case s.opens <- o:
	case <-s.ended:
		return errors.New("guestfw: the firewall has ended")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-o.done:
		return refusal(port, err)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Forget ends what was done for a port that is gone.
func (s *Service) Forget(ctx context.Context, port string) error {
	s.mu.Lock()
	closed := s.closed[port]
	delete(s.ports, port)
	s.mu.Unlock()
	if !closed {
		return nil
	}
	if err := s.o.Kernel.Release(ctx, port); err != nil {
		return err
	}
	s.mu.Lock()
	delete(s.closed, port)
	s.mu.Unlock()
	return nil
}

// refreshPort reads what decides on a port from the store.
func (s *Service) refreshPort(ctx context.Context, port string) error {
	id, _, _ := portOf(port)
	return s.refresh(ctx, clusterKey, hostKey(s.o.Node), GuestKey(id), inventory.Key(id))
}

// refusal tells a user why his guest gets no network. What the kernel lacks is named; it is the node's administrator who can
// help.
func refusal(port string, err error) error {
	if lacking, ok := errors.AsType[*netkit.UnsupportedError](err); ok {
		text := fmt.Sprintf("the firewall of %s cannot be enforced on this node: the kernel lacks %s", cardName(port), lacking.Feature)
		return &call.Error{Status: 500, Text: text, Err: err}
	}
	return err
}

// cardName is how users know a port.
func cardName(port string) string {
	_, number, _ := portOf(port)
	return fmt.Sprintf("net%d", number)
}

// errUnknownPort is a port that no card of a guest belongs to.
func errUnknownPort(port string) error {
	return call.Errorf("%s belongs to no network card of a guest of this node: it stays closed while the firewall is on", port)
}
