package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"
)

// LeaseSpec names a lease and says how long it outlives its holder.
type LeaseSpec struct {
	Name string // key below /lease/, such as "node/pve1"
	// TTL is how long after its last sign of life the holder still owns the lease, by everybody's own clock. Signs are
	// given three times as often, and more often after one that failed. At least 100 ms.
	TTL  time.Duration
	Info string // who the holder is, for readers
}

// holder is the value of a lease's holder key, which is written only when the lease changes hands: its ModRev is the
// tenure. The sign of life is another key, so that renewing does not touch what guards compare.
type holder struct {
	ID    string `json:"id"`
	TTLMs int64  `json:"ttlMs"`
	Info  string `json:"info,omitempty"`
}

var holderSchema = Schema[holder]{Kind: "lease", Version: 1}

func (s LeaseSpec) holderKey() string { return "/lease/" + s.Name + "/holder" }
func (s LeaseSpec) beatKey() string   { return "/lease/" + s.Name + "/beat" }

// Lease is a lock that can be lost: by Release, or because its holder did not renew it in time. Writes made under it
// must carry Guard, as the holder may learn of the loss too late. It is safe for concurrent use.
type Lease struct {
	store Store
	spec  LeaseSpec
	rev   int64 // ModRev of the holder key during this tenure

	stop context.CancelFunc // ends the renewing
	done chan struct{}      // closed when the renewing has ended
	err  error              // set before done is closed
}

// Grant takes a lease that nobody holds. One that somebody holds is ErrHeld, even if that somebody has died: only
// watching it for its TTL can tell, which [Lock] does. ctx bounds the taking, not the holding.
func Grant(ctx context.Context, s Store, spec LeaseSpec) (*Lease, error) {
	l, err := acquire(ctx, s, spec, If(Absent(spec.holderKey())))
	if ConflictOn(err, spec.holderKey()) {
		return nil, &OpError{Op: "grant", Key: spec.holderKey(), Err: ErrHeld}
	}
	return l, err
}

// Lock takes the lease, waiting for its holder to release it, or to give no sign of life for its TTL.
func Lock(ctx context.Context, s Store, spec LeaseSpec) (*Lease, error) {
	for {
		conds, err := waitFree(ctx, s, spec)
		if err != nil {
			return nil, err
		}
		l, err := acquire(ctx, s, spec, If(conds...))
		if !errors.Is(err, ErrConflict) {
			return l, err
		}
	}
}

// acquire makes the caller the holder, under the given condition, and starts the renewing.
func acquire(ctx context.Context, s Store, spec LeaseSpec, cond Part) (*Lease, error) {
	if spec.TTL < 100*time.Millisecond {
		return nil, invalid("lease", spec.Name, "ttl %v is too short", spec.TTL)
	}
	value, err := holderSchema.Encode(holder{ID: rand.Text(), TTLMs: spec.TTL.Milliseconds(), Info: spec.Info})
	if err != nil {
		return nil, err
	}
	began := time.Now()
	rev, err := s.Txn(ctx, cond, Put(spec.holderKey(), value), Put(spec.beatKey(), []byte("0")))
	if err != nil {
		return nil, err
	}
	keep, stop := context.WithCancel(context.Background())
	l := &Lease{store: s, spec: spec, rev: rev, stop: stop, done: make(chan struct{})}
	go l.keep(keep, began) // awaited by Release
	return l, nil
}

// keep renews until the lease is released, which ends ctx, or lost. deadline is what others grant us at least: they see
// our last sign of life after we began to write it, and wait a whole TTL from there.
func (l *Lease) keep(ctx context.Context, began time.Time) {
	defer close(l.done)
	deadline := began.Add(l.spec.TTL)
	next := l.spec.TTL / 3
	for beat := 1; ; beat++ {
		pause := time.NewTimer(min(next, time.Until(deadline)))
		select {
		case <-ctx.Done():
			pause.Stop()
			l.err = fmt.Errorf("%w: released", ErrLost)
			return
		case <-pause.C:
		}
		began = time.Now()
		if !began.Before(deadline) {
			l.err = fmt.Errorf("%w: not renewed in time", ErrLost)
			return
		}
		renew, stop := context.WithDeadline(ctx, deadline)
		_, err := l.store.Txn(renew, If(l.Guard()), Put(l.spec.beatKey(), fmt.Append(nil, beat)))
		stop()
		switch {
		case err == nil:
			deadline, next = began.Add(l.spec.TTL), l.spec.TTL/3
		case errors.Is(err, ErrConflict), errors.Is(err, ErrClosed):
			l.err = fmt.Errorf("%w: %w", ErrLost, err)
			return
		default: // the store may come back
			next = l.spec.TTL / 10
		}
	}
}

// Guard is the condition that the lease is still held; every write under the lease carries it.
func (l *Lease) Guard() Cond { return ModRev(l.spec.holderKey(), l.rev) }

// Token is the number of this tenure. A later holder's is higher.
func (l *Lease) Token() int64 { return l.rev }

// Done is closed when the lease is lost or released, at the latest when others may take it.
func (l *Lease) Done() <-chan struct{} { return l.done }

// Err says why the lease ended, an ErrLost. It is nil before Done is closed.
func (l *Lease) Err() error {
	select {
	case <-l.done:
		return l.err
	default:
		return nil
	}
}

// Release gives the lease back and waits for its renewing to end. Releasing one that is lost, or again, is no error. If
// the store cannot be reached, the error says so and the lease ends by itself after its TTL.
func (l *Lease) Release(ctx context.Context) error {
	l.stop()
	<-l.done
	_, err := l.store.Txn(ctx, If(l.Guard()), Delete(l.spec.holderKey()), Delete(l.spec.beatKey()))
	if errors.Is(err, ErrConflict) {
		return nil
	}
	return err
}

// waitFree returns the conditions under which the lease may be taken: it is absent, or its holder is the one that gave
// no sign of life for its TTL.
func waitFree(ctx context.Context, s Store, spec LeaseSpec) ([]Cond, error) {
	prefix := strings.TrimSuffix(spec.holderKey(), "holder")
	kvs, rev, err := s.List(ctx, prefix)
	if err != nil {
		return nil, err
	}
	state := map[string]KV{}
	for _, kv := range kvs {
		state[kv.Key] = kv
	}
	for {
		hkv, held := state[spec.holderKey()]
		if !held {
			return []Cond{Absent(spec.holderKey())}, nil
		}
		h, err := holderSchema.Decode(hkv.Value)
		if err != nil {
			return nil, &OpError{Op: "lock", Key: spec.holderKey(), Err: err}
		}
		ttl := time.Duration(h.TTLMs) * time.Millisecond
		next, err := nextChange(ctx, s, prefix, rev, ttl)
		if err != nil {
			return nil, err
		}
		if next == nil { // silence for a whole TTL
			beat := state[spec.beatKey()]
			return []Cond{ModRev(spec.holderKey(), hkv.ModRev), ModRev(spec.beatKey(), beat.ModRev)}, nil
		}
		rev = next.Rev
		for _, c := range next.Changes {
			if c.Deleted {
				delete(state, c.Key)
			} else {
				state[c.Key] = c.KV
			}
		}
	}
}

// nextChange returns the first event after rev, nil if there is none within d.
func nextChange(ctx context.Context, s Store, prefix string, rev int64, d time.Duration) (*Event, error) {
	wait, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	for ev, err := range s.Watch(wait, prefix, rev) {
		switch {
		case err != nil && ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, context.DeadlineExceeded):
			return nil, nil
		case err != nil:
			return nil, err
		case !ev.Synced:
			return &ev, nil
		}
	}
	return nil, ctx.Err()
}
