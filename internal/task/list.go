package task

import (
	"cmp"
	"slices"
	"strings"

	"github.com/turtacn/go-proxmox/proxmoxapi/upid"
)

// statusRunning is the status of a task under way in lists.
const statusRunning = "RUNNING"

// Row is a task in the lists of the API.
type Row struct {
	UPID      upid.UPID `json:"upid"`
	Node      string    `json:"node"`
	PID       uint32    `json:"pid"`
	PStart    uint64    `json:"pstart"`
	StartTime int64     `json:"starttime"`
	Type      string    `json:"type"`
	ID        string    `json:"id"`
	User      string    `json:"user"`
	TokenID   string    `json:"tokenid,omitempty"`
	EndTime   int64     `json:"endtime,omitempty"` // 0 while running
	Status    string    `json:"status,omitempty"`
}

func newRow(id upid.UPID) Row {
	user, token, _ := strings.Cut(id.User, "!")
	return Row{UPID: id, Node: id.Node, PID: id.PID, PStart: id.PStart, StartTime: id.Start, Type: id.Type, ID: id.ID, User: user, TokenID: token}
}

// Filter selects tasks; all its conditions hold together. The zero value lists all finished tasks.
type Filter struct {
	Active   bool // running ones, first
	Finished bool // the archive; it is also the default if Active is unset
	// User is a part of the user's name without token, in any case; Type and ID are the whole ones.
	User, Type, ID string
	// Since and Until bound the start time, Unix, both inclusive. Nil: no bound.
	Since, Until *int64
	// Errors leaves out those that are "OK", and overrides Classes.
	Errors bool
	// Classes are the classes of outcomes wanted: ok, warning, error, unknown. Empty: all.
	Classes []string
	// Visible tells which tasks the caller may see. Nil: all. It must not use the engine.
	Visible func(upid.UPID) bool
	// Start is how many rows to leave out, Limit how many to return at most; 0 returns none, negative all.
	Start, Limit int
}

func (f *Filter) accepts(r Row) bool {
	switch {
	case f.Visible != nil && !f.Visible(r.UPID),
		f.User != "" && !strings.Contains(strings.ToLower(r.User), strings.ToLower(f.User)),
		f.Type != "" && r.Type != f.Type,
		f.ID != "" && r.ID != f.ID,
		f.Since != nil && r.StartTime < *f.Since,
		f.Until != nil && r.StartTime > *f.Until:
		return false
	case f.Errors:
		return r.Status != statusOK
	case len(f.Classes) > 0:
		return slices.Contains(f.Classes, statusClass(r.Status))
	}
	return true
}

// List returns the rows of the tasks that f selects, the newest first and running ones before finished ones, and how
// many there are without Start and Limit. Hidden operations are not listed.
func (e *Engine) List(f Filter) ([]Row, int) {
	rows, total := []Row{}, 0
	add := func(r Row) {
		if !f.accepts(r) {
			return
		}
		if total >= f.Start && (f.Limit < 0 || len(rows) < f.Limit) {
			rows = append(rows, r)
		}
		total++
	}
	if f.Active {
		for _, id := range e.active() {
			r := newRow(id)
			r.Status = statusRunning
			add(r)
		}
	}
	if f.Finished || !f.Active {
		e.archive.newest(func(t Finished) bool {
			r := newRow(t.UPID)
			r.EndTime, r.Status = t.End, t.Status
			add(r)
			return true
		})
	}
	return rows, total
}

// active returns the tasks that have not ended, the newest first.
func (e *Engine) active() []upid.UPID {
	type started struct {
		id  upid.UPID
		rev int64
	}
	var ops []started
	e.mu.Lock()
	for id, op := range e.live {
		if op.rev != 0 && !op.rec.Hidden {
			ops = append(ops, started{id, op.rev})
		}
	}
	e.mu.Unlock()
	slices.SortFunc(ops, func(a, b started) int { return cmp.Compare(b.rev, a.rev) })
	ids := make([]upid.UPID, len(ops))
	for i, o := range ops {
		ids[i] = o.id
	}
	return ids
}

// Stats tells how busy the engine is.
type Stats struct {
	Running, Waiting int // operations, hidden ones too
}

// Stats returns the counts of this moment.
func (e *Engine) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	st := Stats{Running: e.running}
	for _, op := range e.live {
		if !op.started {
			st.Waiting++
		}
	}
	return st
}
