// Package memstore is a cluster.Store in memory, for tests and simulation. It forgets everything when it is dropped, and
// otherwise behaves like the stores that do not; all operations are immediate.
package memstore

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/cluster/internal/feed"
)

// How much a watch of a store made by New may fall behind.
const (
	historyTxns  = 10_000
	historyBytes = 64 << 20
)

// Store is an empty store when new. Make it with New.
type Store struct {
	feed *feed.Feed

	mu      sync.RWMutex // guards the fields below
	rev     int64
	commits int64
	keys    []string // sorted
	kvs     map[string]cluster.KV
	closed  bool
}

// New returns a store that holds only its format mark.
func New() *Store { return WithHistory(historyTxns) }

// WithHistory returns a store like New's on which a watch may fall behind by txns transactions, at least 1.
func WithHistory(txns int) *Store {
	s := &Store{feed: feed.New(0, max(txns, 1), historyBytes), kvs: map[string]cluster.KV{}}
	if _, err := cluster.CheckFormat(context.Background(), s, cluster.Format); err != nil {
		panic(err) // impossible: the store is empty and open
	}
	return s
}

// Commits returns how many transactions changed something.
func (s *Store) Commits() int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.commits
}

// Get implements cluster.Store.
func (s *Store) Get(ctx context.Context, key string) (cluster.KV, error) {
	if err := cluster.CheckKey("get", key); err != nil {
		return cluster.KV{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return cluster.KV{}, &cluster.OpError{Op: "get", Key: key, Err: err}
	}
	kv, ok := s.kvs[key]
	if !ok {
		return cluster.KV{}, &cluster.OpError{Op: "get", Key: key, Err: cluster.ErrNotFound}
	}
	kv.Value = slices.Clone(kv.Value)
	return kv, nil
}

// List implements cluster.Store.
func (s *Store) List(ctx context.Context, prefix string) ([]cluster.KV, int64, error) {
	if err := cluster.CheckPrefix("list", prefix); err != nil {
		return nil, 0, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return nil, 0, &cluster.OpError{Op: "list", Key: prefix, Err: err}
	}
	var kvs []cluster.KV
	i, _ := slices.BinarySearch(s.keys, prefix)
	for ; i < len(s.keys) && strings.HasPrefix(s.keys[i], prefix); i++ {
		kv := s.kvs[s.keys[i]]
		kv.Value = slices.Clone(kv.Value)
		kvs = append(kvs, kv)
	}
	return kvs, s.rev, nil
}

// Txn implements cluster.Store.
func (s *Store) Txn(ctx context.Context, parts ...cluster.Part) (int64, error) {
	tx, err := cluster.Compile(parts)
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return 0, &cluster.OpError{Op: "txn", Err: err}
	}
	for _, c := range tx.Conds {
		if kv, found := s.kvs[c.Key]; !c.Holds(kv, found) {
			return 0, &cluster.ConflictError{Cond: c}
		}
	}
	ev := cluster.Event{Rev: s.rev + 1}
	for _, w := range tx.Writes {
		if c, ok := s.apply(w, ev.Rev); ok {
			ev.Changes = append(ev.Changes, c)
		}
	}
	if len(ev.Changes) == 0 {
		return s.rev, nil
	}
	slices.SortFunc(ev.Changes, func(a, b cluster.Change) int { return cmp.Compare(a.Key, b.Key) })
	s.rev, s.commits = ev.Rev, s.commits+1
	s.feed.Append(ev)
	return s.rev, nil
}

// apply makes one write; false if it changes nothing.
func (s *Store) apply(w cluster.Write, rev int64) (cluster.Change, bool) {
	old, found := s.kvs[w.Key]
	i, _ := slices.BinarySearch(s.keys, w.Key)
	switch {
	case w.Delete && !found:
		return cluster.Change{}, false
	case w.Delete:
		delete(s.kvs, w.Key)
		s.keys = slices.Delete(s.keys, i, i+1)
		return cluster.Change{KV: cluster.KV{Key: w.Key, CreateRev: old.CreateRev, ModRev: rev}, Deleted: true}, true
	}
	kv := cluster.KV{Key: w.Key, Value: w.Value, CreateRev: old.CreateRev, ModRev: rev}
	if !found {
		kv.CreateRev = rev
		s.keys = slices.Insert(s.keys, i, w.Key)
	}
	s.kvs[w.Key] = kv
	return cluster.Change{KV: kv}, true
}

// Watch implements cluster.Store.
func (s *Store) Watch(ctx context.Context, prefix string, from int64) iter.Seq2[cluster.Event, error] {
	return s.feed.Watch(ctx, prefix, from, s.List)
}

// Close implements cluster.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.feed.Close()
	return nil
}

func (s *Store) usable(ctx context.Context) error {
	if s.closed {
		return cluster.ErrClosed
	}
	return ctx.Err()
}
