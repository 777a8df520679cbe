package qmp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/turtacn/go-proxmox/qmp/internal/frame"
	"github.com/turtacn/go-proxmox/qmp/internal/sockpath"
)

// Client is one session with one QEMU. It is safe for concurrent use and must be closed.
type Client struct {
	rw       io.ReadWriteCloser
	opts     Options
	greeting Greeting // written before Dial or NewClient returns, then constant
	greeted  chan struct{}
	oob      bool // negotiated; as greeting

	slots  chan struct{} // one token for each command that QEMU has not answered
	fdSlot chan struct{} // the token of the one command with a file descriptor
	wake   chan struct{} // tells the writer that queue is not empty

	mu      sync.Mutex // guards what follows; never held across I/O
	calls   map[uint64]*call
	plain   *call    // the one command without an id, or nil: see enqueue
	lastID  uint64   // the highest ever used
	freeIDs []uint64 // used and answered
	queue   []byte   // encoded commands that nobody has begun to write
	marks   []mark
	reserve []byte // a buffer to swap with queue
	writing bool   // somebody writes: the writer, or a caller in writeDirect
	closed  error  // why no further command is taken
	onEnd   func() // see whenEnded

	reading  chan struct{} // holds the token of the goroutine that reads
	frames   *frame.Reader // for the one that reads
	answered bool          // the last message was a reply to somebody; for the one that reads
	deadline deadliner     // of rw, where callers may read; else nil
	back     chan struct{} // calls the reader back from its rest
	resting  atomic.Bool
	leads    atomic.Uint64 // how often a caller has begun to read
	restTime time.Duration

	raw   syscall.RawConn // of rw, when it is a socket
	spare sync.Pool       // of *call

	subMu sync.Mutex // serialises changes of subs
	subs  atomic.Pointer[[]*Subscription]

	closing  atomic.Bool
	closeRW  func() error
	wg       sync.WaitGroup
	readDone chan struct{} // the reader has returned
	done     chan struct{} // the session has ended and err is set
	err      error
	stats    stats
}

type stats struct{ commands, replies, events, dropped, unmatched atomic.Uint64 }

// Stats are counters of a session since its start.
type Stats struct {
	Commands, Replies, Events uint64
	Dropped                   uint64 // events that some subscription had no room for
	Unmatched                 uint64 // replies with an id that nobody waits for
}

// Dial connects to the monitor socket at path. ctx covers connecting, the greeting and the handshake, not the session.
// A socket that is not there is fs.ErrNotExist; one that serves another client, ErrNoGreeting.
func Dial(ctx context.Context, path string, opts *Options) (*Client, error) {
	short, done, err := sockpath.Short(path)
	if err != nil {
		return nil, fmt.Errorf("qmp: dial: %w", err)
	}
	defer done()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", short)
	if err != nil {
		return nil, fmt.Errorf("qmp: %w", err)
	}
	return NewClient(ctx, conn, opts)
}

// NewClient starts a session on rw, which it owns from now on, also when it fails. Closing rw must end a Read and a Write
// that are under way, as it does with every connection of package net and with pipes.
func NewClient(ctx context.Context, rw io.ReadWriteCloser, opts *Options) (*Client, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, errors.Join(err, rw.Close())
	}
	c := &Client{
		rw: rw, opts: o, closeRW: sync.OnceValue(rw.Close),
		greeted: make(chan struct{}),
		slots:   make(chan struct{}, o.MaxInFlight),
		fdSlot:  make(chan struct{}, 1),
		wake:    make(chan struct{}, 1),
		calls:   map[uint64]*call{},
		reading: make(chan struct{}, 1), back: make(chan struct{}, 1),
		frames:   frame.NewReader(rw, o.MaxMessage, maxDepth),
		readDone: make(chan struct{}), done: make(chan struct{}), restTime: restTime,
	}
	if sc, ok := rw.(syscall.Conn); ok {
		c.raw, _ = sc.SyscallConn() // nil on error, and then all goes through the writer
	}
	if d, ok := rw.(deadliner); ok && c.raw != nil && d.SetReadDeadline(time.Time{}) == nil {
		c.deadline = d
	}
	if o.Setup != nil {
		o.Setup(c)
	}
	c.wg.Go(c.read)
	c.wg.Go(c.write)
	if err := c.handshake(ctx); err != nil {
		c.Close()
		return nil, fmt.Errorf("qmp: handshake: %w", err)
	}
	return c, nil
}

// Dead returns a client whose session has ended with err: what an owner shows before it has a live one.
func Dead(err error) *Client {
	c := &Client{err: err, closed: err, closeRW: func() error { return nil },
		slots: make(chan struct{}, 1), fdSlot: make(chan struct{}, 1), done: make(chan struct{})}
	close(c.done)
	return c
}

func (c *Client) handshake(ctx context.Context) error {
	var late <-chan time.Time
	if c.opts.GreetingTimeout > 0 {
		timer := time.NewTimer(c.opts.GreetingTimeout)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-c.greeted:
	case <-c.done:
		return c.err
	case <-late:
		return ErrNoGreeting
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return fmt.Errorf("%w: %w", ErrNoGreeting, ctx.Err())
		}
		return ctx.Err()
	}
	var args any
	oob := len(c.opts.OutOfBand) > 0 && c.greeting.offers("oob")
	if oob {
		args = struct {
			Enable []string `json:"enable"`
		}{[]string{"oob"}}
	}
	if err := c.Do(ctx, "qmp_capabilities", args, nil); err != nil {
		return err
	}
	c.oob = oob
	return nil
}

// Greeting returns what QEMU said of itself.
func (c *Client) Greeting() Greeting { return c.greeting }

// Stats returns the counters.
func (c *Client) Stats() Stats {
	s := &c.stats
	return Stats{Commands: s.commands.Load(), Replies: s.replies.Load(), Events: s.events.Load(),
		Dropped: s.dropped.Load(), Unmatched: s.unmatched.Load()}
}

// Done is closed when the session has ended; then Err says why.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err returns nil while the session lives, then ErrClosed, ErrDisconnected, a *ProtocolError or an I/O error.
func (c *Client) Err() error {
	if !c.ended() {
		return nil
	}
	return c.err
}

func (c *Client) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// Close ends the session, fails what waits with ErrClosed and returns when the reader and the writer are gone.
// It is idempotent. The error is that of closing the connection.
func (c *Client) Close() error {
	c.closing.Store(true)
	err := c.closeRW()
	if c.back != nil { // else nobody was ever there
		c.callBack() // to see it
	}
	c.wg.Wait()
	return err
}

// end is called once, by the goroutine that reads, when it can read no more.
func (c *Client) end(err error) {
	if c.closing.Load() {
		err = ErrClosed
	}
	c.mu.Lock()
	c.err, c.closed = err, err
	c.queue, c.marks = nil, closeMarks(c.marks)
	onEnd := c.onEnd
	c.mu.Unlock()
	c.closeRW()
	c.opts.Logger.Debug("qmp session ended", "reason", err)
	close(c.done)
	if onEnd != nil {
		onEnd()
	}
}

// whenEnded has fn called once, after the end of the session, which may have been already. fn must not wait.
func (c *Client) whenEnded(fn func()) {
	c.mu.Lock()
	over := c.closed != nil
	if !over {
		c.onEnd = fn
	}
	c.mu.Unlock()
	if over {
		<-c.done // a moment at most: see end
		fn()
	}
}
