package breaker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/turtacn/go-proxmox/storage"
)

// Options configure a Driver. The zero value of each field is the documented default.
type Options struct {
	Name     string        // type of the storage, for errors; default "breaker"
	Timeout  time.Duration // of calls that move no data, if their ctx allows more; default 30 s
	Grace    time.Duration // how long after the end of its ctx a call may still return by itself; default 250 ms
	Failures int           // in a row until the circuit opens; default 3
	MaxStuck int           // calls that were given up and still hang, until no others are let through; default 8
	Cooldown time.Duration // until one call is let through again, doubled each time in vain up to 16 times; default 5 s
	// Probe, if set, is asked before that one call, such as a [Prober] that risks a child process instead of a goroutine.
	Probe  func(ctx context.Context) error
	Logger *slog.Logger // opening and closing at Warn; nil discards
}

// State is that of the circuit.
type State string

// The states.
const (
	Closed   State = "closed"    // calls pass
	Open     State = "open"      // calls fail at once
	HalfOpen State = "half-open" // one call is under way to see
)

// Stats is what a Driver has seen.
type Stats struct {
	State    State
	Since    time.Time // of this state
	Reason   error     // the last failure; nil while closed without any
	Calls    uint64    // that were let through
	Rejected uint64    // that failed at once
	GivenUp  uint64    // that did not return in time
	Stuck    int       // of those, how many still hang
}

// Driver is a storage.Driver that always answers. Its capabilities, found with storage.As, do so too.
type Driver struct {
	*storage.Interceptor
	opt Options

	mu       sync.Mutex // guards what follows; never held across a call
	stats    Stats
	failures int           // in a row
	wait     time.Duration // until the next trial
	running  map[*call]struct{}
	closed   bool
	idle     chan struct{} // closed when closed is set and nothing runs
}

// call is one call on its way through the driver behind.
type call struct {
	storage.Call
	began   time.Time
	givenUp bool // nobody waits for it
}

// New puts a circuit breaker before d.
func New(d storage.Driver, o *Options) (*Driver, error) {
	if o == nil {
		o = &Options{}
	}
	if o.Timeout < 0 || o.Grace < 0 || o.Failures < 0 || o.MaxStuck < 0 || o.Cooldown < 0 {
		return nil, fmt.Errorf("breaker: negative option: %w", fs.ErrInvalid)
	}
	b := &Driver{opt: *o, running: map[*call]struct{}{}, idle: make(chan struct{})}
	b.opt.Name = cmp.Or(o.Name, "breaker")
	b.opt.Timeout = cmp.Or(o.Timeout, 30*time.Second)
	b.opt.Grace = cmp.Or(o.Grace, 250*time.Millisecond)
	b.opt.Failures = cmp.Or(o.Failures, 3)
	b.opt.MaxStuck = cmp.Or(o.MaxStuck, 8)
	b.opt.Cooldown = cmp.Or(o.Cooldown, 5*time.Second)
	if b.opt.Logger == nil {
		b.opt.Logger = slog.New(slog.DiscardHandler)
	}
	b.stats = Stats{State: Closed, Since: time.Now()}
	b.wait = b.opt.Cooldown
	b.Interceptor = storage.Intercept(d, b.around)
	return b, nil
}

// Stats returns what was seen so far.
func (b *Driver) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.stats
	s.Stuck = b.stuckLocked()
	return s
}

// Close refuses further calls and waits until none runs, or ctx ends: then calls still hang, and nothing can end them.
func (b *Driver) Close(ctx context.Context) error {
	b.mu.Lock()
	if !b.closed {
		b.closed = true
		if len(b.running) == 0 {
			close(b.idle)
		}
	}
	b.mu.Unlock()
	select {
	case <-b.idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("breaker: %d calls still hang: %w", b.Stats().Stuck, context.Cause(ctx))
	}
}

var (
	errClosed  = errors.New("circuit breaker is closed for good")
	errTimeout = errors.New("backend did not answer in time")
)

// around is the way of every call.
func (b *Driver) around(ctx context.Context, what storage.Call, do func(context.Context) error) error {
	if ctx.Err() != nil {
		return b.fail(what, context.Cause(ctx))
	}
	c, trial, err := b.admit(what)
	if err != nil {
		return b.fail(what, err)
	}
	if trial && b.opt.Probe != nil {
		if err := b.opt.Probe(ctx); err != nil {
			b.ended(c)
			b.verdict(trial, fmt.Errorf("%w: %w", storage.ErrUnavailable, err))
			return b.fail(what, fmt.Errorf("%w: %w", storage.ErrUnavailable, err))
		}
	}
	if !what.Long {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, b.opt.Timeout, errTimeout)
		defer cancel()
	}
	done := make(chan error, 1)
	go func() { // owned by b.running, which Close waits for
		err := do(ctx)
		b.ended(c)
		done <- err
	}()
	select {
	case err := <-done:
		b.verdict(trial, err)
		return err
	case <-ctx.Done():
	}
	grace := time.NewTimer(b.opt.Grace)
	defer grace.Stop()
	select {
	case err := <-done:
		b.verdict(trial, err)
		return err
	case <-grace.C:
	}
	return b.fail(what, b.giveUp(ctx, c, trial))
}

// admit lets a call in, or says why not. trial: it is the one that shows whether the backend is back.
func (b *Driver) admit(what storage.Call) (c *call, trial bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	refuse := func(format string, args ...any) error {
		b.stats.Rejected++
		err := fmt.Errorf("%w: "+format, append([]any{storage.ErrUnavailable}, args...)...)
		if b.stats.Reason != nil {
			err = fmt.Errorf("%w: %w", err, b.stats.Reason)
		}
		return err
	}
	since := b.stats.Since.UTC().Format(time.RFC3339)
	switch {
	case b.closed:
		return nil, false, fmt.Errorf("%w: %w", storage.ErrUnavailable, errClosed)
	case b.stuckLocked() >= b.opt.MaxStuck:
		return nil, false, refuse("%d calls hang in it", b.stuckLocked())
	case b.stats.State == HalfOpen:
		return nil, false, refuse("no answer since %s", since)
	case b.stats.State == Open && now.Sub(b.stats.Since) < b.wait:
		return nil, false, refuse("no answer since %s", since)
	case b.stats.State == Open:
		b.stats.State, trial = HalfOpen, true
	}
	c = &call{Call: what, began: now}
	b.running[c] = struct{}{}
	b.stats.Calls++
	return c, trial, nil
}

func (b *Driver) ended(c *call) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.running, c)
	if b.closed && len(b.running) == 0 {
		close(b.idle)
	}
}

func (b *Driver) stuckLocked() (n int) {
	for c := range b.running {
		if c.givenUp {
			n++
		}
	}
	return n
}

// giveUp leaves a call behind. A caller who merely lost interest says nothing about the backend; one whose time ran out does.
func (b *Driver) giveUp(ctx context.Context, c *call, trial bool) error {
	b.mu.Lock()
	c.givenUp = true
	b.stats.GivenUp++
	b.mu.Unlock()
	cause := context.Cause(ctx)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err := fmt.Errorf("%w: %s hangs: %w", storage.ErrUnavailable, c.Op, cause)
		b.verdict(trial, err)
		return err
	}
	b.verdict(trial, cause)
	return cause
}

// verdict judges the backend by the end of a call. Trouble with one volume is an answer like any other.
func (b *Driver) verdict(trial bool, err error) {
	dead := errors.Is(err, storage.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errTimeout)
	unknown := errors.Is(err, context.Canceled)
	b.mu.Lock()
	defer b.mu.Unlock()
	now, was := time.Now(), b.stats.State
	switch {
	case dead:
		b.failures++
		b.stats.Reason = err
		switch {
		case trial:
			b.wait = min(2*b.wait, 16*b.opt.Cooldown)
			b.stats.State, b.stats.Since = Open, now
		case was == Closed && b.failures >= b.opt.Failures:
			b.stats.State, b.stats.Since = Open, now
		}
	case unknown && trial: // the next one tries
		b.stats.State = Open
	case unknown:
	case trial || was == Closed: // a late answer of before the circuit opened does not close it
		b.failures, b.stats.Reason, b.wait = 0, nil, b.opt.Cooldown
		if was != Closed {
			b.stats.State, b.stats.Since = Closed, now
		}
	}
	if now := b.stats.State; (now == Open) != (was == Open) && now != HalfOpen {
		b.opt.Logger.Warn("circuit", slog.String("storage", b.opt.Name), slog.String("state", string(now)), slog.Any("reason", b.stats.Reason))
	}
}

func (b *Driver) fail(c storage.Call, err error) error {
	return &storage.OpError{Op: c.Op, Driver: b.opt.Name, Volume: c.ID, Err: err}
}
