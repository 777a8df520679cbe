package inventory

import (
	"context"
	"errors"

	"github.com/turtacn/go-proxmox/cluster"
)

// Run follows the store until ctx ends or the store closes, and returns the reason. It lists again when it has fallen
// behind. It must run once at a time.
func (v *Inventory) Run(ctx context.Context) error {
	for {
		err := v.follow(ctx)
		if !errors.Is(err, cluster.ErrCompacted) {
			return err
		}
		v.log.Warn("inventory fell behind and lists again")
	}
}

// follow watches until the first error. The first event is the whole state.
func (v *Inventory) follow(ctx context.Context) error {
	first := true
	for ev, err := range v.store.Watch(ctx, Prefix, 0) {
		if err != nil {
			return err
		}
		v.apply(ev, first)
		first = false
		if ev.Synced {
			v.markReady()
		}
	}
	return ctx.Err()
}

// apply makes the changes of an event, and of the first one that nothing else is there, visible at once.
func (v *Inventory) apply(ev cluster.Event, whole bool) {
	rows := make(map[int]*Guest, len(ev.Changes)) // nil: deleted
	for _, c := range ev.Changes {
		if id, ok := idOf(c.Key); ok {
			rows[id] = v.row(id, c)
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if whole {
		for id := range v.all {
			if rows[id] == nil {
				rows[id] = nil
			}
		}
	}
	for id, g := range rows {
		if g == nil {
			delete(v.all, id)
			delete(v.live, id)
		} else {
			g.Live = v.live[id]
			v.all[id] = g
		}
	}
	if len(rows) > 0 {
		v.changedLocked()
	}
	if ev.Rev > v.rev {
		v.rev = ev.Rev
		close(v.moved)
		v.moved = make(chan struct{})
	}
}

// row makes the row of a change, nil for a deletion. A record that cannot be read is shown as a bare guest: its id is
// taken, and its trouble is better seen.
func (v *Inventory) row(id int, c cluster.Change) *Guest {
	if c.Deleted {
		return nil
	}
	r, err := Decode(c.Value)
	if err != nil {
		v.log.Error("unreadable record of a guest", "vmid", id, "err", err)
	}
	return guestOf(id, c.ModRev, r)
}

// Wait returns when the inventory shows everything up to a revision of the store, so that whoever wrote it sees it in
// the next list. Its error is the context's or the store's.
func (v *Inventory) Wait(ctx context.Context, rev int64) error {
	if reached, _ := v.at(rev); reached {
		return nil
	}
	// The watch tells only of guests, so rev alone may never come: it may be a change of something else. What has to
	// come is what the store holds by now.
	kvs, now, err := v.store.List(ctx, Prefix)
	if err != nil {
		return err
	}
	there := make(map[int]bool, len(kvs))
	var last int64
	for _, kv := range kvs {
		if id, ok := idOf(kv.Key); ok {
			there[id] = true
			last = max(last, kv.ModRev)
		}
	}
	gone := v.others(there, now)
	for {
		reached, moved := v.at(last)
		if reached && v.dropped(gone) {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// at reports whether a revision is reached, and returns a channel that is closed when there is a newer one.
func (v *Inventory) at(rev int64) (bool, <-chan struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.rev >= rev, v.moved
}

// others returns the rows of guests that are not among ids, the guests of revision now. Later ones have come since.
func (v *Inventory) others(ids map[int]bool, now int64) []*Guest {
	v.mu.Lock()
	defer v.mu.Unlock()
	var rows []*Guest
	for id, g := range v.all {
		if !ids[id] && g.Rev <= now {
			rows = append(rows, g)
		}
	}
	return rows
}

// dropped reports whether none of the rows is shown any more; a guest that was made anew is another one.
func (v *Inventory) dropped(rows []*Guest) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, g := range rows {
		if now := v.all[g.ID]; now != nil && now.Rev <= g.Rev {
			return false
		}
	}
	return true
}

func (v *Inventory) markReady() {
	select {
	case <-v.ready:
	default:
		close(v.ready)
	}
}

// Ready is closed once the inventory has held everything that was in the store when Run began.
func (v *Inventory) Ready() <-chan struct{} { return v.ready }
