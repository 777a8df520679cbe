package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/proxmoxapi/client"
)

// run executes one command line and returns what it printed.
func run(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	var out, errw bytes.Buffer
	cmd := newRoot(strings.NewReader(stdin), &out, &errw)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func answer(data any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(map[string]any{"data": data}) }
}

const upid = "UPID:alpha:00000001:00000002:00000003:qmstart:100:root@pam:"

func server(t *testing.T) (profile string) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api2/json/access/ticket", func(w http.ResponseWriter, r *http.Request) {
		if r.PostFormValue("password") != "secret" {
			w.WriteHeader(401)
			return
		}
		answer(map[string]string{"username": "root@pam", "ticket": "PVE:t", "CSRFPreventionToken": "c"})(w, r)
	})
	mux.HandleFunc("GET /api2/json/cluster/resources", answer([]row{{"vmid": 100, "name": "web\x1b[31m", "status": "running", "maxmem": 1610612736}}))
	mux.HandleFunc("GET /api2/json/cluster/nextid", answer("101"))
	mux.HandleFunc("POST /api2/json/nodes/localhost/qemu", func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "101", r.PostFormValue("vmid"))
		require.Equal(t, "order=scsi0", r.PostFormValue("boot"))
		answer(upid)(w, r)
	})
	mux.HandleFunc("POST /api2/json/nodes/beta/qemu", func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "205", r.PostFormValue("vmid"))
		answer(upid)(w, r)
	})
	mux.HandleFunc("POST /api2/json/nodes/localhost/qemu/100/status/start", answer(upid))
	mux.HandleFunc("GET /api2/json/nodes/alpha/tasks/{upid}/status", answer(row{"status": "stopped", "exitstatus": "no bridge"}))
	mux.HandleFunc("GET /api2/json/nodes/alpha/tasks/{upid}/log", answer([]row{{"n": 1, "t": "TASK ERROR: no bridge"}}))
	srv := httptest.NewTLSServer(mux)
	t.Cleanup(srv.Close)
	profile = filepath.Join(t.TempDir(), "profile")
	_, err := run(t, "secret\n", "--profile", profile, "login", srv.URL, "--password-file", "-", "--fingerprint", client.Fingerprint(srv.Certificate()))
	require.NoError(t, err)
	return profile
}

func TestLoginIsKeptPrivately(t *testing.T) {
	profile := server(t)
	st, err := os.Stat(filepath.Join(profile, "login.json"))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), st.Mode().Perm())

	_, err = run(t, "", "--profile", profile, "logout")
	require.NoError(t, err)
	_, err = run(t, "", "--profile", profile, "vm", "list")
	require.ErrorContains(t, err, "no login yet")
}

func TestUnknownCertificateNeedsAWord(t *testing.T) {
	srv := httptest.NewTLSServer(http.NotFoundHandler())
	defer srv.Close()
	_, err := run(t, "secret", "--profile", t.TempDir(), "login", srv.URL, "--password-file", "-")
	require.ErrorContains(t, err, "--fingerprint")
}

func TestListForms(t *testing.T) {
	profile := server(t)
	out, err := run(t, "", "--profile", profile, "vm", "list")
	require.NoError(t, err)
	require.Contains(t, out, "1.5 GiB")
	require.NotContains(t, out, "\x1b", "a guest's name must not steer the terminal")
	out, err = run(t, "", "--profile", profile, "vm", "list", "-o", "json")
	require.NoError(t, err)
	var rows []row
	require.NoError(t, json.Unmarshal([]byte(out), &rows))
	require.EqualValues(t, 100, rows[0]["vmid"])
	out, err = run(t, "", "--profile", profile, "vm", "list", "-o", "yaml")
	require.NoError(t, err)
	require.Contains(t, out, "status: running")
	require.Contains(t, out, "maxmem: 1610612736", "no exponent, which other programs take for a float")
	_, err = run(t, "", "--profile", profile, "vm", "list", "-o", "xml")
	require.ErrorContains(t, err, "table, json, yaml")
}

func TestTasksAreFollowed(t *testing.T) {
	profile := server(t)
	_, err := run(t, "", "--profile", profile, "vm", "start", "100")
	require.EqualError(t, err, "no bridge")
	out, err := run(t, "", "--profile", profile, "vm", "start", "100", "--background")
	require.NoError(t, err)
	require.Equal(t, upid+"\n", out)
	out, err = run(t, "", "--profile", profile, "vm", "create", "--background", "boot=order=scsi0")
	require.NoError(t, err)
	require.Equal(t, upid+"\n101\n", out)
	for _, own := range [][]string{{"vmid=205"}, {"--id", "205"}} {
		out, err = run(t, "", append([]string{"--profile", profile, "--node", "beta", "vm", "create", "--background"}, own...)...)
		require.NoError(t, err)
		require.Equal(t, upid+"\n205\n", out)
	}
	out, err = run(t, "", "--profile", profile, "task", "log", upid)
	require.NoError(t, err)
	require.Equal(t, "TASK ERROR: no bridge\n", out)
}

func TestBadArguments(t *testing.T) {
	profile := server(t)
	for want, args := range map[string][]string{
		"is no VM id":      {"vm", "start", "../1"},
		"OPTION=VALUE":     {"vm", "create", "memory"},
		"given twice":      {"vm", "create", "--id", "205", "vmid=205"},
		"no task id":       {"task", "wait", "UPID:x"},
		"needs a terminal": {"vm", "console", "100"},
		"unknown command":  {"vm", "nosuch"},
	} {
		_, err := run(t, "", append([]string{"--profile", profile}, args...)...)
		require.ErrorContains(t, err, want)
	}
}

func TestTexts(t *testing.T) {
	require.Equal(t, "https://[::1]:8006", serverURL("::1"))
	require.Equal(t, "https://pve:8006", serverURL("pve"))
	require.Equal(t, "https://pve:443", serverURL("pve:443"))
	require.Equal(t, "1000000", cell(float64(1e6)))
	p, ok := percent("transferred 1.0 GiB of 4.0 GiB (25.00%)")
	require.True(t, ok)
	require.Equal(t, 25.0, p)
	_, ok = percent("100% sure")
	require.False(t, ok)
	require.Equal(t, "iso", contentOf("a.ISO"))
	require.Equal(t, "import", contentOf("a.qcow2"))
	require.Equal(t, "vztmpl", contentOf("a.tar.zst"))
}

func TestProgressIsABarOnATerminal(t *testing.T) {
	lines := []string{"scsi0: copying", "transferred 1.0 GiB of 4.0 GiB (25.00%)", "transferred 4.0 GiB of 4.0 GiB (100.00%)", "odd\x1b]0;title\a", "TASK OK"}
	show := func(tty bool) string {
		var out bytes.Buffer
		p := &progress{w: &out, tty: tty}
		for _, l := range lines {
			p.line(l)
		}
		p.done()
		return out.String()
	}
	bar := show(true)
	require.Contains(t, bar, "\r["+strings.Repeat("#", 7)+strings.Repeat(".", 23)+"]  25.0%\x1b[K")
	require.Contains(t, bar, "100.0%\x1b[K\nodd", "the next line begins below the bar")
	require.NotContains(t, bar, "transferred")
	require.NotContains(t, bar, "\x1b]", "a log must not steer the terminal")
	require.Equal(t, strings.ReplaceAll(strings.ReplaceAll(strings.Join(lines, "\n")+"\n", "\x1b", "?"), "\a", "?"), show(false))
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		out, err := run(t, "", "completion", shell)
		require.NoError(t, err)
		require.Contains(t, out, "gpvectl")
	}
	out, err := run(t, "", "__complete", "vm", "list", "--output", "")
	require.NoError(t, err)
	require.Equal(t, "table\njson\nyaml\n:4\n", out)
	out, err = run(t, "", "__complete", "vm", "st")
	require.NoError(t, err)
	require.Contains(t, out, "start\t")
	require.Contains(t, out, "stop\t")
}

// A login is replaced as a whole, whatever was there and whatever the umask is.
func TestLoginReplacesAnOpenFile(t *testing.T) {
	profile := server(t)
	file := filepath.Join(profile, "login.json")
	require.NoError(t, os.Chmod(file, 0o666))
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var old struct{ Server, Fingerprint string }
	require.NoError(t, json.Unmarshal(text, &old))
	_, err = run(t, "secret", "--profile", profile, "login", old.Server, "--password-file", "-", "--fingerprint", old.Fingerprint)
	require.NoError(t, err)
	st, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), st.Mode().Perm())
	_, err = run(t, "wrong", "--profile", profile, "login", old.Server, "--password-file", "-", "--fingerprint", old.Fingerprint)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "wrong")
	_, err = run(t, "", "--profile", profile, "vm", "list")
	require.NoError(t, err, "a login that fails leaves the old one")
}
