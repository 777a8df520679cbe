package goqemu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	dgqmp "github.com/digitalocean/go-qemu/qmp"

	"github.com/turtacn/go-proxmox/qmp"
)

// ErrNotConnected says that Connect has not succeeded, or Disconnect was called.
var ErrNotConnected = errors.New("goqemu: not connected")

// Options adjust a monitor. Nil, and every zero field, means the stated default.
type Options struct {
	// Timeout bounds Connect, and each command: go-qemu's calls take no context. 0 leaves commands unbounded, and Connect
	// to the client's GreetingTimeout.
	Timeout time.Duration
	// QMP adjusts the client that Connect dials.
	QMP *qmp.Options
}

// Monitor implements go-qemu's qmp.Monitor.
type Monitor struct {
	path string // "" where the client is shared
	opts Options

	mu  sync.Mutex // guards now; never held while dialling or waiting
	now *session   // nil: not connected
}

// session is the time between Connect and Disconnect.
type session struct {
	client  *qmp.Client
	ctx     context.Context // of the streams of events
	cancel  context.CancelFunc
	streams sync.WaitGroup
}

func newSession(c *qmp.Client) *session {
	s := &session{client: c}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

var _ dgqmp.Monitor = (*Monitor)(nil)

// New returns a monitor for the socket at path. Connect dials it.
func New(path string, o *Options) *Monitor {
	m := &Monitor{path: path}
	if o != nil {
		m.opts = *o
	}
	return m
}

// Wrap returns a monitor on a client that others use, too. It is connected; Disconnect ends the streams of events and leaves
// the client open.
func Wrap(c *qmp.Client, o *Options) *Monitor {
	m := New("", o)
	m.now = newSession(c)
	return m
}

// Connect opens the session, unless it is open.
func (m *Monitor) Connect() error {
	if _, err := m.Client(); err == nil {
		return nil
	}
	if m.path == "" {
		return ErrNotConnected // a shared client that was given up
	}
	ctx, cancel := m.bounded()
	defer cancel()
	c, err := qmp.Dial(ctx, m.path, m.opts.QMP)
	if err != nil {
		return err
	}
	m.mu.Lock()
	second := m.now != nil
	if !second {
		m.now = newSession(c)
	}
	m.mu.Unlock()
	if second {
		return c.Close()
	}
	return nil
}

// Disconnect ends the session and all streams of events. It is idempotent.
func (m *Monitor) Disconnect() error {
	m.mu.Lock()
	s := m.now
	m.now = nil
	m.mu.Unlock()
	if s == nil {
		return nil
	}
	s.cancel()
	s.streams.Wait()
	if m.path == "" {
		return nil
	}
	return s.client.Close()
}

// Client returns the client underneath, or ErrNotConnected.
func (m *Monitor) Client() (*qmp.Client, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.now == nil {
		return nil, ErrNotConnected
	}
	return m.now.client, nil
}

func (m *Monitor) bounded() (context.Context, context.CancelFunc) {
	if m.opts.Timeout > 0 {
		return context.WithTimeout(context.Background(), m.opts.Timeout)
	}
	return context.WithCancel(context.Background())
}

// command is the wire form of a command.
type command struct {
	Execute   string          `json:"execute"`
	ExecOOB   string          `json:"exec-oob"`
	Arguments json.RawMessage `json:"arguments"`
	ID        json.RawMessage `json:"id"`
}

// Run executes a command given as JSON and returns QEMU's whole reply: {"return": …}, with the id that the command had.
// An answer that is an error has QEMU's text and unwraps to the *qmp.Error.
func (m *Monitor) Run(cmd []byte) ([]byte, error) { return m.RunWithFile(cmd, nil) }

// RunWithFile is Run for a command that takes a file descriptor. The file stays the caller's.
func (m *Monitor) RunWithFile(cmd []byte, file *os.File) ([]byte, error) {
	var in command
	if err := json.Unmarshal(cmd, &in); err != nil {
		return nil, fmt.Errorf("goqemu: command: %w", err)
	}
	switch {
	case in.ExecOOB != "": // the client decides that by the command's name
		return nil, fmt.Errorf("goqemu: exec-oob: %w", errors.ErrUnsupported)
	case in.Execute == "":
		return nil, errors.New("goqemu: command: no \"execute\"")
	}
	c, err := m.Client()
	if err != nil {
		return nil, err
	}
	var args any
	if len(in.Arguments) > 0 {
		args = in.Arguments
	}
	ctx, cancel := m.bounded()
	defer cancel()
	var out json.RawMessage
	if file == nil {
		err = c.Do(ctx, in.Execute, args, &out)
	} else {
		err = c.DoFD(ctx, in.Execute, args, file, &out)
	}
	if err != nil {
		return nil, asText(err)
	}
	return json.Marshal(struct {
		Return json.RawMessage `json:"return"`
		ID     json.RawMessage `json:"id,omitempty"`
	}{out, in.ID})
}

// commandError is a *qmp.Error that prints QEMU's text alone, as go-qemu's errors do: its users search it.
type commandError struct{ err *qmp.Error }

func (e *commandError) Error() string { return e.err.Desc }
func (e *commandError) Unwrap() error { return e.err }

func asText(err error) error {
	if e, ok := errors.AsType[*qmp.Error](err); ok {
		return &commandError{e}
	}
	return err
}
