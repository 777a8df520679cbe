package datacenter

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// logSize is how many entries the log remembers, as on Proxmox VE.
const logSize = 500

// Priorities of entries, as syslog counts them.
const (
	Error   = 3
	Warning = 4
	Info    = 6
)

// logTag names the program in entries, as clients of Proxmox VE know it.
const logTag = "pvedaemon"

// Entry is one row of the log.
type Entry struct {
	UID  int64  `json:"uid"`
	ID   string `json:"id"` // UID:NODE
	Time int64  `json:"time"`
	Pri  int    `json:"pri"`
	Tag  string `json:"tag"`
	PID  int64  `json:"pid"`
	Node string `json:"node"`
	User string `json:"user"`
	Msg  string `json:"msg"`

	own int64 // number among the entries of its user
}

// Log is the cluster's log: who did what. It is safe for concurrent use.
type Log struct {
	node string
	pid  int64

	mu   sync.Mutex // guards the rest
	last int64
	own  map[string]int64 // last own number of each user
	rows []Entry          // oldest first
}

func newLog(node string, pid int) *Log {
	return &Log{node: node, pid: int64(pid), own: map[string]int64{}}
}

// Add enters what user did. Entries are shown in the order of their times.
func (l *Log) Add(at time.Time, pri int, user, msg string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	l.own[user]++
	e := Entry{
		UID: l.last, ID: l.idOf(l.last), Time: at.Unix(), Pri: pri, Tag: logTag, PID: l.pid, Node: l.node, User: user, Msg: msg, own: l.own[user],
	}
	i := len(l.rows)
	for i > 0 && l.rows[i-1].Time > e.Time {
		i--
	}
	l.rows = slices.Insert(l.rows, i, e)
	if len(l.rows) > 2*logSize { // twice, so that moving is rare
		l.rows = slices.Clone(l.rows[len(l.rows)-logSize:])
	}
}

func (l *Log) idOf(uid int64) string { return fmt.Sprintf("%d:%s", uid, l.node) }

// all returns up to limit entries, the newest first.
func (l *Log) all(limit int) []Entry {
	return l.newest(limit, func(e Entry) (Entry, bool) { return e, true })
}

// of returns up to limit entries of one user, the newest first. They are numbered by themselves: gaps would tell how
// much others do.
func (l *Log) of(user string, limit int) []Entry {
	return l.newest(limit, func(e Entry) (Entry, bool) {
		e.UID, e.ID = e.own, l.idOf(e.own)
		return e, e.User == user
	})
}

func (l *Log) newest(limit int, show func(Entry) (Entry, bool)) []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := []Entry{}
	for i := len(l.rows) - 1; i >= max(0, len(l.rows)-logSize) && len(out) < limit; i-- {
		if e, ok := show(l.rows[i]); ok {
			out = append(out, e)
		}
	}
	return out
}

// LoggedIn enters a login into the log.
func (s *Service) LoggedIn(user string) {
	s.note(call.Root, "successful auth for user '"+user+"'")
}

// PasswordChanged enters the change of a user's password into the log.
func (s *Service) PasswordChanged(user string) {
	s.note(call.Root, "changed password for user '"+user+"'")
}

// GetClusterLog answers GET /cluster/log: everything for auditors of the system's log, for others what they did.
func (s *Service) GetClusterLog(ctx context.Context, req *schema.GetClusterLog) (any, error) {
	limit := int(schema.Value(req.Max, 50))
	if s.o.Access.Can(ctx, "/", "Sys.Syslog") {
		return s.log.all(limit), nil
	}
	return s.log.of(call.From(ctx).AuthID, limit), nil
}
