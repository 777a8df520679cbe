package task_test

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// grants says which callers have which privileges: "user path privilege".
type grants []string

func (g grants) Can(ctx context.Context, path string, privs ...string) bool {
	for _, p := range privs {
		ok := call.From(ctx).IsRoot()
		for _, have := range g {
			ok = ok || have == call.From(ctx).AuthID+" "+path+" "+p
		}
		if !ok {
			return false
		}
	}
	return true
}

func as(t *testing.T, user string) context.Context {
	return call.With(ctx(t), call.Caller{AuthID: user})
}

func ptr[T any](v T) *T { return &v }

func toJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}

func TestAPIListsWhatTheCallerMaySee(t *testing.T) {
	h, _ := populate(t)
	api := task.NewAPI(h.Engine, grants{"audit@pve /nodes/pve1 Sys.Audit", "boss@pve / Sys.Audit"})
	types := func(l any) string {
		var rows []struct{ Type string }
		require.NoError(t, json.Unmarshal([]byte(toJSON(t, l)), &rows))
		var s []string
		for _, r := range rows {
			s = append(s, r.Type)
		}
		return strings.Join(s, " ")
	}
	for user, want := range map[string]string{
		"root@pam":     "vncproxy qmstart vzdump qmstop qmstart",
		"audit@pve":    "vncproxy qmstart vzdump qmstop qmstart",
		"alice@pve":    "vncproxy qmstop qmstart",
		"alice@pve!ci": "qmstop",
		"alice@pve!x":  "",
		"eve@pve":      "",
		"":             "",
	} {
		l, err := api.GetNodesTasks(as(t, user), &schema.GetNodesTasks{Node: "pve1", Source: ptr("all")})
		require.NoError(t, err)
		require.Equal(t, want, types(l.Rows), user)
		require.Equal(t, len(strings.Fields(want)), l.Total)
	}
	for user, want := range map[string]string{
		"root@pam":     "vncproxy qmstart vzdump qmstop qmstart",
		"boss@pve":     "vncproxy qmstart vzdump qmstop qmstart",
		"audit@pve":    "",
		"alice@pve":    "vncproxy qmstop qmstart",
		"alice@pve!ci": "",
	} {
		rows, err := api.GetClusterTasks(as(t, user), &schema.GetClusterTasks{})
		require.NoError(t, err)
		require.Equal(t, want, types(rows), user)
	}
	l, err := api.GetNodesTasks(as(t, "root@pam"), &schema.GetNodesTasks{Node: "pve1", Vmid: ptr(int64(100)), Statusfilter: ptr("error,warning"), Limit: ptr(int64(10))})
	require.NoError(t, err)
	require.JSONEq(t, `[{"upid":"UPID:pve1:00000002:00ABCDEF:66F0001E:qmstop:100:alice@pve!ci:","node":"pve1","pid":2,"pstart":11259375,
		"starttime":1727004702,"type":"qmstop","id":"100","user":"alice@pve","tokenid":"ci","endtime":1727004702,"status":"timeout"}]`, toJSON(t, l.Rows))
	rows, err := api.GetClusterTasks(as(t, "root@pam"), &schema.GetClusterTasks{})
	require.NoError(t, err)
	require.Contains(t, toJSON(t, rows), `{"upid":"UPID:pve1:00000001:00ABCDEF:66F00014:qmstart:100:alice@pve:","node":"pve1","starttime":1727004692,"type":"qmstart","id":"100","user":"alice@pve","endtime":1727004692,"status":"OK","saved":"1"}`)
	require.Contains(t, toJSON(t, rows), `"type":"vncproxy","id":"100","user":"alice@pve","pid":6,"saved":"0"}`)
}

func TestThreat43_TasksOfOthers(t *testing.T) {
	h, ids := populate(t)
	alice, token, bob, console := ids[0].String(), ids[1].String(), ids[3].String(), ids[4].String()
	api := task.NewAPI(h.Engine, grants{"audit@pve /nodes/pve1 Sys.Audit", "admin@pve /nodes/pve1 Sys.Modify"})
	status := func(user, id string) error {
		_, err := api.GetNodesTasksStatus(as(t, user), &schema.GetNodesTasksStatus{Node: "pve1", Upid: id})
		return err
	}
	log := func(user, id string) error {
		_, err := api.GetNodesTasksLog(as(t, user), &schema.GetNodesTasksLog{Node: "pve1", Upid: id})
		return err
	}
	stop := func(user, id string) error {
		_, err := api.DeleteNodesTasksUpid(as(t, user), &schema.DeleteNodesTasksUpid{Node: "pve1", Upid: id})
		return err
	}
	audit, modify := call.Forbidden("/nodes/pve1, Sys.Audit"), call.Forbidden("/nodes/pve1, Sys.Modify")
	for _, tc := range []struct {
		user, id  string
		see, stop error
	}{
		{"alice@pve", alice, nil, nil},
		{"alice@pve", token, nil, nil},
		{"alice@pve!ci", token, nil, nil},
		{"alice@pve!ci", alice, audit, modify},
		{"alice@pve!other", token, audit, modify},
		{"bob@pve", alice, audit, modify},
		{"audit@pve", bob, nil, modify},
		{"admin@pve", bob, audit, nil},
		{"", bob, audit, modify},
	} {
		require.Equal(t, tc.see, status(tc.user, tc.id), "%s %s", tc.user, tc.id)
		require.Equal(t, tc.see, log(tc.user, tc.id), "%s %s", tc.user, tc.id)
		require.Equal(t, tc.stop, stop(tc.user, tc.id), "%s %s", tc.user, tc.id)
	}
	// A forged UPID: one's own name on somebody else's task, and paths.
	require.NoError(t, os.WriteFile(filepath.Join(h.dir, "secret"), []byte("secret"), 0o600))
	for _, forged := range []string{
		strings.Replace(bob, "bob@pve", "alice@pve", 1),
		strings.Replace(alice, "UPID:pve1", "UPID:pve2", 1),
		strings.Replace(alice, "qmstart", "..", 1),
	} {
		for _, err := range []error{status("alice@pve", forged), log("alice@pve", forged), stop("alice@pve", forged)} {
			require.Equal(t, call.ParamErrors{"upid": "no such task"}, err, forged)
		}
		require.Equal(t, audit, status("bob2@pve", forged), "who may not see it is not told whether it exists")
	}
	for _, bad := range []string{"", "../../secret", "UPID:pve1:00000001:00ABCDEF:66F00014:../../secret:100:alice@pve:", alice + "\n", alice + "\x00"} {
		for _, err := range []error{status("root@pam", bad), log("root@pam", bad), stop("root@pam", bad)} {
			require.Equal(t, call.ParamErrors{"upid": "unable to parse worker upid"}, err, bad)
		}
	}
	require.NoError(t, stop("alice@pve", console))
	require.Equal(t, "received interrupt", h.exit(ids[4]))
}

func TestAPIStatusAndLog(t *testing.T) {
	h, ids := populate(t)
	api := task.NewAPI(h.Engine, grants{})
	root := as(t, "root@pam")
	reply, err := api.GetNodesTasksStatus(root, &schema.GetNodesTasksStatus{Node: "localhost", Upid: ids[1].String()})
	require.NoError(t, err)
	require.JSONEq(t, `{"upid":"UPID:pve1:00000002:00ABCDEF:66F0001E:qmstop:100:alice@pve!ci:","node":"pve1","pid":2,"pstart":11259375,
		"starttime":1727004702,"type":"qmstop","id":"100","user":"alice@pve","tokenid":"ci","status":"stopped","exitstatus":"timeout"}`, toJSON(t, reply))
	reply, err = api.GetNodesTasksStatus(root, &schema.GetNodesTasksStatus{Upid: ids[4].String()})
	require.NoError(t, err)
	require.Equal(t, "running", reply["status"])
	require.NotContains(t, reply, "exitstatus")

	get := func(req schema.GetNodesTasksLog) any {
		l, err := api.GetNodesTasksLog(root, &req)
		require.NoError(t, err)
		return l
	}
	require.Equal(t, call.List{Rows: []task.LogLine{{N: 1, T: "no content"}}, Total: 1}, get(schema.GetNodesTasksLog{Upid: ids[4].String()}))
	require.Equal(t, call.List{Rows: []task.LogLine{{N: 2, T: "TASK WARNINGS: 1"}}, Total: 2}, get(schema.GetNodesTasksLog{Upid: ids[2].String(), Start: ptr(int64(1))}))
	d, ok := get(schema.GetNodesTasksLog{Upid: ids[2].String(), Download: ptr(true)}).(*call.Download)
	require.True(t, ok)
	require.Equal(t, "task-pve1-vzdump-2024-09-22T11:31:52Z.log", d.Name)
	require.Equal(t, "text/plain", d.ContentType)
	b, err := io.ReadAll(d.Body)
	require.NoError(t, err)
	require.NoError(t, d.Body.Close())
	require.Equal(t, "WARN: skipped\nTASK WARNINGS: 1\n", string(b))
	d = get(schema.GetNodesTasksLog{Upid: ids[4].String(), Download: ptr(true)}).(*call.Download)
	b, err = io.ReadAll(d.Body)
	require.NoError(t, err)
	require.Empty(t, b)
	_, err = api.GetNodesTasksLog(root, &schema.GetNodesTasksLog{Upid: ids[2].String(), Download: ptr(true), Limit: ptr(int64(5))})
	require.EqualError(t, err, "'download' cannot be used together with 'start' or 'limit' parameters")

	file := filepath.Join(h.dir, "tasks", "8", ids[2].String())
	require.NoError(t, os.Remove(file))
	require.NoError(t, os.Mkdir(file, 0o700))
	rows := get(schema.GetNodesTasksLog{Upid: ids[2].String()}).(call.List).Rows.([]task.LogLine)
	require.Len(t, rows, 1)
	require.Contains(t, rows[0].T, "unable to open file - ")
	require.NotContains(t, rows[0].T, h.dir)
	index, err := api.GetNodesTasksUpid(root, &schema.GetNodesTasksUpid{Upid: ids[2].String()})
	require.NoError(t, err)
	require.Equal(t, []map[string]string{{"name": "log"}, {"name": "status"}}, index)
	_, err = api.GetNodesTasksUpid(root, &schema.GetNodesTasksUpid{Upid: "x"})
	require.Error(t, err)
}
