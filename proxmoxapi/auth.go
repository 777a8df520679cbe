package proxmoxapi

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// Authenticator says who calls and what that caller may do. The access service implements it. Its methods run
// concurrently and hold up only the request they are asked for.
type Authenticator interface {
	// Authenticate returns the caller that the credentials prove. A refusal is a *call.Error with status 401 whose text
	// becomes the reason phrase ("No ticket" when there are no credentials at all); any other error is an internal one.
	// The delay that makes guessing slow is its own, and so is the limit on how many callers wait in it at a time.
	Authenticate(ctx context.Context, cred Credentials) (call.Caller, error)
	// VerifyCSRF checks the CSRFPreventionToken of a writing call by c, which came with a ticket. token may be empty.
	VerifyCSRF(ctx context.Context, c call.Caller, token string) error
	// Authorize applies the permission of a method, which is never nil, to the caller. params are the parameters as sent,
	// unchecked, for the placeholders in permission paths. A refusal is a *call.Error with status 403 and PVE's text.
	Authorize(ctx context.Context, c call.Caller, p *schema.Permission, params map[string]string) error
}

// Credentials are what a request carried to prove its caller, percent-decoded and otherwise as sent. At most one of
// Ticket and Token is set.
type Credentials struct {
	Ticket string // text of a ticket, PVE:user@realm:HEX::signature
	Token  string // user@realm!tokenid=secret
	Remote string // address of the client, without port
}

const (
	ticketName = "PVEAuthCookie"
	tokenName  = "PVEAPIToken"
	csrfHeader = "CSRFPreventionToken"
)

// readCredentials takes the ticket from the cookie, else from the Authorization header, else an API token from there.
func readCredentials(h http.Header, remote string) Credentials {
	cred := Credentials{Remote: remote}
	for _, line := range h["Cookie"] {
		if v, ok := authValue(line, ticketName, false); ok {
			cred.Ticket = v
			return cred
		}
	}
	auth := h.Get("Authorization")
	if v, ok := authValue(auth, ticketName, false); ok {
		cred.Ticket = v
	} else if v, ok := authValue(auth, tokenName, true); ok {
		cred.Token = v
	}
	return cred
}

// authValue finds "name=value" among the ';' separated parts of a header line; with blank set, a blank may stand for the
// '='. The value is percent-decoded where its encoding is sound.
func authValue(line, name string, blank bool) (string, bool) {
	for part := range strings.SplitSeq(line, ";") {
		rest, ok := strings.CutPrefix(strings.TrimSpace(part), name)
		if !ok || rest == "" || rest[0] != '=' && (!blank || rest[0] != ' ') {
			continue
		}
		value := rest[1:]
		if decoded, err := url.PathUnescape(value); err == nil {
			value = decoded
		}
		return value, value != ""
	}
	return "", false
}
