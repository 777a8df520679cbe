package datacenter

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/upid"
)

// tasks follows the tasks of all nodes and enters their starts and ends into the log. Operations and the archive are
// watched apart, so an end may be seen first: its start is entered then, and passed over when it comes.
type tasks struct {
	log  *Log
	warn func(msg string, args ...any)

	mu         sync.Mutex          // guards the rest
	started    map[upid.UPID]bool  // entered, its end is to come
	early      map[upid.UPID]int64 // ended at that revision, its start is to come
	operations int64               // revision up to which operations were seen
	archive    int64               // revision up to which the archive was seen
}

// Run keeps the log until ctx ends or the store closes, and returns the reason. What happened before, it takes from the
// tasks and the entries that the store remembers. It must run once at a time.
func (s *Service) Run(ctx context.Context) error {
	t := &tasks{log: s.log, warn: s.o.Logger.Warn, started: map[upid.UPID]bool{}, early: map[upid.UPID]int64{}}
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { cancel(follow(ctx, s.o.Store, "/task/", t.seeArchive)) })
	wg.Go(func() { cancel(follow(ctx, s.o.Store, "/op/", t.seeOperations)) })
	wg.Go(func() { cancel(s.keep(ctx)) })
	wg.Wait()
	return context.Cause(ctx)
}

// follow hands every event below prefix to fn; it begins again with the whole state when it has fallen behind.
func follow(ctx context.Context, store cluster.Store, prefix string, fn func(cluster.Event)) error {
	for {
		err := watch(ctx, store, prefix, fn)
		if !errors.Is(err, cluster.ErrCompacted) {
			return err
		}
	}
}

func watch(ctx context.Context, store cluster.Store, prefix string, fn func(cluster.Event)) error {
	for ev, err := range store.Watch(ctx, prefix, 0) {
		if err != nil {
			return err
		}
		fn(ev)
	}
	return ctx.Err()
}

// seeOperations enters the starts of tasks.
func (t *tasks) seeOperations(ev cluster.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range ev.Changes {
		id, part, ok := task.ParseKey(c.Key)
		if !ok || part != "" || c.Deleted || c.CreateRev <= t.operations {
			continue
		}
		if rec, err := task.DecodeRecord(c.Value); err != nil || rec.Hidden {
			continue
		}
		if _, known := t.early[id]; !known {
			t.startLocked(id)
		}
	}
	t.operations = max(t.operations, ev.Rev)
	maps.DeleteFunc(t.early, func(_ upid.UPID, ended int64) bool { return ended <= t.operations })
}

func (t *tasks) startLocked(id upid.UPID) {
	t.started[id] = true
	t.log.Add(time.Unix(id.Start, 0), Info, id.User, "starting task "+id.String())
}

// seeArchive enters the ends of tasks.
func (t *tasks) seeArchive(ev cluster.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range ev.Changes {
		if c.Deleted || c.CreateRev <= t.archive {
			continue
		}
		f, err := task.DecodeFinished(c.Value)
		if err != nil {
			t.warn("unreadable task in the archive", "key", c.Key, "err", err)
			continue
		}
		t.endLocked(f, c.CreateRev)
	}
	t.archive = max(t.archive, ev.Rev)
}

func (t *tasks) endLocked(f task.Finished, rev int64) {
	if !t.started[f.UPID] {
		t.startLocked(f.UPID)
		if rev > t.operations { // the watch of operations has not come so far yet
			t.early[f.UPID] = rev
		}
	}
	delete(t.started, f.UPID)
	pri := Error
	switch {
	case f.Status == "OK":
		pri = Info
	case strings.HasPrefix(f.Status, "WARNINGS: "):
		pri = Warning
	}
	t.log.Add(time.Unix(f.End, 0), pri, f.UPID.User, "end task "+f.UPID.String()+" "+f.Status)
}
