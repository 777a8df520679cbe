// Package feed is the history of a store in memory, from which all its watches read at their own pace.
package feed

import (
	"context"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/turtacn/go-proxmox/cluster"
)

// Feed holds the latest events of a store. Writers append and never wait; a reader that needs more than is kept gets ErrCompacted.
type Feed struct {
	maxEvents, maxBytes int

	mu      sync.Mutex // guards the fields below; never held across a channel operation or a call
	base    int64      // events[i] is revision base+1+i
	events  []cluster.Event
	sizes   []int // of events, in bytes
	bytes   int
	closed  bool
	changed chan struct{} // closed and replaced when something is appended
}

// New returns a feed that begins after revision rev and keeps at most maxEvents transactions and maxBytes of keys and values.
func New(rev int64, maxEvents, maxBytes int) *Feed {
	return &Feed{base: rev, maxEvents: maxEvents, maxBytes: maxBytes, changed: make(chan struct{})}
}

// Append adds events of consecutive revisions, each with all changes in key order. The feed owns them from then on.
func (f *Feed) Append(events ...cluster.Event) {
	if len(events) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, ev := range events {
		if want := f.base + int64(len(f.events)) + 1; ev.Rev != want {
			panic("feed: revision out of order")
		}
		size := 64
		for _, c := range ev.Changes {
			size += 64 + len(c.Key) + len(c.Value)
		}
		f.events, f.sizes, f.bytes = append(f.events, ev), append(f.sizes, size), f.bytes+size
	}
	drop := 0
	for drop < len(f.events) && (len(f.events)-drop > f.maxEvents || f.bytes > f.maxBytes) {
		f.bytes -= f.sizes[drop]
		drop++
	}
	// Readers may hold parts of the old array, so it is left to them and to append, which moves the rest sooner or later.
	f.events, f.sizes, f.base = f.events[drop:], f.sizes[drop:], f.base+int64(drop)
	close(f.changed)
	f.changed = make(chan struct{})
}

// Close ends all watches once they have read what is there.
func (f *Feed) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.closed = true
		close(f.changed)
	}
}

// after returns the events after revision rev, or a channel that is closed when there are some.
func (f *Feed) after(rev int64) ([]cluster.Event, <-chan struct{}, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch last := f.base + int64(len(f.events)); {
	case rev < f.base:
		return nil, nil, cluster.ErrCompacted
	case rev < last:
		return f.events[rev-f.base:], nil, nil
	case f.closed:
		return nil, nil, cluster.ErrClosed
	default: // also a revision that is committed but not appended yet
		return nil, f.changed, nil
	}
}

// List reads the current state: the keys under prefix and the revision.
type List func(ctx context.Context, prefix string) ([]cluster.KV, int64, error)

// Watch implements cluster.Store's Watch on the feed and the store's List.
func (f *Feed) Watch(ctx context.Context, prefix string, from int64, list List) iter.Seq2[cluster.Event, error] {
	return func(yield func(cluster.Event, error) bool) {
		fail := func(err error) { yield(cluster.Event{}, &cluster.OpError{Op: "watch", Key: prefix, Err: err}) }
		scope := prefix
		if from != 0 {
			scope = cluster.FormatKey // only the revision is of interest
		}
		kvs, rev, err := list(ctx, scope)
		if err != nil {
			yield(cluster.Event{}, err)
			return
		}
		next := from
		switch {
		case from == 0:
			next = rev
			if len(kvs) > 0 {
				first := cluster.Event{Rev: rev, Changes: make([]cluster.Change, len(kvs))}
				for i, kv := range kvs {
					first.Changes[i].KV = kv
				}
				if !yield(first, nil) {
					return
				}
			}
		case from > rev: // never given out: another history, as of a store restored from a copy
			fail(cluster.ErrCompacted)
			return
		}
		f.follow(ctx, prefix, next, rev, yield, fail)
	}
}

// follow yields what comes after revision next, and the mark as soon as everything up to revision synced is out.
func (f *Feed) follow(ctx context.Context, prefix string, next, synced int64, yield func(cluster.Event, error) bool, fail func(error)) {
	marked := false
	for {
		if !marked && next >= synced {
			marked = true
			if !yield(cluster.Event{Rev: next, Synced: true}, nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			fail(err)
			return
		}
		events, changed, err := f.after(next)
		if err != nil {
			fail(err)
			return
		}
		if events == nil {
			select {
			case <-ctx.Done():
			case <-changed:
			}
			continue
		}
		for _, ev := range events {
			if !marked && ev.Rev > synced {
				break // the mark comes first
			}
			next = ev.Rev
			if mine := below(ev, prefix); len(mine.Changes) > 0 && !yield(mine, nil) {
				return
			}
			if ctx.Err() != nil {
				break
			}
		}
	}
}

// below returns the reader's own copy of the changes under prefix.
func below(ev cluster.Event, prefix string) cluster.Event {
	mine := cluster.Event{Rev: ev.Rev}
	for _, c := range ev.Changes {
		if strings.HasPrefix(c.Key, prefix) {
			c.Value = slices.Clone(c.Value)
			mine.Changes = append(mine.Changes, c)
		}
	}
	return mine
}
