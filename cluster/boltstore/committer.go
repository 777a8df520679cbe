package boltstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"syscall"

	bolt "go.etcd.io/bbolt"

	"github.com/turtacn/go-proxmox/cluster"
)

// maxBatch bounds the transactions of one commit, so that the first of them does not wait for ever.
const maxBatch = 512

// request is a transaction on its way through the committer.
type request struct {
	tx    *cluster.Tx
	taken atomic.Bool   // the committer or a cancelled caller, whoever sets it, decides what becomes of it
	done  chan struct{} // closed when rev and err are set
	rev   int64
	err   error
}

// Txn implements cluster.Store.
func (s *Store) Txn(ctx context.Context, parts ...cluster.Part) (int64, error) {
	tx, err := cluster.Compile(parts)
	if err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, &cluster.OpError{Op: "txn", Err: err}
	}
	r := &request{tx: tx, done: make(chan struct{})}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return 0, &cluster.OpError{Op: "txn", Err: cluster.ErrClosed}
	}
	s.queue = append(s.queue, r)
	s.mu.Unlock()
	s.signal()
	select {
	case <-r.done:
	case <-ctx.Done():
		if r.taken.CompareAndSwap(false, true) {
			return 0, &cluster.OpError{Op: "txn", Err: ctx.Err()}
		}
		<-r.done // it is being written: the answer is a matter of one disk write
	}
	return r.rev, r.err
}

func (s *Store) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// commitAll is the committer: it takes everything that waits and writes it in one commit, until the store is closed.
func (s *Store) commitAll() {
	for range s.wake {
		for {
			batch, left := s.take()
			if len(batch) > 0 {
				s.commit(batch)
			}
			for _, r := range batch {
				close(r.done)
			}
			if left == 0 {
				break
			}
		}
		if s.isClosed() {
			return
		}
	}
}

// take removes what waits from the queue, without the requests whose callers have gone, and tells how many it has left there.
func (s *Store) take() (batch []*request, left int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(len(s.queue), maxBatch)
	for _, r := range s.queue[:n] {
		if r.taken.CompareAndSwap(false, true) {
			batch = append(batch, r)
		}
	}
	s.queue = slices.Delete(s.queue, 0, n)
	return batch, len(s.queue)
}

// isClosed tells whether nothing more can come: the queue is empty and Close was called.
func (s *Store) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed && len(s.queue) == 0
}

// commit writes a batch. Each request gets its own answer; if the disk refuses the batch, each is tried alone, so that
// a large one does not take small ones with it.
func (s *Store) commit(batch []*request) {
	if err := s.broken.Load(); err != nil {
		for _, r := range batch {
			r.err = &cluster.OpError{Op: "txn", Err: *err}
		}
		return
	}
	events, err := s.write(batch)
	if err != nil && len(batch) > 1 {
		for _, r := range batch {
			s.commit([]*request{r})
		}
		return
	}
	if err != nil {
		batch[0].rev, batch[0].err = 0, &cluster.OpError{Op: "txn", Err: classify(err)}
		return
	}
	s.feed.Append(events...)
	for _, r := range batch {
		if r.err != nil {
			s.stats.conflicts.Add(1)
		} else {
			s.stats.txns.Add(1)
		}
	}
}

// write applies the requests in order to one bolt transaction, each seeing the ones before it, and commits it.
func (s *Store) write(batch []*request) (events []cluster.Event, err error) {
	tx, err := s.db.Begin(true)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback() // no effect after a commit; releases bolt's lock after a failure
	rev := s.rev
	for _, r := range batch {
		r.rev, r.err = 0, nil
		changes, conflict, err := apply(tx.Bucket(bucketKV), r.tx, rev+1)
		switch {
		case err != nil:
			return nil, err
		case conflict != nil:
			r.err = conflict
			continue
		case len(changes) > 0:
			rev++
			events = append(events, cluster.Event{Rev: rev, Changes: changes})
		}
		r.rev = rev
	}
	if len(events) == 0 {
		return nil, nil
	}
	if err := tx.Bucket(bucketMeta).Put(keyRev, encodeRev(rev)); err != nil {
		return nil, err
	}
	if err := tx.Commit(); err != nil {
		return nil, s.failed(err)
	}
	s.stats.commits.Add(1)
	s.stats.rev.Store(rev)
	s.rev = rev
	return events, nil
}

// failed finds out what a failed commit has left. Usually the file is as before. But if only the last fsync failed, the
// new state may be visible and yet not durable; nothing after that could be trusted.
func (s *Store) failed(cause error) error {
	var rev int64
	err := s.db.View(func(tx *bolt.Tx) error {
		rev = decodeRev(tx.Bucket(bucketMeta).Get(keyRev))
		return nil
	})
	if err == nil && rev == s.rev {
		return cause
	}
	broken := fmt.Errorf("%w: commit: %w", cluster.ErrBroken, errors.Join(cause, err))
	s.broken.Store(&broken)
	return broken
}

// apply checks the conditions of a transaction and makes its writes as revision rev. An error means that bolt's
// transaction must not be used further.
func apply(b *bolt.Bucket, tx *cluster.Tx, rev int64) (changes []cluster.Change, conflict, err error) {
	for _, c := range tx.Conds {
		kv, found, err := load(b, c.Key)
		if err != nil {
			return nil, nil, err
		}
		if !c.Holds(kv, found) {
			return nil, &cluster.ConflictError{Cond: c}, nil
		}
	}
	for _, w := range tx.Writes {
		old, found, err := load(b, w.Key)
		if err != nil {
			return nil, nil, err
		}
		c := cluster.Change{KV: cluster.KV{Key: w.Key, CreateRev: old.CreateRev, ModRev: rev}, Deleted: w.Delete}
		if w.Delete {
			if !found {
				continue
			}
			err = b.Delete([]byte(w.Key))
		} else {
			c.Value = w.Value
			if !found {
				c.CreateRev = rev
			}
			err = b.Put([]byte(w.Key), encodeKV(c.KV))
		}
		if err != nil {
			return nil, nil, err
		}
		changes = append(changes, c)
	}
	slices.SortFunc(changes, func(a, b cluster.Change) int { return cmp.Compare(a.Key, b.Key) })
	return changes, nil, nil
}

// classify names the errors of a full disk.
func classify(err error) error {
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG} {
		if errors.Is(err, full) {
			return fmt.Errorf("%w: %w", cluster.ErrNoSpace, err)
		}
	}
	return err
}

var _ cluster.Store = (*Store)(nil)
