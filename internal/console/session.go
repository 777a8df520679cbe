package console

import (
	"context"
	"crypto/subtle"
	"sync"
	"time"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// Ports that name sessions, as Proxmox VE uses them for its listeners.
const (
	firstPort = 5900
	portCount = 100
)

// patience is how long a session waits for its connection.
const patience = 10 * time.Second

// session is one permission to connect.
type session struct {
	vmid   int
	port   int
	caller string
	ticket string
	open   func(context.Context) (stream, error)

	connected chan struct{} // closed when the connection has come
	ended     chan struct{} // closed when it is over
	once      sync.Once
	cancel    context.CancelFunc // ends the connection; set when connected, guarded by sessions.mu
}

func (s *session) end() { s.once.Do(func() { close(s.ended) }) }

// sessions are those that wait or run, by port.
type sessions struct {
	mu   sync.Mutex // guards next and all
	next int
	all  map[int]*session
}

// add gives the session a free port. Ports are handed out in turn, so that an old number does not soon mean another guest.
func (x *sessions) add(s *session) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	for range portCount {
		port := firstPort + x.next
		x.next = (x.next + 1) % portCount
		if x.all[port] == nil {
			s.port = port
			x.all[port] = s
			return nil
		}
	}
	return call.Errorf("unable to find free port (%d-%d)", firstPort, firstPort+portCount-1)
}

func (x *sessions) remove(s *session) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.all[s.port] == s {
		delete(x.all, s.port)
	}
	if s.cancel != nil {
		s.cancel()
	}
	s.end()
}

// claim takes the session of a port for its only connection.
func (x *sessions) claim(port, vmid int, caller, ticket string, cancel context.CancelFunc) *session {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := x.all[port]
	if s == nil || s.vmid != vmid || s.caller != caller || s.cancel != nil || subtle.ConstantTimeCompare([]byte(s.ticket), []byte(ticket)) != 1 {
		return nil
	}
	s.cancel = cancel
	close(s.connected)
	return s
}

// get returns the session of a port, nil if there is none.
func (x *sessions) get(port int) *session {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.all[port]
}
