package proxmoxapi

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// headerTooBig applies the limits over which PVE does not answer at all.
func headerTooBig(r *http.Request) bool {
	lines, size := 1, len(r.Method)+len(r.RequestURI)+len("  HTTP/1.1\r\nHost: \r\n\r\n")+len(r.Host)
	for name, values := range r.Header {
		for _, v := range values {
			lines++
			size += len(name) + len(v) + len(": \r\n")
		}
	}
	return lines > maxHeaderLines || size > maxHeaderBytes
}

// authenticate finds the caller, and checks the token that a ticket's caller needs for writing. Methods that are open to
// the world take no notice of credentials.
func (x *exchange) authenticate(world, upload bool) error {
	x.caller = call.Caller{Remote: remoteHost(x.r)}
	if world {
		return nil
	}
	caller, err := x.h.auth.Authenticate(x.r.Context(), readCredentials(x.r.Header, x.caller.Remote))
	if err != nil {
		return x.unauthorized(err, "Authentication failed!")
	}
	if caller.Remote == "" {
		caller.Remote = x.caller.Remote
	}
	x.caller = caller
	if caller.Ticket && !upload && x.r.Method != http.MethodGet {
		if err := x.h.auth.VerifyCSRF(x.r.Context(), caller, x.r.Header.Get(csrfHeader)); err != nil {
			return x.unauthorized(err, "Permission denied - invalid csrf token")
		}
	}
	return nil
}

// unauthorized makes the refusal with an empty body out of a failed check. An error that is none of package call is
// internal and answered as such.
func (x *exchange) unauthorized(err error, reason string) error {
	e, ok := errors.AsType[*call.Error](err)
	if !ok {
		return err
	}
	if e.Text != "" {
		reason = e.Text
	}
	status := e.Status
	if status < 400 || status > 599 {
		status = http.StatusUnauthorized
	}
	return &refusal{status: status, reason: reason}
}

// authorize applies what the schema says about callers.
func (x *exchange) authorize(ctx context.Context, e *schema.Endpoint, params map[string]any) error {
	if e.Permission.World() {
		return nil
	}
	if !e.AllowToken && x.caller.Token() != "" {
		return call.Forbidden("URI '" + x.rel + "' not available with API token, need proper ticket.\n")
	}
	if e.Permission == nil {
		if !x.caller.IsRoot() {
			return call.Forbidden("user != root@pam")
		}
		return nil
	}
	return x.h.auth.Authorize(ctx, x.caller, e.Permission, textParams(params))
}

// onNode tells whether a method is about the node that its parameter names.
func onNode(e *schema.Endpoint) bool {
	return e.ProxyTo == "node" || strings.HasPrefix(e.Path, "/nodes/{node}")
}

// checkNode refuses every node but this one. Only names of nodes are spoken of as hosts; any other text is left to the
// check of its format, so that it is reported together with what else is wrong. "localhost" becomes this node's name.
func (h *Handler) checkNode(e *schema.Endpoint, params map[string]any) error {
	if !onNode(e) {
		return nil
	}
	node, ok := params["node"].(string)
	switch {
	case !ok || !validNode(node) || node == h.opts.Node:
		return nil
	case node == localNode:
		params["node"] = h.opts.Node
		return nil
	}
	return call.Errorf("hostname lookup '%s' failed - failed to get address info for: %s: Name or service not known", node, node)
}
