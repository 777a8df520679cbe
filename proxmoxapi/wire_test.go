package proxmoxapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/proxmoxapi"
	"github.com/turtacn/go-proxmox/proxmoxapi/apitest"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// pools answers the methods of /pools as a test wants it.
type pools struct {
	answer any
	err    error
	got    schema.PostPools
	caller call.Caller
	calls  int
}

func (p *pools) registry() *proxmoxapi.Registry {
	reg := proxmoxapi.NewRegistry()
	proxmoxapi.Handle(reg, func(ctx context.Context, req *schema.PostPools) (any, error) {
		p.calls++
		p.got, p.caller = *req, call.From(ctx)
		return p.answer, p.err
	})
	proxmoxapi.Handle(reg, func(context.Context, *schema.GetVersion) (any, error) {
		p.calls++
		return p.answer, p.err
	})
	proxmoxapi.Handle(reg, func(context.Context, *schema.PostAccessTicket) (any, error) {
		return nil, call.Status(http.StatusUnauthorized, "authentication failure")
	})
	return reg
}

func (p *pools) start(t *testing.T, opts *proxmoxapi.Options) *apitest.Server {
	return apitest.Start(t, proxmoxapi.New(p.registry(), &apitest.Auth{}, opts))
}

// version sends a request for the answer of p.
func (p *pools) version(t *testing.T, headers ...string) apitest.Reply {
	t.Helper()
	return p.start(t, nil).Do("GET", "/api2/json/version", apitest.Root, headers)
}

func TestSuccessOnTheWire(t *testing.T) {
	p := &pools{answer: map[string]string{"version": "9.2.1", "html": "<&>/é"}}
	reply := p.version(t)
	require.Equal(t, "HTTP/1.1 200 OK", reply.Line)
	require.Equal(t, `{"data":{"html":"<&>/é","version":"9.2.1"}}`, reply.Body)
	require.False(t, reply.Closed)
	date := reply.Header.Get("Date")
	require.NotEmpty(t, date)
	require.Equal(t, http.Header{
		"Date": {date}, "Expires": {date}, "Server": {"pve-api-daemon/3.0"}, "Connection": {"Keep-Alive"},
		"Cache-Control": {"max-age=0"}, "Pragma": {"no-cache"},
		"Content-Length": {fmt.Sprint(len(reply.Body))}, "Content-Type": {"application/json;charset=UTF-8"},
	}, reply.Header)
}

func TestErrorOnTheWire(t *testing.T) {
	p := &pools{err: call.Errorf("VM 100 already running")}
	reply := p.version(t)
	require.Equal(t, "HTTP/1.1 500 VM 100 already running", reply.Line)
	require.JSONEq(t, `{"data":null,"message":"VM 100 already running\n"}`, reply.Body)
	require.True(t, reply.Closed)
	date := reply.Header.Get("Date")
	require.Equal(t, http.Header{
		"Date": {date}, "Expires": {date}, "Server": {"pve-api-daemon/3.0"}, "Connection": {"close"},
		"Cache-Control": {"max-age=0"}, "Pragma": {"no-cache"},
		"Content-Length": {fmt.Sprint(len(reply.Body))}, "Content-Type": {"application/json;charset=UTF-8"},
	}, reply.Header)
}

func TestErrorsOfFunctions(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		line string
		body string
	}{
		"parameters": {call.Param("vmid", "VM 7 already exists"), "400 Parameter verification failed.",
			`{"data":null,"errors":{"vmid":"VM 7 already exists"},"message":"Parameter verification failed.\n"}`},
		"permission":  {call.Forbidden("/vms/7, VM.Audit"), "403 Permission check failed (/vms/7, VM.Audit)", `{"data":null,"message":"Permission check failed (/vms/7, VM.Audit)\n"}`},
		"wrapped":     {fmt.Errorf("volume: %w", call.Errorf("no such volume")), "500 no such volume", `{"data":null,"message":"no such volume\n"}`},
		"many lines":  {call.Errorf("first\nsecond"), "500 first", `{"data":null,"message":"first\nsecond\n"}`},
		"header":      {call.Errorf("a\rSet-Cookie: x\x1b[2J"), "500 a Set-Cookie: x [2J", `{"data":null,"message":"a\rSet-Cookie: x\u001b[2J\n"}`},
		"empty":       {call.Errorf(""), "500 Internal Server Error", `{"data":null,"message":"\n"}`},
		"long":        {call.Errorf("%s", strings.Repeat("é", 400)), "500 " + strings.Repeat("é", 256), `{"data":null,"message":"` + strings.Repeat("é", 400) + `\n"}`},
		"no status":   {&call.Error{Status: 7, Text: "odd"}, "500 odd", `{"data":null,"message":"odd\n"}`},
		"timeout":     {fmt.Errorf("wait: %w", context.DeadlineExceeded), "500 got timeout", `{"data":null,"message":"got timeout\n"}`},
		"other state": {call.Status(501, "not here"), "501 not here", `{"data":null,"message":"not here\n"}`},
	} {
		t.Run(name, func(t *testing.T) {
			reply := (&pools{err: c.err}).version(t)
			require.Equal(t, "HTTP/1.1 "+c.line, reply.Line)
			require.JSONEq(t, c.body, reply.Body)
		})
	}
}

func TestInternalErrorsAreHidden(t *testing.T) {
	var log strings.Builder
	opts := &proxmoxapi.Options{ErrorID: func() string { return "abc" }, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	p := &pools{err: &fs.PathError{Op: "open", Path: "/etc/secret", Err: fs.ErrPermission}}
	reply := p.start(t, opts).Do("GET", "/api2/json/version", apitest.Root)
	require.Equal(t, "HTTP/1.1 500 internal error (id abc)", reply.Line)
	require.NotContains(t, reply.Body, "secret")
	require.Contains(t, log.String(), "id=abc")
	require.Contains(t, log.String(), "/etc/secret")
	require.Contains(t, log.String(), "caller=root@pam")
}

func TestPanicIsAnInternalError(t *testing.T) {
	reg := proxmoxapi.NewRegistry()
	proxmoxapi.Handle(reg, func(context.Context, *schema.GetVersion) (any, error) { panic("broken") })
	srv := apitest.Start(t, proxmoxapi.New(reg, &apitest.Auth{}, &proxmoxapi.Options{ErrorID: func() string { return "p" }}))
	for range 2 { // the server lives on
		require.Equal(t, "HTTP/1.1 500 internal error (id p)", srv.Do("GET", "/api2/json/version", apitest.Root).Line)
	}
}

func TestAnswers(t *testing.T) {
	var enc call.Encoder
	encoded, err := enc.Encode([]int{1, 2})
	require.NoError(t, err)
	for name, c := range map[string]struct {
		answer any
		body   string
	}{
		"nothing":       {nil, `{"data":null}`},
		"nil slice":     {[]string(nil), `{"data":[]}`},
		"list":          {call.List{Rows: []int{1}, Total: 7}, `{"data":[1],"total":7}`},
		"empty list":    {&call.List{}, `{"data":[]}`},
		"nil list":      {call.List{Rows: []int(nil)}, `{"data":[]}`},
		"changes":       {call.Changes{Rows: []int{1}, Changes: "--- a\n"}, `{"data":[1],"changes":"--- a\n"}`},
		"no changes":    {&call.Changes{Rows: []int{}}, `{"data":[]}`},
		"encoded":       {encoded, `{"data":[1,2]}`},
		"encoded value": {*encoded, `{"data":[1,2]}`},
		"inside":        {call.List{Rows: encoded, Total: 2}, `{"data":[1,2],"total":2}`},
		"raw":           {json.RawMessage(`{"a":true}`), `{"data":{"a":true}}`},
		"bool":          {map[string]any{"a": schema.Bool(true), "b": schema.Bool(false)}, `{"data":{"a":1,"b":0}}`},
		"large":         {map[string]any{"f": 1e9, "i": int64(1) << 40}, `{"data":{"f":1000000000,"i":1099511627776}}`},
		"file members":  {map[string]any{"download": "/etc/shadow", "filename": "x"}, `{"data":{"download":"/etc/shadow","filename":"x"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.body, (&pools{answer: c.answer}).version(t).Body)
		})
	}
}

func TestAnswerThatCannotBePrinted(t *testing.T) {
	reply := (&pools{answer: make(chan int)}).version(t)
	require.Equal(t, 500, reply.Status)
	require.Contains(t, reply.Reason, "internal error (id ")
}

func TestExtJS(t *testing.T) {
	p := &pools{answer: call.List{Rows: []int{1}, Total: 3}}
	srv := p.start(t, nil)
	reply := srv.Do("GET", "/api2/extjs/version", apitest.Root)
	require.JSONEq(t, `{"data":[1],"success":1,"total":3}`, reply.Body)

	p.err = call.Forbidden("/, Sys.Audit")
	reply = srv.Do("GET", "/api2/extjs/version", apitest.Root)
	require.Equal(t, "HTTP/1.1 200 OK", reply.Line)
	require.JSONEq(t, `{"data":null,"success":0,"status":403,"message":"Permission check failed (/, Sys.Audit)\n"}`, reply.Body)

	p.err = call.ParamErrors{"a": "b"}
	reply = srv.Do("GET", "/api2/extjs/version", apitest.Root)
	require.JSONEq(t, `{"data":null,"success":0,"status":400,"errors":{"a":"b"},"message":"Parameter verification failed.\n"}`, reply.Body)

	reply = srv.Do("GET", "/api2/extjs/nowhere", apitest.Root)
	require.JSONEq(t, `{"data":null,"success":0,"status":501,"message":"Method 'GET /nowhere' not implemented"}`, reply.Body)

	require.Equal(t, "HTTP/1.1 401 No ticket", srv.Do("GET", "/api2/extjs/version").Line, "a failure before the function stays an HTTP error")
}

func TestHTMLJS(t *testing.T) {
	reply := (&pools{answer: "<b>"}).start(t, nil).Do("GET", "/api2/htmljs/version", apitest.Root)
	require.Equal(t, "text/html;charset=UTF-8", reply.Header.Get("Content-Type"))
	require.Equal(t, "{&#34;data&#34;:&#34;&lt;b&gt;&#34;,&#34;success&#34;:1}", reply.Body)
}

func TestSpiceConfig(t *testing.T) {
	p := &pools{answer: map[string]any{"type": "spice", "tls-port": 61000, "ca": "-----\nA=\n", "x": "1\nproxy=evil"}}
	srv := p.start(t, nil)
	reply := srv.Do("GET", "/api2/spiceconfig/version", apitest.Root)
	require.Equal(t, "[virt-viewer]\nca=-----\\nA=\\n\ntls-port=61000\ntype=spice\nx=1\\nproxy=evil\n", reply.Body)
	p.err = call.Errorf("VM 7 not running")
	require.Equal(t, "HTTP/1.1 500 VM 7 not running", srv.Do("GET", "/api2/spiceconfig/version", apitest.Root).Line)
}

func TestLoginFailureHasABody(t *testing.T) {
	reply := (&pools{}).start(t, nil).Send("POST", "/api2/json/access/ticket", "username=root&password=x")
	require.Equal(t, "HTTP/1.1 401 authentication failure", reply.Line)
	require.JSONEq(t, `{"data":null,"message":"authentication failure\n"}`, reply.Body)
}

func TestRegistration(t *testing.T) {
	reg := (&pools{}).registry()
	require.True(t, reg.Handles(schema.Find("GET", "/version")))
	require.False(t, reg.Handles(schema.Find("GET", "/pools")))
	require.Panics(t, func() {
		proxmoxapi.Handle(reg, func(context.Context, *schema.GetVersion) (any, error) { return nil, nil })
	}, "twice")
	require.Panics(t, func() {
		proxmoxapi.Handle(reg, func(context.Context, *foreign) (any, error) { return nil, nil })
	}, "not in the schema")
}

// foreign claims a method that the schema does not have.
type foreign struct{}

func (foreign) Endpoint() *schema.Endpoint { return &schema.Endpoint{Method: "GET", Path: "/backdoor"} }

func TestCheckFindsBools(t *testing.T) {
	type inner struct{ On bool }
	reg := proxmoxapi.NewRegistry()
	proxmoxapi.Handle(reg, func(context.Context, *schema.GetVersion) ([]*inner, error) { return nil, nil })
	require.ErrorContains(t, reg.Check(), "GET /version: member On")

	type fine struct {
		On   schema.Bool
		Raw  json.RawMessage
		Any  any
		Next *fine
	}
	reg = proxmoxapi.NewRegistry()
	proxmoxapi.Handle(reg, func(context.Context, *schema.GetVersion) (*fine, error) { return nil, errors.ErrUnsupported })
	require.NoError(t, reg.Check())
}
