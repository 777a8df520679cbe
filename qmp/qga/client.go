package qga

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/turtacn/go-proxmox/internal/errclass"
	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/internal/frame"
	"github.com/turtacn/go-proxmox/qmp/internal/sockpath"
)

var (
	// ErrNotRunning says that the agent did not answer the handshake in time: it is not installed, not running or stuck.
	ErrNotRunning = errclass.New("guest agent is not running", os.ErrDeadlineExceeded)
	// ErrNoReply says that the agent took a command and did not answer it in time. The command may still run.
	ErrNoReply = errclass.New("guest agent did not reply in time", os.ErrDeadlineExceeded)
	// ErrBadReply says that the agent answered with what is no reply, or with one over the limits.
	ErrBadReply = errors.New("guest agent sent a bad reply")
	// ErrClosed says that the connection has ended, by Close or by the end of the virtual machine.
	ErrClosed = errclass.New("guest agent connection closed", net.ErrClosed)
)

// Options adjust a client. Nil, and every zero field, means the stated default.
type Options struct {
	// SyncTimeout bounds the handshake before each command: 3 s.
	SyncTimeout time.Duration
	// Timeout bounds a command whose context has no deadline: 5 s.
	Timeout time.Duration
	// MaxReply is the greatest accepted size of one reply in bytes: 16 MiB.
	MaxReply int
}

const (
	maxDepth = 64   // nesting of a reply; the deepest of qemu-ga's own have six levels
	mark     = 0xff // announces the reply to guest-sync-delimited, and makes the agent's parser start anew
)

// Client is a connection to one agent.
type Client struct {
	conn net.Conn
	opts Options
	in   *frame.Reader // used by the holder of turn
	turn chan struct{} // holds one token: the right to talk
	gone atomic.Bool
}

// Dial connects to the port's socket at path. That succeeds whether or not an agent listens in the guest.
func Dial(ctx context.Context, path string, opts *Options) (*Client, error) {
	short, done, err := sockpath.Short(path)
	if err != nil {
		return nil, fmt.Errorf("qga: dial: %w", err)
	}
	defer done()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", short)
	if err != nil {
		return nil, fmt.Errorf("qga: %w", err)
	}
	c, err := NewClient(conn, opts)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return c, nil
}

// NewClient talks over conn, which it owns from now on.
func NewClient(conn net.Conn, opts *Options) (*Client, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.SyncTimeout < 0 || o.Timeout < 0 || o.MaxReply < 0 {
		return nil, errors.New("qga: options: a limit is negative")
	}
	if o.SyncTimeout == 0 {
		o.SyncTimeout = 3 * time.Second
	}
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	if o.MaxReply == 0 {
		o.MaxReply = 16 << 20
	}
	c := &Client{conn: conn, opts: o, in: frame.NewReader(conn, o.MaxReply, maxDepth), turn: make(chan struct{}, 1)}
	c.turn <- struct{}{}
	return c, nil
}

// Close ends the connection and what waits on it. It is idempotent.
func (c *Client) Close() error {
	if c.gone.Swap(true) {
		return nil
	}
	return c.conn.Close()
}

// Do executes cmd with args, which encode to a JSON object or are nil, and stores the reply in out as encoding/json does;
// a nil out drops it. An error that the agent answers is a *qmp.Error. The other errors are those of this package, and
// the context's.
func (c *Client) Do(ctx context.Context, cmd string, args, out any) error {
	return c.do(ctx, cmd, args, out, true)
}

func (c *Client) do(ctx context.Context, cmd string, args, out any, replies bool) error {
	line, err := encode(cmd, args)
	if err != nil {
		return fmt.Errorf("qga: %s: encode arguments: %w", cmd, err)
	}
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.opts.Timeout, ErrNoReply)
		defer cancel()
	}
	select {
	case <-c.turn:
		defer func() { c.turn <- struct{}{} }()
	case <-ctx.Done():
		return fmt.Errorf("qga: %s: wait for other commands: %w", cmd, context.Cause(ctx))
	}
	if err := c.sync(ctx); err != nil {
		return fmt.Errorf("qga: %s: %w", cmd, err)
	}
	raw, err := c.exchange(ctx, line, replies)
	if err != nil {
		return fmt.Errorf("qga: %s: %w", cmd, err)
	}
	return decode(cmd, raw, out)
}

// exchange sends a command and reads its reply. A command that never replies is watched for a refusal within ctx.
func (c *Client) exchange(ctx context.Context, line []byte, replies bool) ([]byte, error) {
	stop, err := c.limit(ctx)
	if err != nil {
		return nil, err
	}
	defer stop()
	if _, err := c.conn.Write(line); err != nil {
		return nil, c.reason(ctx, err, ErrNoReply)
	}
	raw, err := c.in.Next()
	if err != nil {
		err = c.reason(ctx, err, ErrNoReply)
		if silent := errors.Is(err, ErrNoReply) || errors.Is(err, ErrClosed) && !c.gone.Load(); silent && !replies {
			return []byte(`{"return":{}}`), nil // so does success look, and so does the guest's end
		}
		return nil, err
	}
	return raw, nil
}

// sync makes sure that an agent listens and that the next message read is the reply to the next command sent.
// See qga/qapi-schema.json: guest-sync-delimited.
func (c *Client) sync(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx) // where the time was ours, that is one of our errors
	}
	limited, cancel := context.WithTimeout(ctx, c.opts.SyncTimeout)
	defer cancel()
	stop, err := c.limit(limited)
	if err != nil {
		return err
	}
	defer stop()
	id := rand.Int64N(1 << 53) // within what every JSON implementation keeps exactly
	line := fmt.Appendf(nil, "\xff{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":%d}}\n", id)
	if _, err := c.conn.Write(line); err != nil {
		return c.syncReason(ctx, err)
	}
	for {
		if err := c.in.SkipPast(mark); err != nil {
			return c.syncReason(ctx, err)
		}
		raw, err := c.in.Next()
		var r struct {
			Return *int64 `json:"return"`
		}
		switch {
		case err == nil:
			if json.Unmarshal(raw, &r) == nil && r.Return != nil && *r.Return == id {
				return nil
			} // the answer to a question before ours
		case errors.Is(err, frame.ErrSyntax), errors.Is(err, frame.ErrTooLarge), errors.Is(err, frame.ErrTooDeep):
			// garbage; the mark may still be ahead
		default:
			return c.syncReason(ctx, err)
		}
	}
}

// syncReason is reason where time running out means that no agent is there; only the caller's cancellation stays what it is.
func (c *Client) syncReason(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	return c.reason(context.Background(), err, ErrNotRunning)
}

// limit lets the end of ctx end reads and writes, until stop is called.
func (c *Client) limit(ctx context.Context) (stop func(), err error) {
	if err := c.conn.SetDeadline(time.Time{}); err != nil {
		return nil, ErrClosed
	}
	past := time.Unix(1, 0)
	done := make(chan struct{})
	unarm := context.AfterFunc(ctx, func() {
		_ = c.conn.SetDeadline(past)
		close(done)
	})
	return func() {
		if !unarm() {
			<-done // or it could cut short the next command
		}
	}, nil
}

// reason turns an I/O error into what it means; late is what time running out means.
func (c *Client) reason(ctx context.Context, err, late error) error {
	switch {
	case c.gone.Load():
		return ErrClosed
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return late
	case errors.Is(err, frame.ErrSyntax), errors.Is(err, frame.ErrTooLarge), errors.Is(err, frame.ErrTooDeep):
		return fmt.Errorf("%w: %w", ErrBadReply, err)
	}
	return fmt.Errorf("%w: %w", ErrClosed, err)
}

func encode(cmd string, args any) ([]byte, error) {
	var msg struct {
		Execute   string          `json:"execute"`
		Arguments json.RawMessage `json:"arguments,omitempty"`
	}
	msg.Execute = cmd
	if args != nil {
		raw, err := json.Marshal(args)
		if err != nil {
			return nil, err
		}
		if raw[0] != '{' {
			return nil, fmt.Errorf("%T is no JSON object", args)
		}
		msg.Arguments = raw
	}
	line, err := json.Marshal(msg)
	return append(line, '\n'), err
}

func decode(cmd string, raw []byte, out any) error {
	var m struct {
		Return json.RawMessage `json:"return"`
		Error  *struct {
			Class string `json:"class"`
			Desc  string `json:"desc"`
		} `json:"error"`
	}
	if err := json.Unmarshal(bytes.ToValidUTF8(raw, []byte("\uFFFD")), &m); err != nil {
		return fmt.Errorf("qga: %s: %w: %w", cmd, ErrBadReply, err)
	}
	switch {
	case m.Error != nil:
		return &qmp.Error{Command: cmd, Class: m.Error.Class, Desc: m.Error.Desc}
	case m.Return == nil:
		return fmt.Errorf("qga: %s: %w: neither return nor error", cmd, ErrBadReply)
	case out == nil:
		return nil
	}
	if err := json.Unmarshal(m.Return, out); err != nil {
		return fmt.Errorf("qga: %s: %w: %w", cmd, ErrBadReply, err)
	}
	return nil
}
