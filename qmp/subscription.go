package qmp

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// Subscription hands out events in the order of their arrival. It is bounded: when its reader is too slow the oldest
// events go, and Next says so once with an *OverflowError before it goes on. Meant for one reader at a time.
type Subscription struct {
	c     *Client
	names []string // empty: all
	wake  chan struct{}
	quit  chan struct{}

	mu      sync.Mutex // guards what follows; never held while waiting
	ring    []Event    // a queue: ring[head], … of n events, wrapping around
	head, n int
	bytes   int
	gap     uint64 // events lost since Next last told
	dropped uint64
	closed  bool
}

// Subscribe starts to collect the named events, or all events without a name. The subscription must be closed.
// Subscribe before sending the command whose events are of interest.
func (c *Client) Subscribe(events ...string) *Subscription {
	s := &Subscription{c: c, names: slices.Clone(events), wake: make(chan struct{}, 1), quit: make(chan struct{})}
	c.subMu.Lock()
	defer c.subMu.Unlock()
	list := append(slices.Clone(c.subscriptions()), s)
	c.subs.Store(&list)
	return s
}

func (c *Client) subscriptions() []*Subscription {
	if p := c.subs.Load(); p != nil {
		return *p
	}
	return nil
}

// Next returns the next event for which match holds; nil matches all. Events that do not match are consumed. It returns
// the context's error, an *OverflowError (and can be called again), ErrClosed after Close, or the reason of the session's
// end once all events received before it have been read.
func (s *Subscription) Next(ctx context.Context, match func(Event) bool) (Event, error) {
	for {
		ended := s.c.ended() // asked before pop: an event that came before the end is not overlooked
		e, ok, err := s.pop()
		switch {
		case err != nil:
			return Event{}, err
		case ok && (match == nil || match(e)):
			return e, nil
		case ok:
			continue
		case ended:
			return Event{}, fmt.Errorf("qmp: wait for event: %w", s.c.Err())
		}
		s.c.needReader()
		select {
		case <-s.wake:
		case <-s.quit:
		case <-s.c.done:
		case <-ctx.Done():
			return Event{}, fmt.Errorf("qmp: wait for event: %w", ctx.Err())
		}
	}
}

// Dropped returns how many events this subscription has lost so far.
func (s *Subscription) Dropped() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropped
}

// Close ends the subscription. A Next under way returns ErrClosed. It is idempotent.
func (s *Subscription) Close() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed, s.ring, s.n = true, nil, 0
	close(s.quit)
	s.mu.Unlock()

	s.c.subMu.Lock()
	defer s.c.subMu.Unlock()
	list := slices.DeleteFunc(slices.Clone(s.c.subscriptions()), func(o *Subscription) bool { return o == s })
	s.c.subs.Store(&list)
}

func (s *Subscription) wants(name string) bool {
	return len(s.names) == 0 || slices.Contains(s.names, name)
}

// cost is what an event is charged with: its data and something for the record itself.
func cost(e Event) int { return len(e.Data) + len(e.Name) + 64 }

// push is called by the reader alone and never waits.
func (s *Subscription) push(e Event, maxEvents, maxBytes int) (dropped uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0
	}
	before := s.dropped
	for s.n > 0 && (s.n == maxEvents || s.bytes+cost(e) > maxBytes) {
		s.takeLocked()
		s.gap, s.dropped = s.gap+1, s.dropped+1
	}
	if cost(e) > maxBytes {
		s.gap, s.dropped = s.gap+1, s.dropped+1
	} else {
		s.putLocked(e, maxEvents)
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return s.dropped - before
}

func (s *Subscription) putLocked(e Event, maxEvents int) {
	if s.n == len(s.ring) {
		grown := make([]Event, min(max(4, 2*len(s.ring)), maxEvents))
		for i := range s.n {
			grown[i] = s.ring[(s.head+i)%len(s.ring)]
		}
		s.ring, s.head = grown, 0
	}
	s.ring[(s.head+s.n)%len(s.ring)] = e
	s.n++
	s.bytes += cost(e)
}

func (s *Subscription) takeLocked() Event {
	e := s.ring[s.head]
	s.ring[s.head] = Event{}
	s.head = (s.head + 1) % len(s.ring)
	s.n--
	s.bytes -= cost(e)
	return e
}

func (s *Subscription) pop() (Event, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return Event{}, false, fmt.Errorf("qmp: wait for event: %w", ErrClosed)
	case s.gap > 0:
		err := &OverflowError{Dropped: s.gap}
		s.gap = 0
		return Event{}, false, err
	case s.n == 0:
		return Event{}, false, nil
	}
	return s.takeLocked(), true, nil
}
