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

// logSize is how many entries the log remembers, as on Proxmox VE; it is kept in memory alone.
const logSize = 500

// Priorities of entries, as syslog counts them.
const (
	Error = 3
	Info  = 6
)

// Entry is one row of the log.
type Entry struct {
	UID  int64  `json:"uid"`
	ID   string `json:"id"`
	Time int64  `json:"time"`
	Pri  int    `json:"pri"`
	Tag  string `json:"tag"`
	PID  int    `json:"pid"`
	Node string `json:"node"`
	User string `json:"user"`
	Msg  string `json:"msg"`
}

// Log is the cluster's log: who did what. It is safe for concurrent use.
type Log struct {
	node string

	mu   sync.Mutex // guards last and rows
	last int64
	rows []Entry // oldest first
}

// Add appends an entry.
func (l *Log) Add(at time.Time, pri int, tag, user, msg string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	l.rows = append(l.rows, Entry{
		UID: l.last, ID: fmt.Sprintf("%d:%s", l.last, l.node), Time: at.Unix(), Pri: pri, Tag: tag, Node: l.node, User: user, Msg: msg,
	})
	if len(l.rows) > 2*logSize { // twice, so that moving is rare
		l.rows = slices.Clone(l.rows[len(l.rows)-logSize:])
	}
}

// newest returns up to limit entries that pass, the newest first.
func (l *Log) newest(limit int, pass func(*Entry) bool) []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := []Entry{}
	for i := len(l.rows) - 1; i >= max(0, len(l.rows)-logSize) && len(out) < limit; i-- {
		if pass(&l.rows[i]) {
			out = append(out, l.rows[i])
		}
	}
	return out
}

// GetClusterLog answers GET /cluster/log.
func (s *Service) GetClusterLog(ctx context.Context, req *schema.GetClusterLog) (any, error) {
	all := s.o.Access.Can(ctx, "/", "Sys.Syslog")
	who := call.From(ctx).AuthID
	return s.log.newest(int(schema.Value(req.Max, 50)), func(e *Entry) bool { return all || e.User == who }), nil
}
