package task

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/proxmoxapi/upid"
)

// maxDrops is how many old tasks one new one pushes out at most, so that a lowered limit is reached step by step.
const maxDrops = 8

// archive holds the finished tasks of the node: the keys below ArchivePrefix, mirrored in memory. The commit that ends
// an operation also writes its entry and deletes what is over the limit.
type archive struct {
	node   string
	retain int

	mu   sync.RWMutex // guards the fields below
	next uint64       // sequence of the next entry
	rows []row        // by seq
	byID map[upid.UPID]uint64
}

type row struct {
	seq uint64
	Finished
}

// entry is an addition under way: what joins the commit, and what becomes of it.
type entry struct {
	row   row
	drops []row
	parts []cluster.Part
}

func newArchive(node string, retain int) *archive {
	return &archive{node: node, retain: retain, next: 1, byID: map[upid.UPID]uint64{}}
}

// load reads the entries of the store. Those that a newer program wrote are left alone.
func (a *archive) load(ctx context.Context, store cluster.Store) (skipped int, err error) {
	kvs, _, err := store.List(ctx, ArchivePrefix(a.node))
	if err != nil {
		return 0, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rows = a.rows[:0]
	clear(a.byID)
	for _, kv := range kvs {
		seq, err := strconv.ParseUint(strings.TrimPrefix(kv.Key, ArchivePrefix(a.node)), 16, 64)
		if err != nil {
			skipped++
			continue
		}
		a.next = max(a.next, seq+1)
		f, err := finishedSchema.Decode(kv.Value)
		if err != nil {
			skipped++
			continue
		}
		a.rows = append(a.rows, row{seq, f})
		a.byID[f.UPID] = seq
	}
	return skipped, nil
}

// prepare reserves the place of a finished task. Either add or abandon must follow.
func (a *archive) prepare(f Finished) (*entry, error) {
	value, err := finishedSchema.Encode(f)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	e := &entry{row: row{a.next, f}}
	a.next++
	if over := len(a.rows) + 1 - a.retain; over > 0 {
		n := min(over, maxDrops, len(a.rows))
		e.drops = slices.Clone(a.rows[:n])
		a.rows = slices.Delete(a.rows, 0, n)
	}
	e.parts = append(e.parts, cluster.Put(archiveKey(a.node, e.row.seq), value))
	for _, d := range e.drops {
		delete(a.byID, d.UPID)
		e.parts = append(e.parts, cluster.Delete(archiveKey(a.node, d.seq)))
	}
	return e, nil
}

// add makes a committed entry visible.
func (a *archive) add(e *entry) { a.insert(e.row) }

// abandon takes back an entry whose commit failed.
func (a *archive) abandon(e *entry) { a.insert(e.drops...) }

func (a *archive) insert(rows ...row) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range rows {
		i, _ := slices.BinarySearchFunc(a.rows, r.seq, func(r row, seq uint64) int { return cmp.Compare(r.seq, seq) })
		a.rows = slices.Insert(a.rows, i, r)
		a.byID[r.UPID] = r.seq
	}
}

// find returns a finished task.
func (a *archive) find(id upid.UPID) (Finished, bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	seq, ok := a.byID[id]
	if !ok {
		return Finished{}, false
	}
	i, ok := slices.BinarySearchFunc(a.rows, seq, func(r row, seq uint64) int { return cmp.Compare(r.seq, seq) })
	if !ok {
		return Finished{}, false
	}
	return a.rows[i].Finished, true
}

// newest calls fn for the finished tasks, the latest first, until it returns false. fn must not use the archive.
func (a *archive) newest(fn func(Finished) bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	for _, r := range slices.Backward(a.rows) {
		if !fn(r.Finished) {
			return
		}
	}
}
