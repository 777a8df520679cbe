package access

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/access/usercfg"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/ticket"
)

// Reasons of a 401. Clients log in again on the second one.
const (
	reasonNoTicket  = "No ticket"
	reasonBadTicket = "permission denied - invalid PVE ticket"
	reasonFailed    = "Authentication failed!"
	reasonCSRF      = "Permission denied - invalid csrf token"
	textFailed      = "authentication failure"
)

func unauthorized(reason string) error { return call.Status(http.StatusUnauthorized, "%s", reason) }

func isNotFound(err error) bool { return errors.Is(err, cluster.ErrNotFound) }

// Credentials are what a request carried to prove its caller. At most one of Ticket and Token is set.
type Credentials struct {
	Ticket string // text of a login ticket
	Token  string // user@realm!tokenid=secret
	Remote string // address of the client, without port
}

// Authenticate returns the caller that the credentials prove. A refusal is a *call.Error with status 401, answered with
// the delay that makes guessing slow; any other error is the store's.
func (s *Service) Authenticate(ctx context.Context, cred Credentials) (call.Caller, error) {
	start := s.clock.Now()
	c, reason, err := s.identify(ctx, cred)
	switch {
	case err == nil:
		return c, nil
	case reason == reasonNoTicket:
		return call.Caller{}, unauthorized(reason) // nothing was guessed
	case reason == "":
		return call.Caller{}, err
	}
	s.failed(ctx, start, cred.Remote, c.AuthID, err)
	return call.Caller{}, unauthorized(reason)
}

// identify finds out whose the credentials are. reason is for the client, err for the log; without a reason err is internal.
func (s *Service) identify(ctx context.Context, cred Credentials) (c call.Caller, reason string, err error) {
	c.Remote = cred.Remote
	if cred.Ticket == "" && cred.Token == "" {
		return c, reasonNoTicket, errors.New("no credentials")
	}
	if cred.Ticket != "" {
		c.Ticket = true
		keys, err := s.ticketKeys(ctx)
		if err != nil {
			return c, "", err
		}
		c.AuthID, err = verifyLogin(keys, cred.Ticket, s.clock.Now())
		if errors.Is(err, ticket.ErrPartial) {
			return c, reasonNoTicket, err
		}
		if err != nil {
			return c, reasonBadTicket, err
		}
		return s.allowed(ctx, c)
	}
	i := strings.LastIndexByte(cred.Token, '=')
	id, secret := cred.Token[:max(i, 0)], cred.Token[i+1:]
	if _, _, ok := usercfg.SplitTokenID(id); !ok {
		return c, reasonFailed, errors.New("no tokenid specified")
	}
	c.AuthID = id
	tokens, err := s.tokens.get(ctx)
	if err != nil {
		return c, "", err
	}
	if !tokens.verify(id, secret) {
		return c, reasonFailed, errors.New("invalid token value!")
	}
	return s.allowed(ctx, c)
}

func verifyLogin(keys *ticket.Keys, text string, now time.Time) (string, error) {
	if keys == nil {
		return "", ticket.ErrSignature
	}
	user, _, err := keys.VerifyLogin(text, now)
	return user, err
}

// allowed checks that the account may be used now.
func (s *Service) allowed(ctx context.Context, c call.Caller) (call.Caller, string, error) {
	e, err := s.users.get(ctx)
	if err != nil {
		return c, "", err
	}
	if err := checkAuthID(e.Config(), c.AuthID, s.clock.Now()); err != nil {
		return c, reasonFailed, err
	}
	return c, "", nil
}

// checkAuthID is usercfg's check, and a refusal of users whose name makes them look like somebody's token: a file made
// elsewhere may have them.
func checkAuthID(cfg *usercfg.Config, authID string, now time.Time) error {
	if err := cfg.CheckAuthID(authID, now); err != nil {
		return err
	}
	if !usercfg.SafeUserID(usercfg.UserOf(authID)) {
		return &usercfg.LoginError{Text: "user name cannot be used to log in"}
	}
	return nil
}

// VerifyCSRF checks the token that came with a writing call of a caller that logged in by ticket.
func (s *Service) VerifyCSRF(ctx context.Context, c call.Caller, token string) error {
	start := s.clock.Now()
	keys, err := s.ticketKeys(ctx)
	if err != nil {
		return err
	}
	if keys != nil {
		if err = keys.VerifyCSRF(token, c.AuthID, start); err == nil {
			return nil
		}
	} else {
		err = ticket.ErrSignature
	}
	s.failed(ctx, start, c.Remote, c.AuthID, err)
	return unauthorized(reasonCSRF)
}

// failed logs a refusal and holds the answer back until the delay is over, unless too many wait already.
func (s *Service) failed(ctx context.Context, start time.Time, remote, user string, reason error) {
	s.log.Warn(textFailed, "rhost", remote, "user", user, "msg", reason.Error())
	select {
	case s.delayed <- struct{}{}:
		defer func() { <-s.delayed }()
	default:
		return
	}
	if d := start.Add(s.opts.FailureDelay).Sub(s.clock.Now()); d > 0 {
		s.clock.Sleep(ctx, d)
	}
}
