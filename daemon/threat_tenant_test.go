package daemon

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/proxmoxapi/client"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// steady removes what moves by itself from an answer: load, time, and how full the storage is.
func steady(body string) string {
	var v any
	if json.Unmarshal([]byte(body), &v) != nil {
		return body
	}
	var walk func(any) any
	walk = func(v any) any {
		switch v := v.(type) {
		case []any:
			for i := range v {
				v[i] = walk(v[i])
			}
		case map[string]any:
			for _, key := range []string{"cpu", "mem", "disk", "uptime", "used", "avail", "used_fraction", "maxdisk", "total", "loadavg", "localtime", "time"} {
				if _, number := v[key].(float64); number {
					delete(v, key)
				}
			}
			if v["type"] == "dir" {
				delete(v, "digest") // of the whole file, so that changes can be made safely
			}
			for k := range v {
				v[k] = walk(v[k])
			}
		}
		return v
	}
	text, err := json.Marshal(walk(v))
	if err != nil {
		return body
	}
	return string(text)
}

func TestThreat40_ListsShowNothingOfOthers(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := t.Context()
	a := h.as("a@pve", "/vms/200", "PVEVMAdmin", "/storage/local", "PVEDatastoreUser", "/pool/pa", "PVEPoolAdmin", "/nodes", "PVEVMUser")
	require.NoError(t, h.root.Post(ctx, "/pools", client.Params{"poolid": "pa"}, nil))
	h.vm(a, client.Params{"vmid": 200, "scsi0": "local:1"})

	node := "/nodes/" + testNode
	paths := []string{
		"/cluster/resources", "/cluster/resources?type=vm", "/cluster/resources?type=storage", "/cluster/resources?type=node", "/cluster/status",
		"/cluster/tasks", "/cluster/log", "/cluster/options", "/nodes", node, node + "/qemu", node + "/qemu?full=1", node + "/lxc", node + "/tasks",
		node + "/tasks?source=all", node + "/tasks?source=active", node + "/tasks?vmid=100", node + "/tasks?userfilter=b", node + "/storage",
		node + "/storage/local/content", node + "/storage/local/content?vmid=100", node + "/storage/local/content?content=iso", node + "/storage/local/status",
		"/storage", "/storage/local", "/pools", "/pools?poolid=pb", "/pools/pb", "/access/users", "/access/users?full=1",
		"/access/groups", "/access/groups/gb", "/access/acl", "/access/roles", "/access/domains", "/access/permissions",
		"/access/permissions?userid=b@pve", "/access/tfa", node + "/qemu/100/config", node + "/qemu/100/status/current", node + "/qemu/100/pending",
		node + "/qemu/100", node + "/qemu/100/snapshot", node + "/qemu/100/agent/info", node + "/storage/local/content/local:100/vm-100-disk-0.raw",
		"/cluster/ha/resources", "/cluster/backup", "/cluster/replication",
	}
	ask := func() []string {
		answers := make([]string, len(paths))
		together(len(paths), func(i int) {
			r := h.raw("GET", "/api2/json"+paths[i], auth(a, false), "")
			answers[i] = fmt.Sprintf("%d %s %s", r.Status, r.Reason, steady(r.Body))
		})
		return answers
	}
	before := ask()

	require.NoError(t, h.root.Post(ctx, "/pools", client.Params{"poolid": "pb"}, nil))
	require.NoError(t, h.root.Post(ctx, "/access/groups", client.Params{"groupid": "gb"}, nil))
	b := h.as("b@pve", "/vms/100", "PVEVMAdmin", "/storage/local", "PVEDatastoreAdmin", "/pool/pb", "PVEPoolAdmin")
	h.vm(b, client.Params{"vmid": 100, "name": "secret-of-b", "scsi0": "local:1", "tags": "hidden", "pool": "pb"})
	require.Error(t, h.task(b, "POST", pathOfVM+"/100/status/start", client.Params{"timeout": 1, "machine": "pc-none"}))
	// Images for all to use, such as ISO files, are not hidden from those who may use the storage; B's are on one of his own.
	require.NoError(t, h.root.Post(ctx, "/storage", client.Params{"storage": "sb", "type": "dir", "path": filepath.Join(h.dir, "sb"), "content": "import,images"}, nil))
	require.NoError(t, h.root.Put(ctx, "/access/acl", client.Params{"path": "/storage/sb", "roles": "PVEDatastoreAdmin", "users": "b@pve"}, nil))
	upid, err := b.Upload(ctx, testNode, "sb", "import", "of-b.raw", 4096, bytes.NewReader(make([]byte, 4096)))
	require.NoError(t, err)
	_, err = h.root.WaitTask(ctx, upid, nil)
	require.NoError(t, err)

	for i, now := range ask() {
		require.Equal(t, before[i], now, paths[i])
	}
	// Asking for what is another's, and for what is nobody's, is refused in the same words.
	for _, method := range []string{"GET", "PUT", "POST", "DELETE"} {
		for _, e := range schema.Endpoints() {
			if e.Method != method || !strings.Contains(e.Path, "/qemu/{vmid}") {
				continue
			}
			there := h.raw(method, pathOf(e), auth(a, false), "")
			absent := h.raw(method, strings.Replace(pathOf(e), "/qemu/100", "/qemu/300", 1), auth(a, false), "")
			absent.Reason = strings.ReplaceAll(absent.Reason, "300", "100")
			require.Equal(t, fmt.Sprint(there.Status, there.Reason), fmt.Sprint(absent.Status, absent.Reason), "%s %s", method, e.Path)
			require.True(t, there.Status >= 400 || e.ChildHref != "", "%s %s", method, e.Path)
		}
	}
	refusal := func(id int) string {
		err := a.Post(ctx, pathOfVM, client.Params{"vmid": id}, nil)
		require.Error(t, err)
		return strings.ReplaceAll(err.Error(), fmt.Sprint(id), "N")
	}
	require.Equal(t, refusal(300), refusal(100), "creating tells not what is taken")
}

func TestThreat43_TasksOfOthers(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	a, b := h.tenants()
	var rows []struct{ UPID, User string }
	require.NoError(t, b.Get(ctx, "/nodes/"+testNode+"/tasks", nil, &rows))
	require.NotEmpty(t, rows)
	upid := rows[0].UPID
	tasks := "/nodes/" + testNode + "/tasks/"
	for _, path := range []string{"/status", "/log"} {
		require.NoError(t, b.Get(ctx, tasks+upid+path, nil, nil))
		refused(t, a.Get(ctx, tasks+upid+path, nil, nil), 403, "")
	}
	refused(t, a.Delete(ctx, tasks+upid, nil, nil), 403, "")
	require.NoError(t, a.Get(ctx, "/nodes/"+testNode+"/tasks", nil, &rows))
	for _, r := range rows {
		require.True(t, strings.HasPrefix(r.User, "a@pve"), r.User)
	}

	f := strings.Split(upid, ":")
	forged := func(change func(f []string)) string {
		g := append([]string(nil), f...)
		change(g)
		return strings.Join(g, ":")
	}
	for name, text := range map[string]string{
		"another user":  forged(func(f []string) { f[7] = "a@pve" }),
		"another token": forged(func(f []string) { f[7] = "a@pve!all" }),
		"another type":  forged(func(f []string) { f[5], f[7] = "x", "a@pve" }),
		"another pid":   forged(func(f []string) { f[2], f[7] = "FFFFFFFF", "a@pve" }),
		"another node":  forged(func(f []string) { f[1], f[7] = "beta", "a@pve" }),
		"path as type":  forged(func(f []string) { f[5], f[7] = "..", "a@pve" }),
		"path as id":    forged(func(f []string) { f[6], f[7] = "../../../../etc/passwd", "a@pve" }),
		"path as user":  forged(func(f []string) { f[7] = "../../a@pve" }),
		"NUL":           forged(func(f []string) { f[6], f[7] = "1\x00", "a@pve" }),
		"line":          forged(func(f []string) { f[6], f[7] = "1\nTASK OK", "a@pve" }),
		"no end":        strings.TrimSuffix(upid, ":"),
		"long":          forged(func(f []string) { f[6], f[7] = strings.Repeat("1", 2000), "a@pve" }),
		"path":          "../../../../etc/passwd",
		"dots":          "..",
		"index":         "index",
	} {
		for _, path := range []string{"/status", "/log", "/log?download=1"} {
			r := h.raw("GET", "/api2/json"+tasks+url.PathEscape(text)+path, auth(a, false), "")
			require.GreaterOrEqual(t, r.Status, 400, "%s: %s", name, r.Body)
			require.NotContains(t, r.Body, `"n":1`)
			require.NotContains(t, r.Body, "root:")
		}
		r := h.raw("DELETE", "/api2/json"+tasks+url.PathEscape(text), auth(a, false), "")
		require.GreaterOrEqual(t, r.Status, 400, "%s: %s", name, r.Body)
	}
	files, err := filepath.Glob(h.data("log", "*"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
}

// guest starts a VM that only runs its firmware.
func (h *house) guest(c *client.Client, vmid int) {
	h.t.Helper()
	need.Root(h.t)
	h.t.Cleanup(func() { h.stopGuests() })
	h.vm(c, client.Params{"vmid": vmid, "memory": 16, "serial0": "socket", "vga": "serial0"})
	require.NoError(h.t, h.task(c, "POST", fmt.Sprintf("%s/%d/status/start", pathOfVM, vmid), nil))
}

func TestThreat44_ConsoleTickets(t *testing.T) {
	h := newHouse(t)
	grants := []string{"/vms/100", "PVEVMAdmin", "/vms/101", "PVEVMAdmin"}
	owner := h.as("owner@pve", grants...)
	friend := h.as("friend@pve", grants...)
	stranger := h.as("stranger@pve", "/vms/200", "PVEVMAdmin")
	h.guest(owner, 100)
	h.vm(owner, client.Params{"vmid": 101, "serial0": "socket"})
	vm := "/api2/json" + pathOfVM + "/100"

	type proxy struct {
		Ticket string
		Port   json.Number
	}
	open := func(method string) proxy {
		r := h.raw("POST", vm+"/"+method, auth(owner, false), "")
		require.Equal(t, 200, r.Status, r.Body)
		var out struct{ Data proxy }
		require.NoError(t, json.Unmarshal([]byte(r.Body), &out))
		return out.Data
	}
	connect := func(c *client.Client, path, port, ticket, origin string) int {
		headers := auth(c, false)
		headers.Set("Connection", "Upgrade")
		headers.Set("Upgrade", "websocket")
		headers.Set("Sec-WebSocket-Version", "13")
		headers.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
		if origin != "" {
			headers.Set("Origin", origin)
		}
		conn := h.dial()
		defer conn.Close()
		fmt.Fprintf(conn, "GET %s/vncwebsocket?%s HTTP/1.1\r\nHost: %s\r\n", path, url.Values{"port": {port}, "vncticket": {ticket}}.Encode(), h.addr)
		headers.Write(conn)
		fmt.Fprint(conn, "\r\n")
		buf := make([]byte, 12)
		if _, err := conn.Read(buf); err != nil {
			return 0
		}
		var status int
		fmt.Sscanf(string(buf), "HTTP/1.1 %d", &status)
		return status
	}
	for _, method := range []string{"termproxy", "vncproxy"} {
		refused(t, stranger.Post(t.Context(), pathOfVM+"/100/"+method, nil, nil), 403, "VM.Console")
	}
	p := open("termproxy")
	port := p.Port.String()
	for name, status := range map[string]int{
		"no rights":     connect(stranger, vm, port, p.Ticket, ""),
		"another user":  connect(friend, vm, port, p.Ticket, ""),
		"another VM":    connect(owner, "/api2/json"+pathOfVM+"/101", port, p.Ticket, ""),
		"another port":  connect(owner, vm, "5999", p.Ticket, ""),
		"host's port":   connect(owner, vm, "22", p.Ticket, ""),
		"node":          connect(owner, "/api2/json/nodes/"+testNode, port, p.Ticket, ""),
		"no ticket":     connect(owner, vm, port, "", ""),
		"forged":        connect(owner, vm, port, strings.Replace(p.Ticket, "VNC:", "VNC:A", 1)+"x", ""),
		"login ticket":  connect(owner, vm, port, h.root.Credentials().Ticket, ""),
		"foreign pages": connect(owner, vm, port, p.Ticket, "https://evil.example"),
	} {
		require.NotEqual(t, 101, status, name)
	}
	p = open("termproxy")
	require.Equal(t, 101, connect(owner, vm, p.Port.String(), p.Ticket, "https://"+h.addr), "its owner's is good")
	require.NotEqual(t, 101, connect(owner, vm, p.Port.String(), p.Ticket, ""), "once")
}

func TestThreat46_NamesOfNodes(t *testing.T) {
	h := newHouse(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	dialed := make(chan string, 100)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			dialed <- conn.RemoteAddr().String()
			conn.Close()
		}
	}()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	tok := auth(h.as("admin@pve", "/", "Administrator"), false)
	began := time.Now()
	for _, name := range []string{
		"a/../b", "localhost:" + port, "127.0.0.1:" + port, "@127.0.0.1:" + port, "x@127.0.0.1:" + port, "127.0.0.1", "::1", "[::1]:" + port, "evil.example",
		"beta", "alpha.", "alpha\x00", "alpha\r\nHost: x", "..", ".", "-", "alpha/../alpha", "%61lpha%2f..", "alpha?x", "alpha#x", strings.Repeat("a", 5000),
		"localhost.localdomain", "127.1", "2130706433", "0",
	} {
		for _, tail := range []string{"/status", "/qemu", "/version", "/storage", "/tasks"} {
			for _, spelt := range []string{url.PathEscape(name), url.PathEscape(url.PathEscape(name))} {
				r := h.raw("GET", "/api2/json/nodes/"+spelt+tail, tok, "")
				require.GreaterOrEqual(t, r.Status, 400, "%.60q: %s", name, r.Body)
				require.NotContains(t, r.Reason, "\n")
			}
		}
		require.Error(t, h.root.Post(t.Context(), "/nodes/"+url.PathEscape(name)+"/qemu", client.Params{"vmid": 300}, nil))
		require.Error(t, h.root.Post(t.Context(), pathOfVM+"/100/migrate", client.Params{"target": name}, nil))
	}
	require.Less(t, time.Since(began), 20*time.Second, "nothing was looked up or dialed")
	require.Empty(t, dialed)
}

func TestThreat47_AnswersAreNoFiles(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.vm(h.root, client.Params{"vmid": 100})
	trick := `{"download":{"path":"/etc/passwd"},"filename":"/etc/passwd","fd":0}`
	for path, p := range map[string]client.Params{
		pathOfVM + "/100/config": {"description": trick},
		"/access/users/root@pam": {"comment": trick},
		"/cluster/options":       {"description": trick},
	} {
		require.NoError(t, h.root.Put(t.Context(), path, p, nil))
	}
	require.NoError(t, h.root.Post(t.Context(), "/pools", client.Params{"poolid": "p", "comment": trick}, nil))
	secret, err := os.ReadFile("/etc/passwd")
	require.NoError(t, err)
	line, _, _ := strings.Cut(string(secret), "\n")
	var reading []string
	for _, e := range schema.Endpoints() {
		if e.Method == "GET" {
			for _, q := range []string{"", "?download=/etc/passwd&filename=/etc/passwd", "?path=/etc/passwd&download=1", "?file=../../../etc/passwd"} {
				reading = append(reading, pathOf(e)+q)
			}
		}
	}
	replies := make([]reply, len(reading))
	together(len(reading), func(i int) { replies[i] = h.raw("GET", reading[i], auth(h.root, false), "") })
	for i, r := range replies {
		require.NotContains(t, r.Body, line, reading[i])
		if r.Status == 200 && !strings.HasSuffix(strings.Split(reading[i], "?")[0], "/log") {
			require.Equal(t, "application/json;charset=UTF-8", r.Headers.Get("Content-Type"), reading[i])
		}
	}
	for _, path := range []string{"/../../etc/passwd", "/etc/passwd", "/api2/json/../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/pve2/../../etc/passwd"} {
		r := h.raw("GET", path, auth(h.root, false), "")
		require.NotContains(t, r.Body, line, path)
	}
}
