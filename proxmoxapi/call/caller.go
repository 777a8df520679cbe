package call

import (
	"context"
	"strings"
)

// Root is the user that passes every permission check. Tokens of root@pam are not root.
const Root = "root@pam"

// Caller is the authenticated origin of a request. The zero value is nobody (a method that needs no login).
type Caller struct {
	AuthID string // user@realm, or user@realm!tokenid
	Remote string // address of the client, without port; for logs only
	Ticket bool   // logged in by ticket: writing calls need a CSRF token
}

// User returns the user part, user@realm, also for a token.
func (c Caller) User() string {
	user, _ := c.split()
	return user
}

// Token returns the token's id, empty when the caller is no token.
func (c Caller) Token() string {
	_, token := c.split()
	return token
}

// split cuts a token's id off. User names may hold a '!', too: it begins a token only behind the realm.
func (c Caller) split() (user, token string) {
	i := strings.LastIndexByte(c.AuthID, '!')
	if i < 0 || strings.Contains(c.AuthID[i+1:], "@") {
		return c.AuthID, ""
	}
	return c.AuthID[:i], c.AuthID[i+1:]
}

// IsRoot reports whether the caller is root@pam itself.
func (c Caller) IsRoot() bool { return c.AuthID == Root }

type callerKey struct{}

// With returns a context that carries the caller.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// From returns the caller of the request, the zero Caller when there is none. Permission checks treat that one as nobody.
func From(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}
