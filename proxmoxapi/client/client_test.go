package client_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/proxmoxapi/client"
)

func answer(w http.ResponseWriter, data any) { json.NewEncoder(w).Encode(map[string]any{"data": data}) }

func newServer(t *testing.T, mux *http.ServeMux) (*client.Client, *httptest.Server) {
	t.Helper()
	srv := httptest.NewTLSServer(mux)
	t.Cleanup(srv.Close)
	c, err := client.New(srv.URL, &client.Options{Fingerprint: client.Fingerprint(srv.Certificate())})
	require.NoError(t, err)
	return c, srv
}

func TestLoginThenTicketAndCSRF(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api2/json/access/ticket", func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "p&w=", r.PostFormValue("password"))
		answer(w, map[string]string{"username": r.PostFormValue("username"), "ticket": "PVE:a@pve:1::x+/=", "CSRFPreventionToken": "1:csrf"})
	})
	mux.HandleFunc("/api2/json/probe", func(w http.ResponseWriter, r *http.Request) {
		cookie, err := r.Cookie("PVEAuthCookie")
		require.NoError(t, err)
		answer(w, []string{cookie.Value, r.Header.Get("CSRFPreventionToken"), r.URL.RawQuery, r.PostFormValue("on")})
	})
	c, _ := newServer(t, mux)
	require.NoError(t, c.Login(t.Context(), "a@pve", "p&w="))

	var got []string
	require.NoError(t, c.Get(t.Context(), "/probe", client.Params{"x": 1, "gone": nil}, &got))
	require.Equal(t, []string{"PVE%3Aa%40pve%3A1%3A%3Ax%2B%2F%3D", "", "x=1", ""}, got)
	require.NoError(t, c.Post(t.Context(), "/probe", client.Params{"on": true}, &got))
	require.Equal(t, "1:csrf", got[1])
	require.Equal(t, "1", got[3])
	require.NoError(t, c.Delete(t.Context(), "/probe", client.Params{"purge": true}, &got))
	require.Equal(t, "purge=1", got[2])
}

func TestRefusalsCarryTheServersWords(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/api2/json/param", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(400)
		io.WriteString(w, `{"data":null,"errors":{"vmid":"bad\n"},"message":"Parameter verification failed.\n"}`)
	})
	mux.HandleFunc("/api2/json/empty", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) })
	c, _ := newServer(t, mux)

	var e *client.Error
	require.ErrorAs(t, c.Get(t.Context(), "/param", nil, nil), &e)
	require.Equal(t, "Parameter verification failed.", e.Message)
	require.EqualError(t, e, "GET /param: 400 Parameter verification failed.\n  vmid: bad")
	require.ErrorAs(t, c.Get(t.Context(), "/empty", nil, nil), &e)
	require.Equal(t, 401, e.Status)
	require.Equal(t, "Unauthorized", e.Message)
}

func TestPinnedFingerprint(t *testing.T) {
	_, srv := newServer(t, http.NewServeMux())
	c, err := client.New(srv.URL, &client.Options{Fingerprint: strings.Repeat("AB", 32)})
	require.NoError(t, err)
	var e *client.FingerprintError
	require.ErrorAs(t, c.Get(t.Context(), "/", nil, nil), &e)
	require.Equal(t, client.Fingerprint(srv.Certificate()), e.Got)

	c, err = client.New(srv.URL, nil)
	require.NoError(t, err)
	require.ErrorContains(t, c.Get(t.Context(), "/", nil, nil), "certificate")
	_, err = client.New(srv.URL, &client.Options{Fingerprint: "AB:CD"})
	require.ErrorContains(t, err, "SHA-256")
	_, err = client.New("localhost:8006", nil)
	require.ErrorContains(t, err, "https://HOST")
}

func TestWaitTaskReadsTheWholeLog(t *testing.T) {
	const upid = "UPID:n1:00000001:00000002:00000003:qmstart:100:root@pam:"
	for exit, failed := range map[string]bool{"OK": false, "WARNINGS: 1": false, "it broke": true} {
		var polls atomic.Int32
		mux := http.NewServeMux()
		mux.HandleFunc("/api2/json/nodes/n1/tasks/{upid}/status", func(w http.ResponseWriter, r *http.Request) {
			require.Equal(t, upid, r.PathValue("upid"))
			if polls.Add(1) < 3 {
				answer(w, map[string]string{"status": "running"})
				return
			}
			answer(w, map[string]string{"status": "stopped", "exitstatus": exit})
		})
		mux.HandleFunc("/api2/json/nodes/n1/tasks/{upid}/log", func(w http.ResponseWriter, r *http.Request) {
			var start int
			fmt.Sscan(r.URL.Query().Get("start"), &start)
			lines := []map[string]any{}
			if polls.Load() == 1 { // nothing is logged yet
				answer(w, []map[string]any{{"n": 1, "t": "no content"}})
				return
			}
			for n := start + 1; n <= int(polls.Load())*2; n++ {
				lines = append(lines, map[string]any{"n": n, "t": fmt.Sprint("line ", n)})
			}
			answer(w, lines)
		})
		c, _ := newServer(t, mux)
		var seen []int
		_, err := c.WaitTask(t.Context(), upid, func(l client.TaskLine) { seen = append(seen, l.N) })
		require.Equal(t, []int{1, 2, 3, 4, 5, 6}, seen)
		if failed {
			var e *client.TaskError
			require.ErrorAs(t, err, &e)
			require.Equal(t, exit, e.ExitStatus)
		} else {
			require.NoError(t, err)
		}
	}
	c, _ := newServer(t, http.NewServeMux())
	_, err := c.WaitTask(t.Context(), "UPID:../x", nil)
	require.ErrorContains(t, err, "no task id")
}

func TestUploadIsOneFormWithItsLength(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api2/json/nodes/n1/storage/local/upload", func(w http.ResponseWriter, r *http.Request) {
		require.Positive(t, r.ContentLength)
		require.Empty(t, r.TransferEncoding)
		form, err := r.MultipartReader()
		require.NoError(t, err)
		part, err := form.NextPart()
		require.NoError(t, err)
		require.Equal(t, "content", part.FormName())
		part, err = form.NextPart()
		require.NoError(t, err)
		require.Equal(t, "filename", part.FormName())
		require.Equal(t, `a".iso`, part.FileName())
		data, err := io.ReadAll(part)
		require.NoError(t, err)
		require.Equal(t, "12345", string(data))
		_, err = form.NextPart()
		require.ErrorIs(t, err, io.EOF)
		answer(w, "UPID:x")
	})
	c, _ := newServer(t, mux)
	upid, err := c.Upload(t.Context(), "n1", "local", "iso", `a".iso`, 5, strings.NewReader("12345"))
	require.NoError(t, err)
	require.Equal(t, "UPID:x", upid)
}

func TestConsoleFrames(t *testing.T) {
	require.Equal(t, "0:3:l\ns", string(client.ConsoleInput([]byte("l\ns"))))
	require.Equal(t, "1:80:24:", string(client.ConsoleResize(80, 24)))
}
