package qmp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"time"
)

// entry is the state of one key: a client, or an attempt under way, or a pause after a failed one. The pool's mutex guards it.
type entry struct {
	client  *Client
	attempt chan struct{} // not nil while dialling; closed at its end
	err     error         // of the last attempt
	pause   time.Duration
	retry   time.Time // not before
	since   time.Time // when the client came
	holds   int
	timer   *time.Timer // of the next attempt of its own, or of the end of idleness
	turn    int         // of the timer: one that was stopped too late is known by it
}

func (e *entry) live() bool { return e.client != nil && !e.client.ended() }

// startTimer has fn called after d with the turn of the timer, in place of the timer before.
func (e *entry) startTimer(d time.Duration, fn func(turn int)) {
	e.stopTimer()
	turn := e.turn
	e.timer = time.AfterFunc(d, func() { fn(turn) })
}

func (e *entry) stopTimer() {
	e.turn++
	if e.timer != nil {
		e.timer.Stop()
		e.timer = nil
	}
}

func (e *entry) lengthenPause(o *PoolOptions) {
	e.pause = min(max(2*e.pause, o.MinBackoff), o.MaxBackoff)
}

// lookup returns a live client with a hold on it, or an attempt to wait for, or an error.
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
	case e.live():
		return e.hold(), nil, nil
	case e.err != nil && time.Now().Before(e.retry):
		return nil, nil, fmt.Errorf("qmp: session of %s: %w: %w", key, ErrBackoff, e.err)
	}
	p.connectLocked(key, e)
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
	case e.live():
		return e.hold(), nil
	case e.err != nil:
		return nil, fmt.Errorf("qmp: session of %s: %w", key, e.err)
	}
	return nil, nil
}

// hold is called for a live entry, under the pool's mutex.
func (e *entry) hold() *Client {
	if e.holds == 0 {
		e.stopTimer()
	}
	e.holds++
	return e.client
}

func (p *Pool) connectLocked(key string, e *entry) {
	e.stopTimer()
	e.client, e.attempt = nil, make(chan struct{})
	p.stats.Dials++
	p.wg.Go(func() { p.connect(key, e) })
}

func (p *Pool) connect(key string, e *entry) {
	ctx, cancel := context.WithTimeout(p.ctx, p.opts.DialTimeout)
	defer cancel()
	c, err := p.dial(ctx, key)

	p.mu.Lock()
	wanted := p.wantedLocked(key, e) // Remove may have come meanwhile
	switch {
	case err != nil:
		p.stats.Failures++
		e.lengthenPause(&p.opts)
		e.err, e.retry = err, time.Now().Add(e.pause)
	case wanted:
		e.client, e.err, e.since = c, nil, time.Now()
	}
	close(e.attempt)
	e.attempt = nil
	switch {
	case !wanted:
	case e.holds == 0:
		p.idleLocked(key, e)
	case err != nil && !gone(err):
		p.redialLocked(key, e)
	}
	p.mu.Unlock()
	switch {
	case c == nil:
	case wanted:
		c.whenEnded(func() { p.broken(key, e, c) })
	default:
		c.Close()
	}
}

func (p *Pool) wantedLocked(key string, e *entry) bool { return !p.closed && p.entries[key] == e }

// gone tells whether there is nothing any more to dial: the socket is deleted, or nobody listens.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
}

// broken is called at the end of a session, by its reader, and does not wait.
func (p *Pool) broken(key string, e *entry, c *Client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.wantedLocked(key, e) || e.client != c {
		return // it was closed by the pool
	}
	p.stats.Broken++
	e.client = nil
	if time.Since(e.since) >= p.opts.MaxBackoff {
		e.pause = 0
	}
	if e.holds > 0 {
		e.lengthenPause(&p.opts) // a peer that greets and hangs up must not keep us busy
		p.redialLocked(key, e)
	}
}

// redialLocked dials after the entry's pause, if the key is held then and nobody has dialled meanwhile.
func (p *Pool) redialLocked(key string, e *entry) {
	e.startTimer(e.pause, func(turn int) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.wantedLocked(key, e) && e.turn == turn && e.attempt == nil && !e.live() {
			p.connectLocked(key, e)
		}
	})
}

// idleLocked starts the time after which a key without a hold is forgotten.
func (p *Pool) idleLocked(key string, e *entry) {
	e.stopTimer()
	if p.opts.IdleTimeout > 0 {
		e.startTimer(p.opts.IdleTimeout, func(turn int) { p.expire(key, e, turn) })
	}
}

func (p *Pool) expire(key string, e *entry, turn int) {
	p.mu.Lock()
	if !p.wantedLocked(key, e) || e.turn != turn {
		p.mu.Unlock()
		return
	}
	p.stats.Expired++
	c := p.forgetLocked(key)
	if c != nil {
		p.wg.Add(1)
		defer p.wg.Done()
	}
	p.mu.Unlock()
	if c != nil {
		c.Close()
	}
}

// forgetLocked returns the client to close, if there is one.
func (p *Pool) forgetLocked(key string) *Client {
	e := p.entries[key]
	if e == nil {
		return nil
	}
	delete(p.entries, key)
	e.stopTimer()
	return e.client
}
