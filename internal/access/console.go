package access

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"

	"github.com/turtacn/go-proxmox/internal/access/usercfg"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/proxmoxapi/ticket"
)

// SignConsole returns a console ticket for c. password is empty or the eight characters from [Service.ConsolePassword].
func (s *Service) SignConsole(ctx context.Context, c ticket.Console, password string) (string, error) {
	keys, err := s.signingKeys(ctx)
	if err != nil {
		return "", err
	}
	return keys.Console(c, password, s.clock.Now()), nil
}

// ConsolePassword returns a random password for a VNC session: eight characters, all that the protocol looks at.
func (s *Service) ConsolePassword() (string, error) {
	var raw [6]byte
	if _, err := io.ReadFull(s.rand, raw[:]); err != nil {
		return "", fmt.Errorf("access: password: %w", err)
	}
	return base64.URLEncoding.EncodeToString(raw[:]), nil
}

// VerifyConsole checks a console ticket and that its holder may still log in; it returns the password that the ticket
// shows, if any. Privileges and single use are the caller's business. The error is one of package ticket, a
// *usercfg.LoginError, or the store's.
func (s *Service) VerifyConsole(ctx context.Context, text string, c ticket.Console) (password string, err error) {
	keys, err := s.ticketKeys(ctx)
	if err != nil {
		return "", err
	}
	if keys == nil {
		return "", ticket.ErrSignature
	}
	if password, err = keys.VerifyConsole(text, c, s.clock.Now()); err != nil {
		return "", err
	}
	cfg, err := s.UserConfig(ctx)
	if err != nil {
		return "", err
	}
	if err := checkAuthID(cfg, c.AuthID, s.clock.Now()); err != nil {
		return "", err
	}
	return password, nil
}

// PostAccessVncticket checks a console ticket for a helper of the console.
func (s *Service) PostAccessVncticket(ctx context.Context, req *schema.PostAccessVncticket) (any, error) {
	start := s.clock.Now()
	err := s.vncTicket(ctx, req)
	if err == nil {
		return nil, nil
	}
	if internal(err) && !isTicketError(err) {
		return nil, err
	}
	s.failed(ctx, start, call.From(ctx).Remote, req.Authid, err)
	return nil, unauthorized(textFailed)
}

func (s *Service) vncTicket(ctx context.Context, req *schema.PostAccessVncticket) error {
	path, ok := usercfg.NormalizePath(req.Path)
	if !ok {
		return refusef("invalid path - %s", req.Path)
	}
	c := ticket.Console{AuthID: req.Authid, Path: path, Port: int(schema.Value(req.Port, 0))}
	if _, err := s.VerifyConsole(ctx, req.Vncticket, c); err != nil {
		return err
	}
	return s.mayAt(ctx, req.Authid, path, req.Privs)
}

func isTicketError(err error) bool {
	for _, e := range []error{ticket.ErrMalformed, ticket.ErrSignature, ticket.ErrExpired, ticket.ErrFuture, ticket.ErrPartial} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
