package proxmoxapi_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/proxmoxapi"
	"github.com/turtacn/go-proxmox/proxmoxapi/apitest"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

const logURI = "/api2/json/nodes/localhost/tasks/UPID:localhost:00000001:00000002:60000000:qmstart:100:root@pam:/log?download=1"

// file is a body that notes whether it was closed.
type file struct {
	io.Reader
	closed bool
}

func (f *file) Close() error {
	f.closed = true
	return nil
}

func download(t *testing.T, d *call.Download, headers ...string) apitest.Reply {
	t.Helper()
	reg := proxmoxapi.NewRegistry()
	proxmoxapi.Handle(reg, func(context.Context, *schema.GetNodesTasksLog) (*call.Download, error) { return d, nil })
	return apitest.Start(t, proxmoxapi.New(reg, &apitest.Auth{}, nil)).Do("GET", logURI, apitest.Token, headers)
}

func TestDownload(t *testing.T) {
	for _, size := range []int{0, 5, call.CompressAbove, call.CompressAbove + 1, 300000} {
		content := strings.Repeat("x", size)
		f := &file{Reader: strings.NewReader(content)}
		reply := download(t, &call.Download{Name: "task-a.log", ContentType: "text/plain", Body: f})
		require.Equal(t, 200, reply.Status)
		require.Equal(t, content, reply.Body)
		require.True(t, f.closed)
		require.Equal(t, "text/plain", reply.Header.Get("Content-Type"))
		require.Equal(t, `attachment; filename="task-a.log"`, reply.Header.Get("Content-Disposition"))
		if size <= call.CompressAbove {
			require.Equal(t, strconv.Itoa(size), reply.Header.Get("Content-Length"))
		}

		reply = download(t, &call.Download{Name: "x", Body: &file{Reader: strings.NewReader(content)}}, "Accept-Encoding: gzip")
		require.Equal(t, "application/octet-stream", reply.Header.Get("Content-Type"))
		require.Equal(t, size > call.CompressAbove, reply.Header.Get("Content-Encoding") == "gzip")
		if size > call.CompressAbove {
			require.Equal(t, content, gunzip(t, reply.Body))
		}
	}
}

func gunzip(t *testing.T, packed string) string {
	t.Helper()
	r, err := gzip.NewReader(strings.NewReader(packed))
	require.NoError(t, err)
	plain, err := io.ReadAll(r)
	require.NoError(t, err)
	return string(plain)
}

func TestDownloadNames(t *testing.T) {
	for name, want := range map[string]string{"../../etc/passwd": "passwd", `a"b`: "a_b", "a\r\nX: y": "a__X: y", "": "download", "..": "download", `c:\x`: "x", "é": "_"} {
		reply := download(t, &call.Download{Name: name, Body: &file{Reader: strings.NewReader("")}})
		require.Equal(t, `attachment; filename="`+want+`"`, reply.Header.Get("Content-Disposition"))
	}
}

func TestDownloadFails(t *testing.T) {
	broken := io.MultiReader(strings.NewReader("begin"), errorReader{})
	require.Contains(t, download(t, &call.Download{Body: &file{Reader: broken}}).Line, "500 internal error (id ")
	require.Contains(t, download(t, nil).Line, "500 internal error (id ")
}

type errorReader struct{}

func (errorReader) Read([]byte) (int, error) { return 0, errors.New("disk") }

func TestThreat47_OnlyMethodsOfTheSchemaDownload(t *testing.T) {
	p := &pools{answer: call.Download{Name: "x", Body: &file{Reader: strings.NewReader("secret")}}}
	reply := p.version(t)
	require.Contains(t, reply.Line, "500 internal error (id ")
	require.NotContains(t, reply.Body, "secret")
	p.answer = map[string]any{"download": map[string]any{"path": "/etc/passwd", "stream": 1}, "filename": "/etc/passwd"}
	require.JSONEq(t, `{"data":{"download":{"path":"/etc/passwd","stream":1},"filename":"/etc/passwd"}}`, p.version(t).Body)
}

func TestCompression(t *testing.T) {
	long := strings.Repeat("abc ", 1000)
	var enc call.Encoder
	encoded, err := enc.Encode(long)
	require.NoError(t, err)
	want := `{"data":"` + long + `"}`
	for name, answer := range map[string]any{"plain": long, "encoded": encoded} {
		p := &pools{answer: answer}
		srv := p.start(t, nil)
		for accept, packed := range map[string]bool{
			"": false, "identity": false, "gzip": true, "deflate, GZIP;q=0.5, br": true, "gzip;q=0": false, "gzip; q=0.000": false, "xgzip": false,
		} {
			reply := srv.Do("GET", "/api2/json/version", apitest.Root, []string{"Accept-Encoding: " + accept})
			require.Equal(t, packed, reply.Header.Get("Content-Encoding") == "gzip", "%s %q", name, accept)
			body := reply.Body
			require.Equal(t, strconv.Itoa(len(body)), reply.Header.Get("Content-Length"))
			if packed {
				body = gunzip(t, body)
			}
			require.Equal(t, want, body)
		}
		reply := srv.Do("GET", "/api2/extjs/version", apitest.Root, []string{"Accept-Encoding: gzip"})
		require.JSONEq(t, `{"data":"`+long+`","success":1}`, gunzip(t, reply.Body))
	}
	reply := (&pools{answer: "short"}).version(t, "Accept-Encoding: gzip")
	require.Equal(t, `{"data":"short"}`, reply.Body)
}

// BenchmarkRequest measures a trivial function over one connection: what the front itself costs.
func BenchmarkRequest(b *testing.B) {
	rows := make([]map[string]any, 50)
	for i := range rows {
		rows[i] = map[string]any{"vmid": i, "name": "guest", "status": "running", "mem": 1 << 30}
	}
	var enc call.Encoder
	encoded, err := enc.Encode(rows)
	require.NoError(b, err)
	for name, c := range map[string]struct {
		answer any
		accept string
	}{
		"small":        {map[string]string{"version": "9.2"}, "gzip"},
		"list":         {rows, "identity"},
		"list gzip":    {rows, "gzip"},
		"encoded gzip": {encoded, "gzip"},
	} {
		reg := proxmoxapi.NewRegistry()
		proxmoxapi.Handle(reg, func(context.Context, *schema.GetVersion) (any, error) { return c.answer, nil })
		h := proxmoxapi.New(reg, &apitest.Auth{}, nil)
		b.Run("handler/"+name, func(b *testing.B) {
			b.ReportAllocs()
			r, err := http.NewRequest("GET", "/api2/json/version", nil)
			require.NoError(b, err)
			r.Header.Set("Cookie", "PVEAuthCookie=ticket:root@pam")
			r.Header.Set("Accept-Encoding", c.accept)
			for b.Loop() {
				h.ServeHTTP(&discard{header: http.Header{}}, r)
			}
		})
		b.Run("wire/"+name, func(b *testing.B) {
			srv := apitest.StartTLS(b, h)
			client := &http.Client{Transport: &http.Transport{TLSClientConfig: insecure(), DisableCompression: true}}
			defer client.CloseIdleConnections()
			b.ReportAllocs()
			for b.Loop() {
				r, err := http.NewRequest("GET", "https://"+srv.Addr+"/api2/json/version", nil)
				require.NoError(b, err)
				r.Header.Set("Cookie", "PVEAuthCookie=ticket:root@pam")
				r.Header.Set("Accept-Encoding", c.accept)
				reply, err := client.Do(r)
				require.NoError(b, err)
				_, err = io.Copy(io.Discard, reply.Body)
				require.NoError(b, err)
				reply.Body.Close()
			}
		})
	}
}

type discard struct {
	header http.Header
	bytes.Buffer
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
