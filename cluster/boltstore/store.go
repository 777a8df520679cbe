package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/cluster/internal/feed"
)

// Options of Open. The zero value is fine.
type Options struct {
	// HistoryTxns and HistoryBytes bound what is kept in memory for watches that fall behind. Defaults: 10,000
	// transactions, 64 MiB.
	HistoryTxns, HistoryBytes int
	// LockWait is how long to wait for another process that has the file open. Default 0: fail at once.
	LockWait time.Duration
	// Format is the newest layout of keys that the program knows. Default: cluster.Format.
	Format int
}

// Stats counts since Open.
type Stats struct {
	Revision  int64
	Txns      int64 // transactions acknowledged, without conflicts
	Conflicts int64 // transactions whose condition failed
	Commits   int64 // writes to the disk; fewer than Txns under load
	FileBytes int64 // size of the file
}

// Store is a cluster.Store in a file. Make it with Open.
type Store struct {
	db   *bolt.DB
	feed *feed.Feed

	mu     sync.Mutex // guards queue and closed
	queue  []*request
	closed bool
	wake   chan struct{} // one token: the queue or closed has changed

	committer sync.WaitGroup
	closeOnce sync.Once
	closeErr  error

	rev    int64 // owned by the committer
	broken atomic.Pointer[error]
	stats  struct{ rev, txns, conflicts, commits atomic.Int64 }
}

// Open opens the file at path, or makes it with mode 0600; its folder must exist.
func Open(path string, o *Options) (*Store, error) {
	var opts Options
	if o != nil {
		opts = *o
	}
	if opts.HistoryTxns < 0 || opts.HistoryBytes < 0 || opts.Format < 0 || opts.LockWait < 0 {
		return nil, openError(path, fmt.Errorf("%w: negative option", cluster.ErrInvalid))
	}
	if opts.HistoryTxns == 0 {
		opts.HistoryTxns = 10_000
	}
	if opts.HistoryBytes == 0 {
		opts.HistoryBytes = 64 << 20
	}
	if opts.Format == 0 {
		opts.Format = cluster.Format
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{
		Timeout:        max(opts.LockWait, time.Nanosecond), // 0 would wait for ever
		NoFreelistSync: true,                                // rebuilt when opening: fewer pages to write in each commit
		FreelistType:   bolt.FreelistMapType,
	})
	if errors.Is(err, berrors.ErrTimeout) {
		err = cluster.ErrInUse
	}
	if err != nil {
		return nil, openError(path, err)
	}
	rev, err := prepare(db)
	if err != nil {
		return nil, errors.Join(openError(path, err), db.Close())
	}
	s := &Store{db: db, feed: feed.New(rev, opts.HistoryTxns, opts.HistoryBytes), rev: rev, wake: make(chan struct{}, 1)}
	s.stats.rev.Store(rev)
	s.committer.Go(s.commitAll)
	if _, err := cluster.CheckFormat(context.Background(), s, opts.Format); err != nil {
		return nil, errors.Join(openError(path, err), s.Close())
	}
	return s, nil
}

func openError(path string, err error) error {
	return &cluster.OpError{Op: "open", Key: path, Err: classify(err)}
}

// Get implements cluster.Store.
func (s *Store) Get(ctx context.Context, key string) (kv cluster.KV, err error) {
	if err := cluster.CheckKey("get", key); err != nil {
		return cluster.KV{}, err
	}
	err = s.view(ctx, func(tx *bolt.Tx) error {
		var found bool
		if kv, found, err = load(tx.Bucket(bucketKV), key); err == nil && !found {
			err = cluster.ErrNotFound
		}
		return err
	})
	if err != nil {
		return cluster.KV{}, &cluster.OpError{Op: "get", Key: key, Err: err}
	}
	return kv, nil
}

// List implements cluster.Store.
func (s *Store) List(ctx context.Context, prefix string) (kvs []cluster.KV, rev int64, err error) {
	if err := cluster.CheckPrefix("list", prefix); err != nil {
		return nil, 0, err
	}
	err = s.view(ctx, func(tx *bolt.Tx) error {
		rev = decodeRev(tx.Bucket(bucketMeta).Get(keyRev))
		c := tx.Bucket(bucketKV).Cursor()
		for k, v := c.Seek([]byte(prefix)); k != nil && bytes.HasPrefix(k, []byte(prefix)); k, v = c.Next() {
			kv, err := decodeKV(k, v)
			if err != nil {
				return err
			}
			kvs = append(kvs, kv)
		}
		return nil
	})
	if err != nil {
		return nil, 0, &cluster.OpError{Op: "list", Key: prefix, Err: err}
	}
	return kvs, rev, nil
}

func (s *Store) view(ctx context.Context, fn func(*bolt.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.broken.Load(); err != nil {
		return *err
	}
	err := s.db.View(fn)
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return cluster.ErrClosed
	}
	return err
}

// Watch implements cluster.Store.
func (s *Store) Watch(ctx context.Context, prefix string, from int64) iter.Seq2[cluster.Event, error] {
	return s.feed.Watch(ctx, prefix, from, s.List)
}

// Stats returns the counters.
func (s *Store) Stats() Stats {
	st := Stats{Revision: s.stats.rev.Load(), Txns: s.stats.txns.Load(), Conflicts: s.stats.conflicts.Load(), Commits: s.stats.commits.Load()}
	_ = s.db.View(func(tx *bolt.Tx) error { // a closed store has no size
		st.FileBytes = tx.Size()
		return nil
	})
	return st
}

// Close implements cluster.Store: it commits what waits, ends all watches, and releases the file.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		s.signal()
		s.committer.Wait()
		s.feed.Close()
		s.closeErr = s.db.Close()
	})
	return s.closeErr
}
