package hostnet

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"
)

// errUnconfirmed ends a task whose configuration nobody could confirm.
var errUnconfirmed = errors.New("no request has reached this node since: the former network configuration is back")

// confirmations are the new configurations that wait for a sign of life.
type confirmations struct {
	mu   sync.Mutex
	list map[*confirmation]struct{}
}

// confirmation waits for a request that began after since. local is that the change came from the node itself.
type confirmation struct {
	since time.Time
	local bool
	done  chan struct{}
}

// Confirm notes a request that a logged-in client has sent over the network and that was answered. A new configuration that
// is being applied holds when a request that began later gets through; for one that was asked for from elsewhere, requests
// from the node itself prove nothing.
func (s *Service) Confirm(began time.Time, remote string) {
	local := isLoopback(remote)
	s.awaits.mu.Lock()
	defer s.awaits.mu.Unlock()
	for c := range s.awaits.list {
		if began.After(c.since) && (!local || c.local) {
			close(c.done)
			delete(s.awaits.list, c)
		}
	}
}

// wait waits for a confirmation.
func (a *confirmations) wait(ctx context.Context, local bool, patience time.Duration) error {
	c := &confirmation{since: time.Now(), local: local, done: make(chan struct{})}
	a.mu.Lock()
	if a.list == nil {
		a.list = map[*confirmation]struct{}{}
	}
	a.list[c] = struct{}{}
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		delete(a.list, c)
		a.mu.Unlock()
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-c.done:
		return nil
	case <-timer.C:
		return errUnconfirmed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// isLoopback tells whether a client is on this node. One without an address is: a unix socket.
func isLoopback(remote string) bool {
	a, err := netip.ParseAddr(remote)
	return err != nil || a.Unmap().IsLoopback()
}
