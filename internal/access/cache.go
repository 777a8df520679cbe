package access

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/turtacn/go-proxmox/cluster"
)

// cached is the parsed value of one key. While the watch of [Service.Run] is current it answers without asking the
// store, else it asks for the key and parses only when the revision is another one. An absent key is the empty text.
type cached[T any] struct {
	s     *Service
	key   string
	parse func(text string) (T, error)

	cur atomic.Pointer[version[T]]
	mu  sync.Mutex // orders installations; never held over I/O
}

type version[T any] struct {
	rev   int64 // that wrote or deleted the key, or as of which it was absent
	text  string
	value T
	err   error
}

// slot is a cache without its type.
type slot interface {
	name() string
	put(rev int64, text string)
}

func (c *cached[T]) open(s *Service, key string, parse func(string) (T, error)) {
	c.s, c.key, c.parse = s, key, parse
}

func (c *cached[T]) name() string { return c.key }

func (c *cached[T]) get(ctx context.Context) (T, error) {
	v, err := c.version(ctx)
	if err != nil {
		var zero T
		return zero, err
	}
	return v.value, v.err
}

func (c *cached[T]) version(ctx context.Context) (*version[T], error) {
	if c.s.live.Load() {
		if v := c.cur.Load(); v != nil {
			return v, nil
		}
	}
	kv, err := c.s.store.Get(ctx, c.key)
	switch {
	case errors.Is(err, cluster.ErrNotFound):
		return c.parsed(0, ""), nil // not kept: its revision is unknown
	case err != nil:
		return nil, fmt.Errorf("access: %w", err)
	}
	return c.install(kv.ModRev, string(kv.Value)), nil
}

func (c *cached[T]) parsed(rev int64, text string) *version[T] {
	v := &version[T]{rev: rev, text: text}
	v.value, v.err = c.parse(text)
	if v.err != nil {
		v.err = fmt.Errorf("access: %s: %w", c.key, v.err)
	}
	return v
}

// install keeps the value unless a newer one is there already, and returns the newest.
func (c *cached[T]) install(rev int64, text string) *version[T] {
	if v := c.cur.Load(); v != nil && v.rev >= rev {
		return v
	}
	fresh := c.parsed(rev, text)
	c.mu.Lock()
	defer c.mu.Unlock()
	if v := c.cur.Load(); v != nil && v.rev >= rev {
		return v
	}
	c.cur.Store(fresh)
	return fresh
}

func (c *cached[T]) put(rev int64, text string) { c.install(rev, text) }

// retryWatch is how long Run waits before it watches again after an error.
const retryWatch = time.Second

// Run follows the store until ctx ends, so that checks need not ask it, and returns the reason. Without it everything
// works, with a read of the store for each check. It must run once at a time.
func (s *Service) Run(ctx context.Context) error {
	defer s.live.Store(false)
	for {
		err := s.follow(ctx)
		s.live.Store(false)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, cluster.ErrClosed):
			return err
		case !errors.Is(err, cluster.ErrCompacted):
			s.log.Warn("watch of user configuration", "error", err)
			s.clock.Sleep(ctx, retryWatch)
		}
	}
}

// follow watches until the first error. The first event is the whole state: keys it does not show are absent.
func (s *Service) follow(ctx context.Context) error {
	slots := s.slots()
	first := true
	for ev, err := range s.store.Watch(ctx, prefix, 0) {
		if err != nil {
			return err
		}
		if ev.Synced {
			s.live.Store(true)
			continue
		}
		shown := make(map[string]bool, len(ev.Changes))
		for _, ch := range ev.Changes {
			shown[ch.Key] = true
			for _, sl := range slots {
				if sl.name() == ch.Key {
					sl.put(ch.ModRev, string(ch.Value))
				}
			}
		}
		for _, sl := range slots {
			if first && !shown[sl.name()] {
				sl.put(ev.Rev, "")
			}
		}
		first = false
	}
	return cluster.ErrClosed
}
