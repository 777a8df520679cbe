package qmptest

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/turtacn/go-proxmox/qmp"
)

// Greeting is the default greeting, that of a QEMU 7.2 which offers out-of-band execution.
const Greeting = `{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "test"}, "capabilities": ["oob"]}}`

// Options script a peer's misbehaviour, or all it says. Nil means a well-behaved one.
type Options struct {
	// Transcript is played in each session, in place of the greeting and of all handlers: the client must send the
	// recorded commands in their order (their ids do not matter), or the test fails and the session ends. What the server
	// said without being asked comes after the same command as then.
	Transcript *Transcript
	Greeting   string   // "" is the constant Greeting
	Silent     bool     // no greeting, no replies: what QEMU shows to a second client
	Before     []string // sent ahead of the greeting, as they are
	CutAfter   int      // > 0: hang up after so many bytes, wherever in a message that is
	Chunk      int      // > 0: write in pieces of so many bytes
}

// Request is a command as it arrived.
type Request struct {
	Command   string
	Arguments json.RawMessage
	ID        json.RawMessage
	OOB       bool

	in *input
}

// TakeFile claims the file descriptor that came along the connection and that no command has claimed yet, or returns nil.
// Like QEMU the peer does not know which of the bytes read with it the descriptor belonged to. The test's end closes it.
// Only for use in a handler.
func (r *Request) TakeFile() *os.File {
	if len(r.in.files) == 0 {
		return nil
	}
	f := r.in.files[0]
	r.in.files = r.in.files[1:]
	return f
}

// Decode stores the arguments in v.
func (r *Request) Decode(v any) error { return json.Unmarshal(r.Arguments, v) }

// Handler answers a command. A nil result is the empty object. A *qmp.Error answers with its class and text, ErrNoReply not
// at all (Peer.Reply may do so later), any other error as GenericError.
type Handler func(*Request) (any, error)

// ErrNoReply is what a handler returns to leave a command unanswered.
var ErrNoReply = errors.New("no reply")

// Peer plays the server's side of QMP.
type Peer struct {
	t    testing.TB
	opts Options
	wg   sync.WaitGroup

	mu       sync.Mutex // guards what follows; never held across I/O or a handler
	handlers map[string]Handler
	requests []Request
	arrived  chan struct{} // closed and replaced at each request
	current  *session
	closers  []func()
	closed   bool
}

// New returns a peer that answers qmp_capabilities and refuses every other command as unknown until Handle is called.
// It ends with the test.
func New(t testing.TB, opts *Options) *Peer {
	p := &Peer{t: t, handlers: map[string]Handler{}, arrived: make(chan struct{})}
	if opts != nil {
		p.opts = *opts
	}
	if p.opts.Greeting == "" {
		p.opts.Greeting = Greeting
	}
	p.Handle("qmp_capabilities", func(*Request) (any, error) { return nil, nil })
	t.Cleanup(p.Close)
	return p
}

// Handle sets the answer to a command, in place of the one before.
func (p *Peer) Handle(cmd string, h Handler) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handlers[cmd] = h
}

// Conn starts a session in memory and returns the client's end of it.
func (p *Peer) Conn() net.Conn {
	client, server := net.Pipe()
	s := p.session(server)
	p.wg.Go(s.serve)
	return client
}

// Listen serves clients at the unix socket path, one at a time: further ones connect and hear nothing until the one
// before has gone.
func (p *Peer) Listen(path string) {
	p.t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		p.t.Fatalf("qmptest: %v", err)
	}
	p.onClose(func() { l.Close() })
	p.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.session(conn).serve()
		}
	})
}

func (p *Peer) session(conn net.Conn) *session {
	s := &session{p: p, conn: conn, budget: p.opts.CutAfter}
	p.mu.Lock()
	p.current = s
	p.mu.Unlock()
	p.onClose(func() { conn.Close() })
	return s
}

func (p *Peer) onClose(fn func()) {
	p.mu.Lock()
	late := p.closed
	if !late {
		p.closers = append(p.closers, fn)
	}
	p.mu.Unlock()
	if late {
		fn()
	}
}

// Emit raises an event in the present session. Data must encode to an object; nil leaves it out.
func (p *Peer) Emit(name string, data any) {
	m := map[string]any{"event": name, "timestamp": map[string]int64{"seconds": 1_700_000_000, "microseconds": 5}}
	if data != nil {
		m["data"] = data
	}
	p.send(m)
}

// Reply answers a request that a handler left with ErrNoReply. Err wins over value.
func (p *Peer) Reply(r *Request, value any, err error) { p.send(answer(r, value, err)) }

// Raw sends bytes as they are in the present session.
func (p *Peer) Raw(b []byte) {
	if s := p.now(); s != nil {
		s.write(b)
	}
}

// HangUp ends the present session from the server's side.
func (p *Peer) HangUp() {
	if s := p.now(); s != nil {
		s.conn.Close()
	}
}

// Requests returns all commands so far, without qmp_capabilities.
func (p *Peer) Requests() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

// Await returns the n-th request (from 1) for cmd as soon as it has arrived.
func (p *Peer) Await(ctx context.Context, cmd string, n int) Request {
	p.t.Helper()
	for {
		p.mu.Lock()
		arrived, seen := p.arrived, 0
		for _, r := range p.requests {
			if r.Command == cmd {
				if seen++; seen == n {
					p.mu.Unlock()
					return r
				}
			}
		}
		p.mu.Unlock()
		select {
		case <-arrived:
		case <-ctx.Done():
			p.t.Fatalf("qmptest: request %d of %s did not come: %v", n, cmd, ctx.Err())
		}
	}
}

// Close ends all sessions and listeners and waits for them. The test's end calls it.
func (p *Peer) Close() {
	p.mu.Lock()
	closers := p.closers
	p.closers, p.closed = nil, true
	p.mu.Unlock()
	for _, fn := range closers {
		fn()
	}
	p.wg.Wait()
}

func (p *Peer) now() *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.current
}

func (p *Peer) send(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		p.t.Errorf("qmptest: %v", err)
		return
	}
	p.Raw(append(b, '\r', '\n'))
}

func (p *Peer) record(r Request) Handler {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.Command != "qmp_capabilities" {
		p.requests = append(p.requests, r)
		close(p.arrived)
		p.arrived = make(chan struct{})
	}
	return p.handlers[r.Command]
}

func answer(r *Request, value any, err error) map[string]any {
	m := map[string]any{}
	if r.ID != nil {
		m["id"] = r.ID
	}
	switch e := (*qmp.Error)(nil); {
	case errors.As(err, &e):
		m["error"] = map[string]string{"class": e.Class, "desc": e.Desc}
	case err != nil:
		m["error"] = map[string]string{"class": "GenericError", "desc": err.Error()}
	case value == nil:
		m["return"] = struct{}{}
	default:
		m["return"] = value
	}
	return m
}
