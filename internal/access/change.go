package access

import (
	"context"
	"errors"
	"fmt"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/access/realm"
	"github.com/turtacn/go-proxmox/internal/access/usercfg"
)

// maxAttempts bounds how often a change is tried against writers elsewhere.
const maxAttempts = 50

// change is one attempt at a transaction over the files of this package: it reads each file it needs fresh from the
// store, and commits what became of them if nobody wrote them meanwhile.
type change struct {
	ctx   context.Context //nolint:containedctx // a change lives within one call
	s     *Service
	files map[string]*file
	extra []cluster.Part
}

// file is one text under change.
type file struct {
	rev   int64
	text  string
	value any
	print func() (string, error)
	cache slot
}

// open reads a file, once in a change.
func open[T any](c *change, cache slot, parse func(string) T, print func(T) (string, error)) (T, error) {
	key := cache.name()
	if f := c.files[key]; f != nil {
		return f.value.(T), nil
	}
	f := &file{cache: cache}
	kv, err := c.s.store.Get(c.ctx, key)
	if err != nil && !errors.Is(err, cluster.ErrNotFound) {
		var zero T
		return zero, fmt.Errorf("access: %w", err)
	}
	f.rev, f.text = kv.ModRev, string(kv.Value)
	value := parse(f.text)
	f.value = value
	f.print = func() (string, error) { return print(value) }
	c.files[key] = f
	return value, nil
}

func (c *change) users() (*usercfg.Config, error) {
	return open(c, &c.s.users, func(text string) *usercfg.Config { cfg, _ := usercfg.Parse(text); return cfg }, (*usercfg.Config).Format)
}

func (c *change) domains() (*realm.Config, error) {
	return open(c, &c.s.domains, func(text string) *realm.Config { cfg, _ := realm.Parse(text); return cfg }, (*realm.Config).Format)
}

func (c *change) secrets(cache *cached[secrets]) (secrets, error) {
	return open(c, cache, func(text string) secrets { sec, _ := parseSecrets(text); return sec }, secrets.format)
}

func (c *change) tokens() (tokenSecrets, error) {
	return open(c, &c.s.tokens, func(text string) tokenSecrets { t, _ := parseTokenSecrets(text); return t }, tokenSecrets.format)
}

// parts returns the transaction: every file read must be as it was, those that came out differently are written.
func (c *change) parts() (parts []cluster.Part, texts map[slot]string, err error) {
	texts = map[slot]string{}
	for key, f := range c.files {
		parts = append(parts, cluster.If(cluster.ModRev(key, f.rev)))
		text, err := f.print()
		if err != nil {
			return nil, nil, err
		}
		if text != f.text {
			parts = append(parts, cluster.Put(key, []byte(text)))
			texts[f.cache] = text
		}
	}
	if len(texts) == 0 && len(c.extra) == 0 {
		return nil, nil, nil
	}
	return append(parts, c.extra...), texts, nil
}

// apply makes a change: all of it or nothing. fn may run several times, each time on what is stored by then.
func (s *Service) apply(ctx context.Context, fn func(*change) error) error {
	select {
	case s.writing <- struct{}{}:
		defer func() { <-s.writing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	var err error
	for range maxAttempts {
		if err = s.attempt(ctx, fn); !errors.Is(err, cluster.ErrConflict) {
			return err
		}
	}
	return err
}

func (s *Service) attempt(ctx context.Context, fn func(*change) error) error {
	c := &change{ctx: ctx, s: s, files: map[string]*file{}}
	if err := fn(c); err != nil {
		return err
	}
	parts, texts, err := c.parts()
	if err != nil || parts == nil {
		return err
	}
	rev, err := s.store.Txn(ctx, parts...)
	if err != nil {
		return err
	}
	for cache, text := range texts { // the watch would come to it; the caller's next check must not come first
		cache.put(rev, text)
	}
	return nil
}

// Update changes user.cfg. fn works on a fresh copy, may run several times, and an error of it changes nothing.
func (s *Service) Update(ctx context.Context, fn func(*UserConfig) error) error {
	return s.apply(ctx, func(c *change) error {
		cfg, err := c.users()
		if err != nil {
			return err
		}
		return fn(cfg)
	})
}

// Parts returns a change of user.cfg as parts of the caller's own transaction. If that one fails with
// cluster.ConflictOn(err, access.UserKey), somebody else was faster: ask for the parts again. None are returned if fn
// changes nothing.
func (s *Service) Parts(ctx context.Context, fn func(*UserConfig) error) ([]cluster.Part, error) {
	c := &change{ctx: ctx, s: s, files: map[string]*file{}}
	cfg, err := c.users()
	if err != nil {
		return nil, err
	}
	if err := fn(cfg); err != nil {
		return nil, err
	}
	parts, _, err := c.parts()
	return parts, err
}
