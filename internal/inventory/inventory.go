package inventory

import (
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
	ready chan struct{}            // closed when the first state is complete
	snap  atomic.Pointer[Snapshot] // nil after a change, until somebody asks

	mu      sync.Mutex // serialises changes; guards the rest, never held over I/O
	all     map[int]*Guest
	live    map[int]Live // of running guests, also of those that the watch has not shown yet
	rev     int64
	version uint64
	moved   chan struct{} // closed and replaced whenever rev grows
}

// Snapshot is the whole inventory at one moment. It is shared and must not be changed.
type Snapshot struct {
	Version uint64   // grows with every change, so that it keys caches
	Guests  []*Guest // by id
	Rev     int64    // store revision that it holds at least
}

// New returns an empty inventory; Run fills it. A nil logger discards.
func New(store cluster.Store, log *slog.Logger) *Inventory {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Inventory{
		store: store, log: log, ready: make(chan struct{}), moved: make(chan struct{}), all: map[int]*Guest{}, live: map[int]Live{},
	}
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
	s := &Snapshot{Version: v.version, Rev: v.rev, Guests: make([]*Guest, 0, len(v.all))}
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

// SetLive replaces the figures of guests; those of others stay. The zero Live is a stopped guest. Figures of a guest that
// the watch has not shown yet are kept for it.
func (v *Inventory) SetLive(figures map[int]Live) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for id, live := range figures {
		if live == (Live{}) {
			delete(v.live, id)
		} else {
			v.live[id] = live
		}
		if old := v.all[id]; old != nil && old.Live != live {
			g := *old
			g.Live = live
			v.all[id] = &g
			v.changedLocked()
		}
	}
}

func (v *Inventory) changedLocked() {
	v.version++
	v.snap.Store(nil)
}
