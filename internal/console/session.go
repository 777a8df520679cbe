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

// maxWaiting bounds the sessions of one caller that wait for their connection, so that nobody can use up all ports.
const maxWaiting = 25

// session is one permission to connect.
type session struct {
	vmid     int
	caller   string
	terminal bool // else a screen
	open     func(context.Context) (stream, error)

	serial  uint64 // never used again, unlike the port
	port    int
	expires time.Time

	began     chan struct{} // closed when its task runs
	connected chan struct{} // closed when the connection has come
	ended     chan struct{} // closed when it is over, one way or another
	closing   context.Context
	cancel    context.CancelFunc // ends closing, and with it the connection

	// Guarded by sessions.mu.
	ticket string // empty until the session may be claimed
	taken  bool
	over   bool
	err    error // why it is over; may be read without the lock once ended is closed
}

// sessions are those that wait or run. Make it with newSessions.
type sessions struct {
	mu     sync.Mutex // guards the rest, and fields of each session
	serial uint64
	next   int
	ports  map[int]*session
}

func newSessions() *sessions { return &sessions{ports: map[int]*session{}} }

// add gives the session a free port. Ports are handed out in turn, so that an old number does not soon mean another guest.
func (x *sessions) add(s *session) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	now := time.Now()
	waiting := 0
	for _, other := range x.ports {
		switch {
		case other.taken:
		case now.After(other.expires): // its task never ran
			x.endLocked(other, errTimeout)
		case other.caller == s.caller:
			waiting++
		}
	}
	if waiting >= maxWaiting {
		return call.Errorf("too many consoles of '%s' wait for their connection", s.caller)
	}
	for range portCount {
		port := firstPort + x.next
		x.next = (x.next + 1) % portCount
		if x.ports[port] == nil {
			x.serial++
			s.serial, s.port, s.expires = x.serial, port, now.Add(patience)
			s.began, s.connected, s.ended = make(chan struct{}), make(chan struct{}), make(chan struct{})
			s.closing, s.cancel = context.WithCancel(context.Background())
			x.ports[port] = s
			return nil
		}
	}
	return call.Errorf("unable to find free port (%d-%d)", firstPort, firstPort+portCount-1)
}

// arm lets the session be claimed with its ticket.
func (x *sessions) arm(s *session, ticket string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	s.ticket = ticket
}

// claim takes the session of a port for its only connection; nil if there is none that waits for just this one.
func (x *sessions) claim(port, vmid int, caller, ticket string) *session {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := x.ports[port]
	if s == nil || s.taken || s.vmid != vmid || s.caller != caller || s.ticket == "" || time.Now().After(s.expires) ||
		subtle.ConstantTimeCompare([]byte(s.ticket), []byte(ticket)) != 1 {
		return nil
	}
	s.taken = true
	close(s.connected)
	return s
}

// expire ends a session whose connection has not come; false if it has.
func (x *sessions) expire(s *session) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if s.taken {
		return false
	}
	x.endLocked(s, errTimeout)
	return true
}

// end ends a session and its connection, and frees its port. The first reason counts; nil is a good end.
func (x *sessions) end(s *session, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.endLocked(s, err)
}

func (x *sessions) endLocked(s *session, err error) {
	if s.over {
		return
	}
	s.over, s.taken, s.err = true, true, err
	delete(x.ports, s.port)
	s.cancel()
	close(s.ended)
}

// find returns the session of a task, nil if it is over.
func (x *sessions) find(port int, serial uint64) *session {
	x.mu.Lock()
	defer x.mu.Unlock()
	if s := x.ports[port]; s != nil && s.serial == serial {
		return s
	}
	return nil
}
