package proxmoxapi_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/proxmoxapi"
	"github.com/turtacn/go-proxmox/proxmoxapi/apitest"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

const jsonBody = "Content-Type: application/json"

func TestParametersFromEverywhere(t *testing.T) {
	p := &pools{}
	srv := p.start(t, nil)
	for name, c := range map[string]struct {
		query, body string
		header      []string
	}{
		"form":                {"", "poolid=a&comment=x+y%21", nil},
		"form with type":      {"", "poolid=a&comment=x+y%21", []string{"Content-Type: application/x-www-form-urlencoded; charset=utf-8"}},
		"semicolon":           {"", "poolid=a;comment=x%20y!", nil},
		"JSON":                {"", `{"poolid":"a","comment":"x y!","nothing":null}`, []string{jsonBody}},
		"query":               {"?poolid=a&comment=x%20y!", "", nil},
		"query wins":          {"?comment=x+y!", "poolid=a&comment=other", nil},
		"cache breaker":       {"?_dc=123", "poolid=a&comment=x+y!", nil},
		"key without a value": {"?nothing", "poolid=a&comment=x+y!&nothing&&", nil},
	} {
		t.Run(name, func(t *testing.T) {
			p.got = schema.PostPools{}
			reply := srv.Send("POST", "/api2/json/pools"+c.query, c.body, apitest.Root, c.header)
			require.Equal(t, "HTTP/1.1 200 OK", reply.Line, reply.Body)
			require.Equal(t, "a", p.got.Poolid)
			require.Equal(t, "x y!", *p.got.Comment)
			require.Equal(t, call.Caller{AuthID: "root@pam", Ticket: true, Remote: "127.0.0.1"}, p.caller)
		})
	}
}

func TestBodyWithoutContentTypeAndEmptyBodies(t *testing.T) {
	p := &pools{}
	srv := p.start(t, nil)
	require.Equal(t, 200, srv.Do("POST", "/api2/json/pools?poolid=a", apitest.Root).Status, "a POST without a body")
	require.Equal(t, 200, srv.Do("POST", "/api2/json/pools?poolid=a", apitest.Root, []string{"Content-Length: 0", "Content-Type: text/plain"}).Status)
	require.Equal(t, 200, srv.Do("GET", "/api2/json/version?", apitest.Root).Status, "a path that ends in a question mark")
	require.Equal(t, 200, srv.Do("GET", "/api2/json/version", apitest.Root, []string{"Content-Length: 0"}).Status)
}

func TestRequestRefusals(t *testing.T) {
	p := &pools{}
	srv := p.start(t, nil)
	for name, c := range map[string]struct {
		method, uri, body string
		header            []string
		line, text        string
	}{
		"no format":          {"GET", "/api2", "", nil, "501 no such uri", "no such uri"},
		"bad format":         {"GET", "/api2/JSON/version", "", nil, "501 no such uri", "no such uri"},
		"unknown format":     {"GET", "/api2/yaml/version", "", nil, "501 no formatter for uri /version, yaml", "no formatter for uri /version, yaml"},
		"body on GET":        {"GET", "/api2/json/version", "a=b", nil, "501 Unexpected content for method 'GET'", "Unexpected content for method 'GET'"},
		"body on DELETE":     {"DELETE", "/api2/json/pools/a", "a=b", nil, "501 Unexpected content for method 'DELETE'", "Unexpected content for method 'DELETE'"},
		"other content":      {"POST", "/api2/json/pools", "a", []string{"Content-Type: text/xml"}, "506 upload 'Content-Type 'text/xml' not implemented", "upload 'Content-Type 'text/xml' not implemented"},
		"multipart":          {"POST", "/api2/json/pools", "a", []string{"Content-Type: multipart/form-data; boundary=a"}, "506 upload 'Content-Type 'multipart/form-data; boundary=a' not implemented", "upload 'Content-Type 'multipart/form-data; boundary=a' not implemented"},
		"too large":          {"POST", "/api2/json/pools", "a=" + strings.Repeat("b", 512<<10), nil, "501 for data too large", "for data too large"},
		"bad JSON":           {"POST", "/api2/json/pools", `{"a":`, []string{jsonBody}, "500 malformed JSON string, unexpected end of data", "malformed JSON string, unexpected end of data"},
		"JSON array":         {"POST", "/api2/json/pools", `["a"]`, []string{jsonBody}, "500 malformed JSON string, an object is expected", "malformed JSON string, an object is expected"},
		"JSON null":          {"POST", "/api2/json/pools", `null`, []string{jsonBody}, "500 malformed JSON string, an object is expected", "malformed JSON string, an object is expected"},
		"JSON text":          {"POST", "/api2/json/pools", `poolid=a`, []string{jsonBody}, "500 malformed JSON string, at character offset 0", "malformed JSON string, at character offset 0"},
		"JSON and more":      {"POST", "/api2/json/pools", `{} x`, []string{jsonBody}, "500 malformed JSON string, garbage after JSON object, at character offset 3", "malformed JSON string, garbage after JSON object, at character offset 3"},
		"chunked":            {"POST", "/api2/json/pools", "", []string{"Transfer-Encoding: chunked"}, "501 chunked transfer encoding not supported", "chunked transfer encoding not supported"},
		"OPTIONS":            {"OPTIONS", "/api2/json/version", "", nil, "501 method 'OPTIONS' not available", ""},
		"PATCH":              {"PATCH", "/api2/json/version", "", nil, "501 method 'PATCH' not available", ""},
		"lower case":         {"get", "/api2/json/version", "", nil, "501 method 'get' not available", ""},
		"HEAD":               {"HEAD", "/api2/json/version", "", nil, "501 method 'HEAD' not available", ""},
		"outside":            {"GET", "/api3/json", "", nil, "501 no such file '/api3/json'", "no such file '/api3/json'"},
		"outside, a lookout": {"GET", "/api2json", "", nil, "501 no such file '/api2json'", "no such file '/api2json'"},
	} {
		t.Run(name, func(t *testing.T) {
			reply := srv.Send(c.method, c.uri, c.body, apitest.Root, c.header)
			require.Equal(t, "HTTP/1.1 "+c.line, reply.Line)
			require.Equal(t, c.text, reply.Body)
			require.Empty(t, reply.Header.Get("Content-Type"))
			require.Equal(t, "pve-api-daemon/3.0", reply.Header.Get("Server"))
			require.Equal(t, "close", reply.Header.Get("Connection"))
			require.True(t, reply.Closed)
		})
	}
	require.Zero(t, p.calls)
}

func TestPaths(t *testing.T) {
	reg := proxmoxapi.NewRegistry()
	proxmoxapi.Handle(reg, func(_ context.Context, req *schema.DeleteNodesStorageContentVolume) (string, error) {
		return req.Node + " " + *req.Storage + " " + req.Volume, nil
	})
	srv := apitest.Start(t, proxmoxapi.New(reg, &apitest.Auth{}, &proxmoxapi.Options{Node: "pve1"}))
	for uri, want := range map[string]string{
		"/nodes/pve1/storage/local/content/local:iso/a.iso":           "pve1 local local:iso/a.iso",
		"/nodes/pve1/storage/local/content/local%3Aiso%2Fa.iso":       "pve1 local local:iso/a.iso",
		"//nodes//pve1/storage/local/content//local:iso//a.iso/":      "pve1 local local:iso/a.iso",
		"/nodes/localhost/storage/local/content/local:iso/a+b.iso":    "pve1 local local:iso/a+b.iso",
		"/nodes/pve1/storage/local/content/local:iso/a%252e.iso":      "pve1 local local:iso/a%2e.iso",
		"/nodes/pve1/storage/local/content/local:iso/a.iso?node=pve1": "pve1 local local:iso/a.iso",
	} {
		reply := srv.Do("DELETE", "/api2/json"+uri, apitest.Root)
		require.Equal(t, fmt.Sprintf("{\"data\":%q}", want), reply.Body, uri)
	}
	for uri, line := range map[string]string{
		"/nowhere":                  "501 Method 'DELETE /nowhere' not implemented",
		"/":                         "501 Method 'DELETE /' not implemented",
		"":                          "501 Method 'DELETE /' not implemented",
		"/version":                  "501 Method 'DELETE /version' not implemented",
		"/pools/a%20b":              "501 Method 'DELETE /pools/a b' not implemented",
		"/nodes/pve1/storage/local": "501 Method 'DELETE /nodes/pve1/storage/local' not implemented",
		"/x%0d%0aSet-Cookie:%20a=b": "501 Method 'DELETE /x",
	} {
		reply := srv.Do("DELETE", "/api2/json"+uri, apitest.Root)
		require.Equal(t, "HTTP/1.1 "+line, reply.Line, uri)
		require.Equal(t, jsonTypeText, reply.Header.Get("Content-Type"))
		require.NotContains(t, reply.Header, "Set-Cookie")
	}
}

const jsonTypeText = "application/json;charset=UTF-8"

func TestDuplicateOfPathParameter(t *testing.T) {
	srv := (&pools{}).start(t, nil)
	reply := srv.Send("PUT", "/api2/json/nodes/localhost/network/eth0", "iface=eth1&type=eth", apitest.Root)
	require.Equal(t, "HTTP/1.1 400 Parameter verification failed.", reply.Line)
	require.JSONEq(t, `{"data":null,"message":"Parameter verification failed.\n",
		"errors":{"iface":"duplicate parameter (already defined in URI) with conflicting values!"}}`, reply.Body)
}

func TestParameterErrors(t *testing.T) {
	reply := (&pools{}).start(t, nil).Send("POST", "/api2/json/pools", "nonsense=1", apitest.Root)
	require.Equal(t, "HTTP/1.1 400 Parameter verification failed.", reply.Line)
	require.JSONEq(t, `{"data":null,"message":"Parameter verification failed.\n","errors":{
		"poolid":"property is missing and it is not optional",
		"nonsense":"property is not defined in schema and the schema does not allow additional properties"}}`, reply.Body)
}

func TestHeaderLimits(t *testing.T) {
	srv := (&pools{}).start(t, nil)
	for name, headers := range map[string][]string{
		"many lines": strings.Split(strings.TrimSpace(strings.Repeat("X-A: b\n", 63)), "\n"),
		"long lines": {"X-A: " + strings.Repeat("b", 8<<10)},
	} {
		require.Equal(t, apitest.Reply{Closed: true}, srv.Do("GET", "/api2/json/version", apitest.Root, headers), name)
	}
	require.Equal(t, 200, srv.Do("GET", "/api2/json/version", apitest.Root, strings.Split(strings.TrimSpace(strings.Repeat("X-A: b\n", 50)), "\n")).Status)
}

func TestCredentials(t *testing.T) {
	p := &pools{}
	srv := p.start(t, nil)
	for name, c := range map[string]struct {
		header []string
		line   string
	}{
		"nothing":              {nil, "401 No ticket"},
		"cookie":               {[]string{"Cookie: PVEAuthCookie=ticket:root@pam"}, "200 OK"},
		"encoded cookie":       {[]string{"Cookie: a=b; PVEAuthCookie=ticket%3Aroot%40pam; c=d"}, "200 OK"},
		"lower-case header":    {[]string{"cookie: PVEAuthCookie=ticket:root@pam"}, "200 OK"},
		"other cookie":         {[]string{"Cookie: XPVEAuthCookie=ticket:root@pam"}, "401 No ticket"},
		"ticket in header":     {[]string{"Authorization: PVEAuthCookie=ticket:root@pam"}, "200 OK"},
		"token":                {[]string{"Authorization: PVEAPIToken=root@pam!ci=secret"}, "200 OK"},
		"token after a blank":  {[]string{"Authorization: PVEAPIToken root@pam!ci=secret"}, "200 OK"},
		"encoded token":        {[]string{"Authorization: PVEAPIToken=root%40pam%21ci%3Dsecret"}, "200 OK"},
		"bad token":            {[]string{"Authorization: PVEAPIToken=root@pam!ci=guess"}, "401 Authentication failed!"},
		"bad ticket":           {[]string{"Cookie: PVEAuthCookie=PVE:root@pam:0::x"}, "401 permission denied - invalid PVE ticket"},
		"cookie goes first":    {[]string{"Cookie: PVEAuthCookie=bad", "Authorization: PVEAPIToken=root@pam!ci=secret"}, "401 permission denied - invalid PVE ticket"},
		"empty cookie":         {[]string{"Cookie: PVEAuthCookie=", "Authorization: PVEAPIToken=root@pam!ci=secret"}, "200 OK"},
		"basic authentication": {[]string{"Authorization: Basic cm9vdDp4"}, "401 No ticket"},
	} {
		t.Run(name, func(t *testing.T) {
			reply := srv.Do("GET", "/api2/json/version", c.header)
			require.Equal(t, "HTTP/1.1 "+c.line, reply.Line)
			if reply.Status == http.StatusUnauthorized {
				require.Empty(t, reply.Body)
				require.True(t, reply.Closed)
				require.NotContains(t, reply.Header, "Content-Length")
				require.NotContains(t, reply.Header, "Content-Type")
			}
		})
	}
	require.Equal(t, 401, srv.Do("GET", "/api2/json/nowhere").Status, "what exists is nobody's business")
}

func TestThreat29_CSRF(t *testing.T) {
	p := &pools{}
	srv := p.start(t, nil)
	const refused = "HTTP/1.1 401 Permission denied - invalid csrf token"
	require.Equal(t, refused, srv.Do("POST", "/api2/json/pools?poolid=a", apitest.Root[:1]).Line)
	require.Equal(t, refused, srv.Do("POST", "/api2/json/pools?poolid=a&CSRFPreventionToken="+apitest.CSRF, apitest.Root[:1]).Line)
	require.Zero(t, p.calls)
	require.Equal(t, 200, srv.Do("POST", "/api2/json/pools?poolid=a", apitest.Root[:1], []string{"csrfpreventiontoken: " + apitest.CSRF}).Status)
	require.Equal(t, 200, srv.Do("POST", "/api2/json/pools?poolid=a", apitest.Token).Status, "tokens need none")
	require.Equal(t, 200, srv.Do("GET", "/api2/json/version", apitest.Root[:1]).Status, "reading needs none")
}

func TestAuthorizeSeesParametersAsSent(t *testing.T) {
	var got map[string]string
	auth := &apitest.Auth{Check: func(_ context.Context, _ call.Caller, p *schema.Permission, params map[string]string) error {
		require.NotNil(t, p)
		got = params
		return call.Forbidden("")
	}}
	srv := apitest.Start(t, proxmoxapi.New(proxmoxapi.NewRegistry(), auth, nil))
	reply := srv.Send("PUT", "/api2/json/nodes/localhost/qemu/100/config", `{"cores":2.0,"onboot":true,"tags":["a","b"],"x":{"y":1}}`, apitest.Root, []string{jsonBody})
	require.Equal(t, "HTTP/1.1 403 Permission check failed", reply.Line)
	require.Equal(t, map[string]string{"node": "localhost", "vmid": "100", "cores": "2", "onboot": "1", "tags": "a,b", "x": ""}, got)
}

func TestThreat46_NodeNames(t *testing.T) {
	reg := proxmoxapi.NewRegistry()
	proxmoxapi.Handle(reg, func(_ context.Context, req *schema.GetNodesStatus) (string, error) { return req.Node, nil })
	srv := apitest.Start(t, proxmoxapi.New(reg, &apitest.Auth{}, &proxmoxapi.Options{Node: "pve1"}))
	status := func(node string) apitest.Reply {
		return srv.Do("GET", "/api2/json/nodes/"+node+"/status", apitest.Root)
	}

	require.Equal(t, `{"data":"pve1"}`, status("pve1").Body)
	require.Equal(t, `{"data":"pve1"}`, status("localhost").Body)
	require.Equal(t, "HTTP/1.1 500 hostname lookup 'pve2' failed - failed to get address info for: pve2: Name or service not known", status("pve2").Line)
	for _, node := range []string{"localhost:22", "@evil", "evil@host", "127.0.0.1", "-a", "a-", "..", "a%00", "a%0ab", "%E2%80%A8", "pve1%3F"} {
		reply := status(node)
		require.Contains(t, []int{400, 501}, reply.Status, node)
		require.NotContains(t, reply.Reason, "lookup", node)
	}
	for _, node := range []string{"a/../pve1", "a%2f..%2fpve1"} {
		require.Equal(t, 501, status(node).Status, "segments are names, nothing climbs")
	}
}

func TestWithoutFunction(t *testing.T) {
	srv := apitest.Start(t, proxmoxapi.New(proxmoxapi.NewRegistry(), &apitest.Auth{}, &proxmoxapi.Options{Node: "pve1"}))
	get := func(path string) apitest.Reply { return srv.Do("GET", "/api2/json"+path, apitest.Root) }

	require.JSONEq(t, `{"data":[{"subdir":"access"},{"subdir":"cluster"},{"subdir":"nodes"},{"subdir":"pools"},{"subdir":"storage"},{"subdir":"version"}]}`, get("/").Body)
	require.JSONEq(t, `{"data":[{"type":"pci"},{"type":"usb"}]}`, get("/nodes/pve1/hardware").Body)
	require.JSONEq(t, `{"data":[{"name":"dir"},{"name":"pci"},{"name":"usb"}]}`, get("/cluster/mapping").Body)
	require.JSONEq(t, `{"data":[{"cmd":"config"},{"cmd":"rollback"}]}`, get("/nodes/pve1/qemu/100/snapshot/before").Body)
	require.Equal(t, `{"data":[]}`, get("/nodes/pve1/lxc").Body)
	require.Equal(t, `{"data":[]}`, get("/cluster/ha/resources").Body)
	require.Contains(t, get("/nodes/pve1/subscription").Body, `"status":"notfound"`)
	require.Contains(t, get("/cluster/ha/status/current").Body, `"node":"pve1"`)
	require.Equal(t, "500 no such resource 'vm:100'", get("/cluster/ha/resources/100").Line[len("HTTP/1.1 "):])
	require.Equal(t, "500 Configuration file 'nodes/pve1/lxc/100.conf' does not exist", get("/nodes/localhost/lxc/100/config").Line[len("HTTP/1.1 "):])
	require.Equal(t, "500 binary not installed: /usr/bin/ceph-mon", get("/cluster/ceph/status").Line[len("HTTP/1.1 "):])

	reply := srv.Do("POST", "/api2/json/nodes/pve1/startall", apitest.Root)
	require.Equal(t, "HTTP/1.1 501 Method 'POST /nodes/pve1/startall' not implemented", reply.Line)
	require.JSONEq(t, `{"data":null,"message":"Method 'POST /nodes/pve1/startall' not implemented"}`, reply.Body)
}

func TestAccessHook(t *testing.T) {
	seen := make(chan proxmoxapi.AccessEntry, 2)
	srv := (&pools{}).start(t, &proxmoxapi.Options{AccessLog: func(a proxmoxapi.AccessEntry) { seen <- a }})
	reply := srv.Do("GET", "/api2/json/version?_dc=x", apitest.Root)
	a := <-seen
	a.Duration = 0
	require.Equal(t, proxmoxapi.AccessEntry{Remote: "127.0.0.1", AuthID: "root@pam", Method: "GET", URI: "/api2/json/version", Status: 200, Bytes: int64(len(reply.Body))}, a)
	srv.Do("GET", "/api2/json/version")
	require.Equal(t, 401, (<-seen).Status)
}

func TestWeb(t *testing.T) {
	reply := (&pools{}).start(t, nil).Do("GET", "/")
	require.Equal(t, 200, reply.Status)
	require.Contains(t, reply.Body, "/api2/json")
	require.Equal(t, "Keep-Alive", reply.Header.Get("Connection"))

	web := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) })
	reply = (&pools{}).start(t, &proxmoxapi.Options{Web: web}).Do("GET", "/x")
	require.Equal(t, 404, reply.Status)
	require.Equal(t, "pve-api-daemon/3.0", reply.Header.Get("Server"))
	require.True(t, reply.Closed)
}
