package daemon

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/proxmoxapi/client"
)

const (
	testNode     = "alpha"
	rootPassword = "canary-root-Q7x"
)

// house is a running daemon in this process, with root's session.
type house struct {
	t    testing.TB
	dir  string // holds data, and the daemon's log
	addr string
	d    *Daemon
	root *client.Client
	http *http.Client // trusts the daemon; every request has a connection of its own, which a refusal closes anyway

	stopped bool
	cancel  context.CancelFunc
	done    chan error
}

// newDataDir makes a data directory that guests can reach.
func newDataDir(t testing.TB) string {
	t.Helper()
	need.That(t, "linux", runtime.GOOS == "linux", "network namespaces and processes of Linux")
	need.Tool(t, "qemu-system-x86_64", "qemu-img")
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o711))
	require.NoError(t, os.Chmod(dir, 0o711))
	_, err := Init(t.Context(), InitOptions{DataDir: filepath.Join(dir, "data"), Node: testNode, Password: rootPassword})
	require.NoError(t, err)
	return dir
}

// testConfig is the configuration of a daemon that answers on a free port and logs to a file beside its data.
func testConfig(t testing.TB, dir string) *Config {
	t.Helper()
	data := filepath.Join(dir, "data")
	cfg, err := LoadConfig(filepath.Join(data, ConfigFile), data)
	require.NoError(t, err)
	require.NoError(t, cfg.SetListen("127.0.0.1:0"))
	require.NoError(t, cfg.SetAccel("tcg"))
	cfg.Logging.Output = filepath.Join(dir, "gpved.log")
	cfg.Logging.Level = "debug"
	return cfg
}

// newHouse makes a data directory and runs a daemon on it until the test ends.
func newHouse(t testing.TB) *house {
	t.Helper()
	return openHouse(t, newDataDir(t))
}

// openHouse runs a daemon on a data directory.
func openHouse(t testing.TB, dir string) *house {
	t.Helper()
	cfg := testConfig(t, dir)
	d, err := New(context.Background(), cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	h := &house{t: t, dir: dir, d: d, cancel: cancel, done: make(chan error, 1)}
	ready := make(chan net.Addr, 1)
	go func() { h.done <- d.Run(ctx, func(a net.Addr) { ready <- a }) }()
	t.Cleanup(func() { require.NoError(t, h.stop()) })
	select {
	case a := <-ready:
		h.addr = a.String()
	case err := <-h.done:
		h.stopped = true
		require.NoError(t, err, "the daemon ended before it was ready")
	case <-time.After(30 * time.Second):
		require.Fail(t, "the daemon is not ready")
	}
	print, err := fingerprint(filepath.Join(dir, "data", "pki", "server.crt"))
	require.NoError(t, err)
	h.root = h.newClient(print)
	h.http = &http.Client{Transport: &http.Transport{TLSClientConfig: insecure(), DisableKeepAlives: true, DisableCompression: true}, Timeout: 30 * time.Second}
	require.NoError(t, h.root.Login(t.Context(), "root@pam", rootPassword))
	return h
}

// insecure trusts every server; a pinning client has checked the certificate before.
func insecure() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }

func (h *house) newClient(print string) *client.Client {
	c, err := client.New("https://"+h.addr, &client.Options{Fingerprint: print})
	require.NoError(h.t, err)
	return c
}

// stop ends the daemon as SIGTERM does.
func (h *house) stop() error {
	if h.stopped {
		return nil
	}
	h.stopped = true
	h.cancel()
	select {
	case err := <-h.done:
		return err
	case <-time.After(30 * time.Second):
		return fmt.Errorf("the daemon did not stop")
	}
}

func (h *house) data(parts ...string) string {
	return filepath.Join(append([]string{h.dir, "data"}, parts...)...)
}

// as returns a client with a token that has everything of a new user, who gets the roles: path, role, path, role…
func (h *house) as(user string, grants ...string) *client.Client {
	h.t.Helper()
	ctx := h.t.Context()
	require.NoError(h.t, h.root.Post(ctx, "/access/users", client.Params{"userid": user}, nil))
	for i := 0; i+1 < len(grants); i += 2 {
		require.NoError(h.t, h.root.Put(ctx, "/access/acl", client.Params{"path": grants[i], "roles": grants[i+1], "users": user}, nil))
	}
	return h.withToken(user, "all", false)
}

// withToken returns a client with a new token of a user.
func (h *house) withToken(user, id string, privsep bool) *client.Client {
	h.t.Helper()
	var tok struct {
		ID    string `json:"full-tokenid"`
		Value string `json:"value"`
	}
	require.NoError(h.t, h.root.Post(h.t.Context(), "/access/users/"+user+"/token/"+id, client.Params{"privsep": privsep}, &tok))
	c, err := client.New("https://"+h.addr, &client.Options{Transport: h.http.Transport})
	require.NoError(h.t, err)
	c.SetCredentials(client.Credentials{User: user, Token: tok.ID + "=" + tok.Value})
	return c
}

// task calls a method that starts a task and waits for its end.
func (h *house) task(c *client.Client, method, path string, p client.Params) error {
	h.t.Helper()
	var upid string
	if err := c.Do(h.t.Context(), method, path, p, &upid); err != nil {
		return err
	}
	_, err := h.root.WaitTask(h.t.Context(), upid, nil)
	return err
}

// vm creates a VM.
func (h *house) vm(c *client.Client, p client.Params) {
	h.t.Helper()
	require.NoError(h.t, h.task(c, "POST", "/nodes/"+testNode+"/qemu", p))
}

// stopGuests ends what the daemon left running: the processes that hold the lock of a guest's run folder.
func (h *house) stopGuests() {
	locks, err := filepath.Glob("/proc/[0-9]*/fd/3")
	require.NoError(h.t, err)
	for _, fd := range locks {
		target, err := os.Readlink(fd)
		if err != nil || !strings.HasPrefix(target, h.data("run")+"/") {
			continue
		}
		pid, err := strconv.Atoi(strings.Split(fd, "/")[2])
		require.NoError(h.t, err)
		if p, err := os.FindProcess(pid); err == nil && pid != os.Getpid() {
			p.Kill()
		}
	}
}

// logged waits until the logins of users are kept in the store, which happens some time after them: what is written from then on
// is somebody else's doing.
func (h *house) logged(users ...string) {
	h.t.Helper()
	require.Eventually(h.t, func() bool {
		kv, err := h.d.store.Get(h.t.Context(), "/log/"+testNode)
		for _, user := range users {
			if err != nil || !strings.Contains(string(kv.Value), "successful auth for user '"+user+"'") {
				return false
			}
		}
		return err == nil
	}, 20*time.Second, 10*time.Millisecond)
}

// reply is an answer as it came over the wire.
type reply struct {
	Status  int
	Reason  string
	Headers http.Header
	Body    string
}

// raw sends a request as it is; path begins behind the host.
func (h *house) raw(method, path string, header http.Header, body string) reply {
	h.t.Helper()
	req := &http.Request{Method: method, URL: &url.URL{Scheme: "https", Host: h.addr, Opaque: "//" + h.addr + path}, Header: header, Host: h.addr}
	if req.Header == nil {
		req.Header = http.Header{}
	}
	if body != "" {
		req.Body, req.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	}
	resp, err := h.http.Do(req.WithContext(h.t.Context()))
	require.NoError(h.t, err, "%s %s", method, path)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(h.t, err)
	_, reason, _ := strings.Cut(resp.Status, " ")
	return reply{resp.StatusCode, reason, resp.Header, string(text)}
}

// dial opens a connection for what an HTTP client would not send.
func (h *house) dial() net.Conn {
	h.t.Helper()
	conn, err := tls.Dial("tcp", h.addr, insecure())
	require.NoError(h.t, err)
	require.NoError(h.t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	return conn
}

// auth are the headers that prove a client's identity; csrf adds what writing needs.
func auth(c *client.Client, csrf bool) http.Header {
	cred, h := c.Credentials(), http.Header{}
	if cred.Token != "" {
		h.Set("Authorization", "PVEAPIToken="+cred.Token)
		return h
	}
	h.Set("Cookie", "PVEAuthCookie="+url.QueryEscape(cred.Ticket))
	if csrf {
		h.Set("CSRFPreventionToken", cred.CSRF)
	}
	return h
}

// attempt calls a method and follows the task that it may start: nil only if all of it worked.
func (h *house) attempt(c *client.Client, method, path string, p client.Params) error {
	h.t.Helper()
	var answer any
	if err := c.Do(h.t.Context(), method, path, p, &answer); err != nil {
		return err
	}
	upid, ok := answer.(string)
	if !ok || !strings.HasPrefix(upid, "UPID:") {
		return nil
	}
	_, err := h.root.WaitTask(h.t.Context(), upid, nil)
	return err
}

// refused requires a refusal with the status whose text contains words.
func refused(t testing.TB, err error, status int, words string) {
	t.Helper()
	var e *client.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, status, e.Status, e)
	require.Contains(t, e.Error(), words)
}

// compact writes a value as JSON, for comparing answers.
func compact(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return string(text)
}
