package guestfw

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/inventory"
)

// view is the newest that is known of the keys that the ruleset follows from. The watches fill it; who cannot wait for them
// reads the store and puts what it finds in, too: the newer revision of a key wins.
type view struct {
	changed chan struct{} // one token: something is new

	mu      sync.Mutex // guards the rest
	kvs     map[string]cluster.KV
	waiting int // watches that have not reported everything yet
}

func (v *view) init() {
	v.changed, v.kvs = make(chan struct{}, 1), map[string]cluster.KV{}
}

// put takes a key over; one without revision is not there.
func (v *view) put(kv cluster.KV) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.putLocked(kv, kv.ModRev == 0)
}

func (v *view) putLocked(kv cluster.KV, gone bool) {
	have, there := v.kvs[kv.Key]
	switch {
	case gone && !there, there && kv.ModRev != 0 && kv.ModRev <= have.ModRev:
		return
	case gone:
		delete(v.kvs, kv.Key)
	default:
		v.kvs[kv.Key] = kv
	}
	v.poke()
}

func (v *view) poke() {
	select {
	case v.changed <- struct{}{}:
	default:
	}
}

// apply takes an event over; the first of a watch is everything under its prefix.
func (v *view) apply(prefix string, ev cluster.Event, whole bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if whole {
		there := make(map[string]bool, len(ev.Changes))
		for _, c := range ev.Changes {
			there[c.Key] = !c.Deleted
		}
		for key := range v.kvs {
			if strings.HasPrefix(key, prefix) && !there[key] {
				v.putLocked(cluster.KV{Key: key}, true)
			}
		}
	}
	for _, c := range ev.Changes {
		v.putLocked(c.KV, c.Deleted)
	}
}

// rev is the revision of a key, 0 if it is not there.
func (v *view) rev(key string) int64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.kvs[key].ModRev
}

// snapshot copies what is there; ready is false until all watches have reported once.
func (v *view) snapshot() (kvs map[string]cluster.KV, ready bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	kvs = make(map[string]cluster.KV, len(v.kvs))
	for key, kv := range v.kvs {
		kvs[key] = kv
	}
	return kvs, v.waiting == 0
}

// prefixes are what the service watches.
func (s *Service) prefixes() []string {
	return []string{folder, nodeFolder(s.o.Node), inventory.Prefix}
}

// watch follows one prefix until ctx ends or the store closes, and returns the reason. It lists again when it has fallen
// behind.
func (s *Service) watch(ctx context.Context, prefix string) error {
	reported := false
	for {
		first := true
		err := func() error {
			for ev, err := range s.o.Store.Watch(ctx, prefix, 0) {
				if err != nil {
					return err
				}
				s.view.apply(prefix, ev, first)
				first = false
				if ev.Synced && !reported {
					reported = true
					s.view.mu.Lock()
					s.view.waiting--
					s.view.mu.Unlock()
					s.view.poke()
				}
			}
			return ctx.Err()
		}()
		if !errors.Is(err, cluster.ErrCompacted) {
			return err
		}
		s.log.Warn("firewall: a watch fell behind and lists again", "prefix", prefix)
	}
}

// refresh reads keys from the store: what was committed before the call is in the view then.
func (s *Service) refresh(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		kv, err := s.get(ctx, key)
		if err != nil {
			return err
		}
		s.view.put(kv)
	}
	return nil
}
