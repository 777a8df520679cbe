package task

import (
	"context"
	"errors"
	"strconv"

	"github.com/turtacn/go-proxmox/cluster"
)

// idBlock is how many process ids one commit reserves. Those unused at the end of the process are skipped.
const idBlock = 1024

// maxID is where process ids begin again: clients keep them in 32 bits with a sign.
const maxID = 1<<31 - 1

// ids counts the process ids of a node's UPIDs. The count is stored, so that no id returns soon.
type ids struct {
	store       cluster.Store
	key         string
	turn        chan struct{} // holds one token; whoever has it owns the fields below
	next, limit uint64        // what is reserved: next < limit
}

func newIDs(store cluster.Store, node string) *ids {
	return &ids{store: store, key: "/task-counter/" + node, turn: make(chan struct{}, 1)}
}

// take returns the next id, 1…maxID.
func (i *ids) take(ctx context.Context) (uint32, error) {
	select {
	case i.turn <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { <-i.turn }()
	for i.next >= i.limit {
		if err := i.reserve(ctx); err != nil {
			return 0, err
		}
	}
	i.next++
	return uint32((i.next-1)%maxID + 1), nil
}

func (i *ids) reserve(ctx context.Context) error {
	kv, err := i.store.Get(ctx, i.key)
	if err != nil && !errors.Is(err, cluster.ErrNotFound) {
		return err
	}
	var from uint64
	if err == nil {
		if from, err = strconv.ParseUint(string(kv.Value), 10, 64); err != nil {
			return &cluster.OpError{Op: "read", Key: i.key, Err: err}
		}
	}
	to := strconv.AppendUint(nil, from+idBlock, 10)
	_, err = i.store.Txn(ctx, cluster.If(cluster.ModRev(i.key, kv.ModRev)), cluster.Put(i.key, to))
	switch {
	case err == nil:
		i.next, i.limit = from, from+idBlock
		return nil
	case errors.Is(err, cluster.ErrConflict): // another process of the node
		return nil
	default:
		return err
	}
}
