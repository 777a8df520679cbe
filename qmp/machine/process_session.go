package machine

import (
	"context"
	"errors"
	"time"

	"github.com/turtacn/go-proxmox/internal/proc"
	"github.com/turtacn/go-proxmox/qmp"
)

// session is a control session with the subscription to what QEMU says of its end.
type session struct {
	client *qmp.Client
	sub    *qmp.Subscription
}

const (
	tendInterval = 10 * time.Second // between looks at the log's size
	minRedial    = 100 * time.Millisecond
	maxRedial    = 5 * time.Second
	quitPatience = 10 * time.Second // of the quit after a guest's shutdown
)

// dial opens the control session. Its events are collected from the first one on.
func (p *Process) dial(ctx context.Context) (*session, error) {
	var o qmp.Options
	if p.opts.QMP != nil {
		o = *p.opts.QMP
	}
	s := &session{}
	setup := o.Setup
	o.Setup = func(c *qmp.Client) {
		s.sub = c.Subscribe("SHUTDOWN", "RESET", "RESUME", "GUEST_PANICKED")
		if setup != nil {
			setup(c)
		}
	}
	if o.GreetingTimeout == 0 {
		o.GreetingTimeout = -1 // the context says how long
	}
	var err error
	s.client, err = qmp.Dial(ctx, p.paths.control(), &o)
	return s, err
}

// firstSession waits until QMP answers. The socket is listened at before QEMU runs, so connecting succeeds at once and the
// greeting says that QEMU is up.
func (p *Process) firstSession(ctx context.Context) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, p.opts.ReadyTimeout)
	defer cancel()
	ended := make(chan struct{})
	defer close(ended)
	go func() { // ends with this call; a QEMU that dies silently must not be waited for
		select {
		case <-p.proc.Done():
			cancel()
		case <-ended:
		}
	}()
	s, err := p.dial(ctx)
	if err != nil {
		return nil, err
	}
	p.adopt(ctx, s)
	return s, nil
}

// adopt makes s the session that QMP returns, and learns what happened before it.
func (p *Process) adopt(ctx context.Context, s *session) {
	p.mu.Lock()
	p.client = s.client
	close(p.fresh)
	p.fresh = make(chan struct{})
	p.mu.Unlock()
	p.catchUp(ctx, s.client)
}

// catchUp asks for what an event would have told: the guest may have shut down while nobody listened.
func (p *Process) catchUp(ctx context.Context, c *qmp.Client) {
	ctx, cancel := context.WithTimeout(ctx, quitPatience)
	defer cancel()
	var st struct {
		Status string `json:"status"`
	}
	if c.Do(ctx, "query-status", nil, &st) != nil {
		return // the session's end tells
	}
	p.mu.Lock()
	p.words.status(st.Status)
	down := p.words.guest != ""
	p.mu.Unlock()
	if down {
		p.quitAfterGuest(ctx, c)
	}
}

// attend follows the control session, opens a new one when it breaks off, and keeps the log small, until ctx or the process
// ends.
func (p *Process) attend(ctx context.Context, s *session) {
	pause := minRedial
	for {
		if s != nil {
			p.follow(ctx, s)
			s.sub.Close()
			s.client.Close()
			p.opts.Logger.Debug("control session ended", "name", p.rec.Name, "reason", s.client.Err())
			s, pause = nil, minRedial
		}
		select {
		case <-p.proc.Done():
			return
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		p.tend()
		pause = min(2*pause, maxRedial)
		try, cancel := context.WithTimeout(ctx, maxRedial)
		if fresh, err := p.dial(try); err == nil {
			p.opts.Logger.Warn("control session opened again", "name", p.rec.Name)
			p.adopt(try, fresh)
			s = fresh
		}
		cancel()
	}
}

// follow notes what QEMU says of its end, until the session ends.
func (p *Process) follow(ctx context.Context, s *session) {
	for {
		tick, cancel := context.WithTimeout(ctx, tendInterval)
		e, err := s.sub.Next(tick, nil)
		cancel()
		var gap *qmp.OverflowError
		switch {
		case err == nil:
			p.mu.Lock()
			p.words.event(e)
			down := e.Name == "SHUTDOWN" && p.words.guest != ""
			p.mu.Unlock()
			if down {
				p.quitAfterGuest(ctx, s.client)
			}
		case errors.As(err, &gap):
			p.catchUp(ctx, s.client)
		case ctx.Err() != nil:
			return
		case errors.Is(err, context.DeadlineExceeded):
			p.tend()
		default:
			return
		}
	}
}

// quitAfterGuest ends a QEMU whose guest has shut down and that stays because of -no-shutdown.
func (p *Process) quitAfterGuest(ctx context.Context, c *qmp.Client) {
	if p.opts.KeepShutDown {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, quitPatience)
	defer cancel()
	if err := c.Do(ctx, "quit", nil, nil); err != nil { // it may be on its way out by itself
		p.opts.Logger.Debug("quit after the guest's shutdown", "name", p.rec.Name, "error", err)
	}
}

func (p *Process) tend() {
	if cut, err := proc.TrimLog(p.paths.log(), p.opts.LogMax); cut || err != nil {
		p.opts.Logger.Warn("QEMU's standard error was cut", "name", p.rec.Name, "error", err)
	}
}
