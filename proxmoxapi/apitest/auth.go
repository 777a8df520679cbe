package apitest

import (
	"context"
	"strings"

	"github.com/turtacn/go-proxmox/proxmoxapi"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// CSRF is the token that Auth wants from the callers of writing methods.
const CSRF = "00000000:csrf"

// Header lines that make a request one of a caller, for Do.
var (
	Root   = []string{"Cookie: PVEAuthCookie=ticket:root@pam", "CSRFPreventionToken: " + CSRF} // root@pam by ticket
	Nobody = []string{"Cookie: PVEAuthCookie=ticket:nobody@pve", "CSRFPreventionToken: " + CSRF}
	Token  = []string{"Authorization: PVEAPIToken=root@pam!ci=secret"} // a token of root@pam
)

// Auth is an Authenticator without secrets: the ticket "ticket:USER" is USER's, the token "USER!ID=secret" is USER!ID's.
// nobody@pve may do nothing that needs a permission; others may do everything.
type Auth struct {
	// Check, if set, is asked about every permission in place of the rule above.
	Check func(ctx context.Context, c call.Caller, p *schema.Permission, params map[string]string) error
}

var _ proxmoxapi.Authenticator = (*Auth)(nil)

// Authenticate implements proxmoxapi.Authenticator.
func (a *Auth) Authenticate(_ context.Context, cred proxmoxapi.Credentials) (call.Caller, error) {
	if user, ok := strings.CutPrefix(cred.Ticket, "ticket:"); ok {
		return call.Caller{AuthID: user, Ticket: true}, nil
	}
	if id, ok := strings.CutSuffix(cred.Token, "=secret"); ok {
		return call.Caller{AuthID: id}, nil
	}
	switch {
	case cred.Ticket != "":
		return call.Caller{}, call.Status(401, "permission denied - invalid PVE ticket")
	case cred.Token != "":
		return call.Caller{}, call.Status(401, "Authentication failed!")
	}
	return call.Caller{}, call.Status(401, "No ticket")
}

// VerifyCSRF implements proxmoxapi.Authenticator.
func (a *Auth) VerifyCSRF(_ context.Context, _ call.Caller, token string) error {
	if token != CSRF {
		return call.Status(401, "Permission denied - invalid csrf token")
	}
	return nil
}

// Authorize implements proxmoxapi.Authenticator.
func (a *Auth) Authorize(ctx context.Context, c call.Caller, p *schema.Permission, params map[string]string) error {
	if a.Check != nil {
		return a.Check(ctx, c, p, params)
	}
	if c.User() == "nobody@pve" && !p.All() {
		return call.Forbidden("/, Sys.Audit")
	}
	return nil
}
