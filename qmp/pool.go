package qmp

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// DialFunc opens the session of key. ctx ends when the pool gives up on the attempt.
type DialFunc func(ctx context.Context, key string) (*Client, error)

// PoolOptions adjust a pool. Nil, and every zero field, means the stated default.
type PoolOptions struct {
	// DialTimeout bounds one attempt to dial: 15 s.
	DialTimeout time.Duration
	// MinBackoff and MaxBackoff bound the pause after a failed attempt, which doubles from 100 ms to 5 s.
	MinBackoff, MaxBackoff time.Duration
	// IdleTimeout is how long the session of a key that nobody holds stays open: 1 minute; negative is until Remove or
	// CloseAll.
	IdleTimeout time.Duration
}

// Pool keeps one live session per key, shared by all callers, since a monitor serves one client at a time.
//
// A session is dialled when its key is first asked for. Get takes a hold on the key that Release gives back. While a key
// is held, the end of its session, which the pool is told by the session itself, makes it dial anew, with pauses that double
// up to MaxBackoff, for as long as something listens; when the socket is gone so is the machine, and nothing is dialled until
// somebody asks again. A key without a hold loses its session after IdleTimeout. Remove is for who knows that the machine is
// gone.
//
// A slow or dead peer holds up only those who ask for its key. The pool owns no goroutine but those of attempts to dial. It
// is safe for concurrent use.
type Pool struct {
	dial   DialFunc
	opts   PoolOptions
	ctx    context.Context // of all attempts to dial, ended by CloseAll: they outlive the caller who caused them
	cancel context.CancelFunc
	wg     sync.WaitGroup // attempts to dial, and closings of idle sessions

	mu      sync.Mutex // guards what follows; never held while dialling or closing
	entries map[string]*entry
	closed  bool
	stats   PoolStats
}

// PoolStats describe a pool: first what is, then counters since the start.
type PoolStats struct {
	Keys    int // known: live, being dialled, or in the pause after a failure
	Live    int // keys with a session
	Dialing int // keys with an attempt under way
	Holds   int // Gets that have not been released, over all keys

	Dials    uint64 // attempts
	Failures uint64 // attempts that failed
	Broken   uint64 // sessions that ended by themselves
	Expired  uint64 // keys that were forgotten because nobody held them
}

// NewPool returns an empty pool that must be closed by CloseAll.
func NewPool(dial DialFunc, opts *PoolOptions) (*Pool, error) {
	var o PoolOptions
	if opts != nil {
		o = *opts
	}
	setDefault(&o.DialTimeout, 15*time.Second)
	setDefault(&o.MinBackoff, 100*time.Millisecond)
	setDefault(&o.MaxBackoff, max(5*time.Second, o.MinBackoff))
	setDefault(&o.IdleTimeout, time.Minute)
	if dial == nil {
		return nil, errors.New("qmp: pool: no dial function")
	}
	if o.DialTimeout < 0 || o.MinBackoff < 0 || o.MaxBackoff < o.MinBackoff {
		return nil, errors.New("qmp: pool: a duration is out of range")
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Pool{dial: dial, opts: o, ctx: ctx, cancel: cancel, entries: map[string]*entry{}}, nil
}

// Get returns the live client of key and takes a hold on it: call Release when done. The client belongs to the pool: do not
// close it. When there is none Get dials, or joins an attempt under way, and waits within ctx. Right after a failed attempt
// it fails at once with ErrBackoff and that attempt's error, so that a dead machine costs its callers nothing; the pause
// doubles with each failure. A Get that fails takes no hold.
//
// A session may end at any time, and a holder keeps the client of the ended one: Get again for the next.
func (p *Pool) Get(ctx context.Context, key string) (*Client, error) {
	for {
		c, attempt, err := p.lookup(key)
		if c != nil || err != nil {
			return c, err
		}
		select {
		case <-attempt:
			if c, err := p.outcome(key); c != nil || err != nil {
				return c, err
			} // removed, or ended already: once more
		case <-ctx.Done():
			return nil, fmt.Errorf("qmp: session of %s: %w", key, ctx.Err())
		}
	}
}

// Release gives one hold on key back. The session of a key that nobody holds is closed after IdleTimeout. It does nothing
// for a key without a hold, such as one that was removed meanwhile.
func (p *Pool) Release(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.entries[key]
	if e == nil || e.holds == 0 {
		return
	}
	if e.holds--; e.holds == 0 {
		p.idleLocked(key, e)
	}
}

// Remove closes the client of key, if there is one, and forgets the key with its holds and its pause: the machine is gone,
// or another one begins under the same key.
func (p *Pool) Remove(key string) error {
	p.mu.Lock()
	c := p.forgetLocked(key)
	p.mu.Unlock()
	if c == nil {
		return nil
	}
	return c.Close()
}

// CloseAll closes every client and ends the pool: Get returns ErrClosed from now on. It returns when all attempts to dial
// have ended, and is idempotent.
func (p *Pool) CloseAll() error {
	p.mu.Lock()
	p.closed = true
	var clients []*Client
	for key := range p.entries {
		if c := p.forgetLocked(key); c != nil {
			clients = append(clients, c)
		}
	}
	p.mu.Unlock()
	p.cancel()
	var errs []error
	for _, c := range clients {
		errs = append(errs, c.Close())
	}
	p.wg.Wait()
	return errors.Join(errs...)
}

// Stats returns the present state.
func (p *Pool) Stats() PoolStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.Keys = len(p.entries)
	for _, e := range p.entries {
		s.Holds += e.holds
		if e.attempt != nil {
			s.Dialing++
		}
		if e.live() {
			s.Live++
		}
	}
	return s
}
