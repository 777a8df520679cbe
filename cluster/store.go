package cluster

import (
	"context"
	"iter"
)

// Store is an ordered map of keys to values with one revision for the whole map. The revision grows by one with each
// transaction that changes something. Operations are linearizable: a read sees every transaction that was acknowledged
// before the read began.
//
// Errors are [*OpError], [*ConflictError] or a context's error; branch on the sentinels of this package.
type Store interface {
	// Get returns the key's current state, or ErrNotFound.
	Get(ctx context.Context, key string) (KV, error)
	// List returns all keys that begin with prefix, in byte order, as of one revision, which it returns too. Nothing
	// found is no error.
	List(ctx context.Context, prefix string) ([]KV, int64, error)
	// Txn makes all writes of the parts, if all their conditions hold, as one revision, which it returns; it is durable
	// then. Otherwise nothing happens and the error is a *ConflictError with the first condition that failed. A
	// transaction that changes nothing returns the current revision. A context that ends before the store has begun
	// withdraws the transaction; once begun, it is awaited.
	Txn(ctx context.Context, parts ...Part) (int64, error)
	// Watch reports what changes under prefix, in order and without gaps, one Event for each transaction. With from 0
	// the first event holds the current state. With from > 0, the revision of the last event seen, it goes on from
	// there, or fails with ErrCompacted if the store does not remember that far. In both cases one event with Synced
	// set follows as soon as everything committed before the call is reported.
	//
	// The sequence ends after its first error: the context's, ErrCompacted also when the reader falls behind too far,
	// or ErrClosed. A slow reader never holds up writers. Each range over the sequence is a watch of its own.
	Watch(ctx context.Context, prefix string, from int64) iter.Seq2[Event, error]
	// Close ends all watches and waits for transactions under way. Later calls fail with ErrClosed.
	Close() error
}

// KV is a key with its value. CreateRev is the revision that made the key (again), ModRev the one that wrote it last.
type KV struct {
	Key               string
	Value             []byte
	CreateRev, ModRev int64
}

// Event is what one transaction changed under a watched prefix, or the mark of a watch that has caught up.
type Event struct {
	Rev     int64 // revision to go on from
	Changes []Change
	Synced  bool // everything from before the watch is reported; Changes is empty
}

// Change is a key's new state. A deleted key has no value, and ModRev is the revision that deleted it.
type Change struct {
	KV
	Deleted bool
}
