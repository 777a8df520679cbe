package task

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/proxmoxapi/upid"
)

// Authorizer answers permission questions about the caller in ctx: does it have all of privs on path?
type Authorizer interface {
	Can(ctx context.Context, path string, privs ...string) bool
}

// API answers the methods about tasks of Proxmox VE's API. It implements proxmoxapi.Tasks.
//
// A caller sees, and may stop, its own tasks; a user's are also those of the user's tokens. What others do is for
// Sys.Audit on the node, stopping it for Sys.Modify.
type API struct {
	engine *Engine
	auth   Authorizer
}

// NewAPI returns the API of an engine.
func NewAPI(e *Engine, a Authorizer) *API { return &API{engine: e, auth: a} }

func (a *API) nodePath() string { return "/nodes/" + a.engine.Node() }

// owns tells whether a task is the caller's own.
func owns(c call.Caller, id upid.UPID) bool {
	user, _, _ := strings.Cut(id.User, "!")
	return c.AuthID != "" && (id.User == c.AuthID || c.Token() == "" && user == c.AuthID)
}

// find returns the task that text names, if the caller owns it or has priv on the node. Whether the task exists is told
// only to those who may see it.
func (a *API) find(ctx context.Context, text, priv string) (upid.UPID, error) {
	id, err := upid.Parse(text)
	if err != nil {
		return id, call.Param("upid", "unable to parse worker upid")
	}
	if !owns(call.From(ctx), id) && !a.auth.Can(ctx, a.nodePath(), priv) {
		return id, call.Forbidden(a.nodePath() + ", " + priv)
	}
	if _, err := a.engine.LogPath(id); err != nil {
		return id, notFound(err)
	}
	return id, nil
}

// notFound gives a missing task the words of the API.
func notFound(err error) error {
	if errors.Is(err, ErrNotFound) {
		return call.Param("upid", "no such task")
	}
	return err
}

// GetNodesTasks lists the node's tasks.
func (a *API) GetNodesTasks(ctx context.Context, req *schema.GetNodesTasks) (call.List, error) {
	source := value(req.Source, "archive")
	f := Filter{
		Active:   source != "archive",
		Finished: source != "active",
		User:     value(req.Userfilter, ""),
		Type:     value(req.Typefilter, ""),
		Since:    req.Since,
		Until:    req.Until,
		Errors:   value(req.Errors, false),
		Classes:  strings.FieldsFunc(value(req.Statusfilter, ""), func(r rune) bool { return strings.ContainsRune(",; \x00", r) }),
		Start:    int(value(req.Start, 0)),
		Limit:    int(value(req.Limit, 50)),
	}
	if req.Vmid != nil {
		f.ID = strconv.FormatInt(*req.Vmid, 10)
	}
	if caller := call.From(ctx); !a.auth.Can(ctx, a.nodePath(), "Sys.Audit") {
		f.Visible = func(id upid.UPID) bool { return owns(caller, id) }
	}
	rows, total := a.engine.List(f)
	return call.List{Rows: rows, Total: total}, nil
}

// GetNodesTasksUpid is the index below a task.
func (a *API) GetNodesTasksUpid(_ context.Context, req *schema.GetNodesTasksUpid) ([]map[string]string, error) {
	if _, err := upid.Parse(req.Upid); err != nil {
		return nil, call.Param("upid", "unable to parse worker upid")
	}
	return []map[string]string{{"name": "log"}, {"name": "status"}}, nil
}

// DeleteNodesTasksUpid asks a task to stop. It does not wait.
func (a *API) DeleteNodesTasksUpid(ctx context.Context, req *schema.DeleteNodesTasksUpid) (any, error) {
	id, err := a.find(ctx, req.Upid, "Sys.Modify")
	if err != nil {
		return nil, err
	}
	return nil, notFound(a.engine.Cancel(ctx, id))
}

// GetNodesTasksStatus returns the state of a task.
func (a *API) GetNodesTasksStatus(ctx context.Context, req *schema.GetNodesTasksStatus) (map[string]any, error) {
	id, err := a.find(ctx, req.Upid, "Sys.Audit")
	if err != nil {
		return nil, err
	}
	st, err := a.engine.Status(id)
	if err != nil {
		return nil, notFound(err)
	}
	r := newRow(id)
	reply := map[string]any{
		"upid": id, "node": r.Node, "pid": r.PID, "pstart": r.PStart, "starttime": r.StartTime,
		"type": r.Type, "id": r.ID, "user": r.User, "status": "running",
	}
	if r.TokenID != "" {
		reply["tokenid"] = r.TokenID
	}
	if !st.Running {
		reply["status"], reply["exitstatus"] = "stopped", st.Exit
	}
	return reply, nil
}

// GetNodesTasksLog returns lines of a task's log, or all of it as a file.
func (a *API) GetNodesTasksLog(ctx context.Context, req *schema.GetNodesTasksLog) (any, error) {
	id, err := a.find(ctx, req.Upid, "Sys.Audit")
	if err != nil {
		return nil, err
	}
	if value(req.Download, false) {
		if req.Start != nil || req.Limit != nil {
			return nil, call.Errorf("'download' cannot be used together with 'start' or 'limit' parameters")
		}
		return a.download(id)
	}
	lines, total, err := a.engine.Log(id, int(value(req.Start, 0)), int(value(req.Limit, 50)))
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, notFound(err)
	case err != nil:
		return call.List{Rows: []LogLine{{N: 1, T: "unable to open file - " + reason(err)}}, Total: 1}, nil
	case total == 0:
		return call.List{Rows: []LogLine{{N: 1, T: "no content"}}, Total: 1}, nil
	}
	return call.List{Rows: lines, Total: total}, nil
}

// reason returns the cause of a failed open without the path, which is nobody's business.
func reason(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err.Error()
	}
	return "read error"
}

// download opens the log as a file for the client.
func (a *API) download(id upid.UPID) (any, error) {
	path, err := a.engine.LogPath(id)
	if err != nil {
		return nil, notFound(err)
	}
	var body io.ReadCloser
	body, err = os.Open(path)
	switch {
	case errors.Is(err, os.ErrNotExist): // nothing logged yet
		body = io.NopCloser(strings.NewReader(""))
	case err != nil:
		return nil, err
	}
	start := time.Unix(id.Start, 0).UTC().Format("2006-01-02T15:04:05")
	return &call.Download{Name: "task-" + id.Node + "-" + id.Type + "-" + start + "Z.log", ContentType: "text/plain", Body: body}, nil
}

// clusterRows is how many tasks the list of the cluster shows; running ones are never left out.
const clusterRows = 25

// clusterRow is a task in the list of the cluster: the pid only while it runs, and a mark whether it is in the archive.
type clusterRow struct {
	Row
	PID    *uint32   `json:"pid,omitempty"`
	PStart *struct{} `json:"pstart,omitempty"` // hides the row's
	Saved  string    `json:"saved"`
}

// GetClusterTasks lists the latest tasks. Without Sys.Audit on / those of the user itself; a token sees none then.
func (a *API) GetClusterTasks(ctx context.Context, _ *schema.GetClusterTasks) (any, error) {
	var visible func(upid.UPID) bool
	if caller := call.From(ctx); !a.auth.Can(ctx, "/", "Sys.Audit") {
		visible = func(id upid.UPID) bool {
			user, _, _ := strings.Cut(id.User, "!")
			return caller.AuthID != "" && user == caller.AuthID
		}
	}
	running, _ := a.engine.List(Filter{Active: true, Limit: -1, Visible: visible})
	finished, _ := a.engine.List(Filter{Finished: true, Limit: max(0, clusterRows-len(running)), Visible: visible})
	rows := []clusterRow{}
	for _, r := range running {
		r.Status = ""
		rows = append(rows, clusterRow{Row: r, PID: &r.PID, Saved: "0"})
	}
	for _, r := range finished {
		rows = append(rows, clusterRow{Row: r, Saved: "1"})
	}
	return rows, nil
}

// value returns what an optional parameter holds.
func value[T any](p *T, unset T) T {
	if p == nil {
		return unset
	}
	return *p
}
