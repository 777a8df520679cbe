package apitest

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/turtacn/go-proxmox/proxmoxapi"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// Conformance checks the order of checks at every method of the schema: who is let in, who is refused with what, before
// any function runs. The functions of reg may be real; none of them is called, but for the methods that the schema opens to
// the world.
func Conformance(t *testing.T, reg *proxmoxapi.Registry) {
	if err := reg.Check(); err != nil {
		t.Error(err)
	}
	refuse := &Auth{Check: func(context.Context, call.Caller, *schema.Permission, map[string]string) error {
		return call.Forbidden("/, Refused")
	}}
	c := &conformance{reg: reg, closed: Start(t, proxmoxapi.New(reg, refuse, nil)), open: Start(t, proxmoxapi.New(reg, &Auth{}, nil))}
	for _, e := range schema.Endpoints() {
		t.Run(e.Method+" "+e.Path, func(t *testing.T) {
			c.login(t, e)
			c.token(t, e)
			c.permission(t, e)
			c.parameters(t, e)
		})
	}
}

type conformance struct {
	reg          *proxmoxapi.Registry
	closed, open *Server // one refuses every permission, the other grants all
}

// isWorld is the list of methods without login. It is written out on purpose: the schema must not open others by mistake.
func isWorld(e *schema.Endpoint) bool {
	switch e.Method + " " + e.Path {
	case "GET /access/domains", "GET /access/ticket", "POST /access/ticket", "POST /access/vncticket",
		"POST /access/openid/auth-url", "POST /access/openid/login":
		return true
	}
	return false
}

func isUpload(e *schema.Endpoint) bool {
	return e.Method == http.MethodPost && e.Path == "/nodes/{node}/storage/{storage}/upload"
}

// login: nothing works without a ticket or token but what is open to the world.
func (c *conformance) login(t *testing.T, e *schema.Endpoint) {
	if isWorld(e) {
		return
	}
	reply := c.open.Do(e.Method, SampleURI(e))
	if reply.Line != "HTTP/1.1 401 No ticket" || reply.Body != "" || !reply.Closed {
		t.Errorf("without a ticket: %q, body %q, closed %v", reply.Line, reply.Body, reply.Closed)
	}
}

// token: writing with a ticket needs the CSRF token, reading and tokens do not, nor does the upload.
func (c *conformance) token(t *testing.T, e *schema.Endpoint) {
	if isWorld(e) || isUpload(e) || e.Method == http.MethodGet {
		return
	}
	for _, header := range [][]string{nil, {"CSRFPreventionToken: 00000000:foreign"}} {
		reply := c.open.Do(e.Method, SampleURI(e), Root[:1], header)
		if reply.Line != "HTTP/1.1 401 Permission denied - invalid csrf token" || reply.Body != "" {
			t.Errorf("with CSRF header %q: %q, body %q", header, reply.Line, reply.Body)
		}
	}
}

// permission: 403 comes before anything is said about parameters.
func (c *conformance) permission(t *testing.T, e *schema.Endpoint) {
	if isWorld(e) {
		return
	}
	uri := SampleURI(e) + "?no-such-parameter=1"
	body, headers := "", [][]string{Nobody}
	if isUpload(e) {
		body, headers = "x", append(headers, []string{"Content-Type: multipart/form-data; boundary=x"})
	}
	want := "Permission check failed (/, Refused)"
	if e.Permission == nil {
		want = "Permission check failed (user != root@pam)"
	}
	reply := c.closed.Send(e.Method, uri, body, headers...)
	if reply.Status != http.StatusForbidden || reply.Reason != want {
		t.Errorf("without permission: %q, want 403 %s", reply.Line, want)
	}
	if e.AllowToken {
		return
	}
	reply = c.open.Do(e.Method, uri, Token)
	if reply.Status != http.StatusForbidden || !strings.Contains(reply.Reason, "not available with API token, need proper ticket.") {
		t.Errorf("by an API token: %q", reply.Line)
	}
}

// parameters: a parameter that the schema refuses is a 400 that names it.
func (c *conformance) parameters(t *testing.T, e *schema.Endpoint) {
	raw := map[string]any{"no-such-parameter": "1"}
	for name, value := range sampleParams(e) {
		raw[name] = value
	}
	_, bad := e.Validate(raw)
	if len(bad) == 0 || isUpload(e) {
		return
	}
	reply := c.open.Do(e.Method, SampleURI(e)+"?no-such-parameter=1", Root)
	var body struct {
		Data    any
		Errors  map[string]string
		Message string
	}
	if err := json.Unmarshal([]byte(reply.Body), &body); err != nil {
		t.Errorf("with a bad parameter: %q, body %q: %v", reply.Line, reply.Body, err)
		return
	}
	if reply.Line != "HTTP/1.1 400 Parameter verification failed." || body.Message != "Parameter verification failed.\n" || len(body.Errors) != len(bad) {
		t.Errorf("with a bad parameter: %q, body %q", reply.Line, reply.Body)
	}
}
