package inventory

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/turtacn/go-proxmox/cluster"
)

// Inventory holds a row for each guest of the cluster. It is safe for concurrent use; readers never wait for a writer's I/O.
type Inventory struct {
	store cluster.Store
	log   *slog.Logger
	ready chan struct{} // closed when the first state is complete

	mu      sync.Mutex // serialises changes; guards all, rev and version
	all     map[int]*Guest
	rev     int64
	version uint64
	moved   chan struct{} // closed and replaced whenever rev grows
	snap    atomic.Pointer[Snapshot] // nil after a change, until somebody asks
}

// Snapshot is the whole inventory at one moment. It is shared and must not be changed.
type Snapshot struct {
	Version uint64   // grows with every change, so that it keys caches
	Guests  []*Guest // by id
	Rev     int64    // store revision that it holds at least
}

// New returns an empty inventory; Run fills it.
func New(store cluster.Store, log *slog.Logger) *Inventory {
	return &Inventory{store: store, log: log, ready: make(chan struct{}), all: map[int]*Guest{}, moved: make(chan struct{})}
}

// Run follows the store until ctx ends or the store closes. It lists again when it has fallen behind.
func (v *Inventory) Run(ctx context.Context) error {
	for {
		err := v.follow(ctx)
		if !errors.Is(err, cluster.ErrCompacted) {
			return err
		}
		v.log.Warn("inventory fell behind and lists again")
	}
}

func (v *Inventory) follow(ctx context.Context) error {
	seen := map[int]bool{}
	synced := false
	for ev, err := range v.store.Watch(ctx, Prefix, 0) {
		if err != nil {
			return err
		}
		for _, c := range ev.Changes {
			if id, ok := idOf(c.Key); ok {
				seen[id] = true
				v.change(id, c)
			}
		}
		v.advance(ev.Rev)
		if ev.Synced && !synced {
			synced = true
			v.dropOthers(seen)
			v.markReady()
		}
	}
	return ctx.Err()
}

func (v *Inventory) advance(rev int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if rev > v.rev {
		v.rev = rev
		close(v.moved)
		v.moved = make(chan struct{})
	}
}

// Wait returns when the inventory shows everything up to a revision of the store, so that whoever wrote it sees it in
// the next list.
func (v *Inventory) Wait(ctx context.Context, rev int64) error {
	for {
		v.mu.Lock()
		there, moved := v.rev >= rev, v.moved
		v.mu.Unlock()
		if there {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
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

func (v *Inventory) change(id int, c cluster.Change) {
	var g *Guest
	if !c.Deleted {
		r, err := Decode(c.Value)
		if err != nil {
			v.log.Error("unreadable record of a guest", "vmid", id, "err", err)
			return
		}
		g = guestOf(id, c.ModRev, r)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if g == nil {
		delete(v.all, id)
	} else {
		if old := v.all[id]; old != nil {
			g.Live = old.Live
		}
		v.all[id] = g
	}
	v.changedLocked()
}

// dropOthers removes rows that a new listing did not show.
func (v *Inventory) dropOthers(seen map[int]bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for id := range v.all {
		if !seen[id] {
			delete(v.all, id)
			v.changedLocked()
		}
	}
}

func (v *Inventory) changedLocked() {
	v.version++
	v.snap.Store(nil)
}

// Snapshot returns the current state.
func (v *Inventory) Snapshot() *Snapshot {
	if s := v.snap.Load(); s != nil {
		return s
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if s := v.snap.Load(); s != nil {
		return s
	}
	s := &Snapshot{Version: v.version, Rev: v.rev}
	for _, id := range slices.Sorted(maps.Keys(v.all)) {
		s.Guests = append(s.Guests, v.all[id])
	}
	v.snap.Store(s)
	return s
}

// Guest returns one row, nil when there is no such guest.
func (v *Inventory) Guest(id int) *Guest {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.all[id]
}

// SetLive replaces the figures of guests; a guest that is not known (yet) is left out. The zero Live is a stopped guest.
func (v *Inventory) SetLive(figures map[int]Live) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for id, live := range figures {
		if old := v.all[id]; old != nil && old.Live != live {
			g := *old
			g.Live = live
			v.all[id] = &g
			v.changedLocked()
		}
	}
}
