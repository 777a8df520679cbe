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
}

// Pool keeps one live session per key, shared by all callers, since a monitor serves one client at a time. Sessions are
// dialled when first asked for and again after they have ended. A slow or dead peer holds up only those who ask for its
// key. It is safe for concurrent use.
type Pool struct {
	dial   DialFunc
	opts   PoolOptions
	ctx    context.Context // of all attempts to dial, ended by CloseAll: they outlive the caller who caused them
	cancel context.CancelFunc
	wg     sync.WaitGroup // attempts to dial

	mu      sync.Mutex // guards what follows; never held while dialling or closing
	entries map[string]*entry
	closed  bool
	stats   PoolStats
}

// entry is the state of one key: a client, or an attempt under way, or a pause after a failed one.
type entry struct {
	client  *Client
	attempt chan struct{} // not nil while dialling; closed at its end
	err     error         // of the last attempt
	pause   time.Duration
	retry   time.Time // not before
}

// PoolStats describe a pool.
type PoolStats struct {
	Keys, Live      int
	Dials, Failures uint64 // since the start
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
	if dial == nil {
		return nil, errors.New("qmp: pool: no dial function")
	}
	if o.DialTimeout < 0 || o.MinBackoff < 0 || o.MaxBackoff < o.MinBackoff {
		return nil, errors.New("qmp: pool: a duration is out of range")
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Pool{dial: dial, opts: o, ctx: ctx, cancel: cancel, entries: map[string]*entry{}}, nil
}

// Get returns the live client of key. The client belongs to the pool: do not close it. When there is none it dials, or
// joins an attempt under way, and waits within ctx. Right after a failed attempt it fails at once with ErrBackoff and that
// attempt's error, so that a dead machine costs its callers nothing; the pause doubles with each failure.
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

// lookup returns a live client, or an attempt to wait for, or an error.
func (p *Pool) lookup(key string) (*Client, chan struct{}, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, fmt.Errorf("qmp: session of %s: pool: %w", key, ErrClosed)
	}
	e := p.entries[key]
	if e == nil {
		e = &entry{}
		p.entries[key] = e
	}
	switch {
	case e.attempt != nil:
		return nil, e.attempt, nil
	case e.client != nil && !e.client.ended():
		return e.client, nil, nil
	case e.err != nil && time.Now().Before(e.retry):
		return nil, nil, fmt.Errorf("qmp: session of %s: %w: %w", key, ErrBackoff, e.err)
	}
	e.client, e.attempt = nil, make(chan struct{})
	p.stats.Dials++
	p.wg.Go(func() { p.connect(key, e) })
	return nil, e.attempt, nil
}

// outcome returns what the attempt just waited for came to.
func (p *Pool) outcome(key string) (*Client, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.entries[key]
	switch {
	case e == nil || e.attempt != nil:
		return nil, nil
	case e.client != nil && !e.client.ended():
		return e.client, nil
	case e.err != nil:
		return nil, fmt.Errorf("qmp: session of %s: %w", key, e.err)
	}
	return nil, nil
}

func (p *Pool) connect(key string, e *entry) {
	ctx, cancel := context.WithTimeout(p.ctx, p.opts.DialTimeout)
	defer cancel()
	c, err := p.dial(ctx, key)

	p.mu.Lock()
	wanted := !p.closed && p.entries[key] == e // Remove may have come meanwhile
	switch {
	case err != nil:
		p.stats.Failures++
		e.pause = min(max(2*e.pause, p.opts.MinBackoff), p.opts.MaxBackoff)
		e.err, e.retry = err, time.Now().Add(e.pause)
	case wanted:
		e.client, e.err, e.pause = c, nil, 0
	}
	close(e.attempt)
	e.attempt = nil
	p.mu.Unlock()
	if c != nil && !wanted {
		c.Close()
	}
}

// Remove closes the client of key, if there is one, and forgets the key with its pause.
func (p *Pool) Remove(key string) error {
	p.mu.Lock()
	e := p.entries[key]
	delete(p.entries, key)
	var c *Client
	if e != nil {
		c = e.client
	}
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
	for _, e := range p.entries {
		if e.client != nil {
			clients = append(clients, e.client)
		}
	}
	clear(p.entries)
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
		if e.client != nil && !e.client.ended() {
			s.Live++
		}
	}
	return s
}
