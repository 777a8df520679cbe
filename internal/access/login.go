package access

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/turtacn/go-proxmox/internal/access/usercfg"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/proxmoxapi/ticket"
)

// Login is the answer to a successful login.
type Login struct {
	schema.PostAccessTicketReply
	Cap map[string]map[string]schema.Bool `json:"cap"`
}

// GetAccessTicket answers nothing: it exists for the login form of browsers.
func (s *Service) GetAccessTicket(context.Context, *schema.GetAccessTicket) (any, error) {
	return nil, nil
}

// PostAccessTicket logs a user in, renews a ticket, or (with path and privs) checks what a user may do. Every refusal is
// the same 401, answered when the delay is over; the reason is in the log alone.
func (s *Service) PostAccessTicket(ctx context.Context, req *schema.PostAccessTicket) (any, error) {
	start := s.clock.Now()
	remote := call.From(ctx).Remote
	user, err := s.lookupUser(ctx, req)
	if err != nil {
		return nil, err
	}
	out := &Login{PostAccessTicketReply: schema.PostAccessTicketReply{Username: user}}
	switch {
	case req.Path != nil && req.Privs != nil && *req.Path != "" && *req.Privs != "":
		err = s.verifyMode(ctx, user, req, remote)
	default:
		err = s.login(ctx, user, req, remote)
		if err == nil {
			err = s.sign(ctx, user, out)
		}
	}
	if err != nil {
		if internal(err) {
			return nil, err
		}
		s.failed(ctx, start, remote, user, err)
		return nil, unauthorized(textFailed)
	}
	v, err := s.viewerOf(ctx, user)
	if err != nil {
		return nil, err
	}
	out.Cap = shownFlags(v.eval.Capabilities(user))
	if s.opts.ClusterName != "" && v.Can("/", "Sys.Audit") {
		out.Clustername = &s.opts.ClusterName
	}
	s.log.Info("successful auth", "user", user, "rhost", remote)
	s.opts.LoggedIn(user)
	return out, nil
}

// shownFlags turns name → flag maps into what the API shows.
func shownFlags(in map[string]map[string]bool) map[string]map[string]schema.Bool {
	out := make(map[string]map[string]schema.Bool, len(in))
	for outer, flags := range in {
		m := make(map[string]schema.Bool, len(flags))
		for name, f := range flags {
			m[name] = schema.Bool(f)
		}
		out[outer] = m
	}
	return out
}

// refusal is why a login failed, for the log.
type refusal struct{ text string }

func (r refusal) Error() string { return r.text }

func refusef(format string, args ...any) error { return refusal{fmt.Sprintf(format, args...)} }

// internal reports whether an error says nothing about the login.
func internal(err error) bool {
	if _, ok := errors.AsType[refusal](err); ok {
		return false
	}
	if _, ok := errors.AsType[*usercfg.LoginError](err); ok {
		return false
	}
	return !isRefusal(err)
}

// lookupUser completes the user name, and in realms that do not tell case apart finds the user that is meant.
func (s *Service) lookupUser(ctx context.Context, req *schema.PostAccessTicket) (string, error) {
	id := req.Username
	if realmID := schema.Value(req.Realm, ""); realmID != "" {
		id += "@" + realmID
	}
	domains, err := s.domains.get(ctx)
	if err != nil {
		return "", err
	}
	if !domains.FoldsCase(id) {
		return id, nil
	}
	cfg, err := s.UserConfig(ctx)
	if err != nil {
		return "", err
	}
	matches := foldedMatches(cfg, id)
	switch len(matches) {
	case 0:
		return id, nil
	case 1:
		return matches[0], nil
	}
	return "", call.Errorf("ambiguous case insensitive match of username '%s', cannot safely grant access!", id)
}

// foldedMatches are the users whose id is id but for case.
func foldedMatches(cfg *usercfg.Config, id string) []string {
	var ids []string
	for other := range cfg.Users {
		if strings.EqualFold(other, id) {
			ids = append(ids, other)
		}
	}
	return ids
}

// login proves the user by password or by a ticket that is still valid. root@pam may get tickets of any user.
func (s *Service) login(ctx context.Context, user string, req *schema.PostAccessTicket, remote string) error {
	if req.Otp != nil && req.TfaChallenge != nil {
		return refusef("TFA response should be in 'password', not 'otp' when 'tfa-challenge' is set")
	}
	if err := s.checkAccount(ctx, user, req.Password, remote); err != nil {
		return err
	}
	if req.TfaChallenge != nil {
		return refusef("no such challenge")
	}
	owner, err := s.ticketOwner(ctx, req.Password)
	if err != nil {
		return err
	}
	if owner == user || owner == usercfg.Root {
		return nil
	}
	return s.firstFactor(ctx, user, req, remote)
}

// checkAccount refuses accounts that may not log in, in the time that a wrong password takes.
func (s *Service) checkAccount(ctx context.Context, user, pw, remote string) error {
	cfg, err := s.UserConfig(ctx)
	if err != nil {
		return err
	}
	refused := checkAuthID(cfg, user, s.clock.Now())
	if refused == nil {
		if _, _, token := usercfg.SplitTokenID(user); !token {
			return nil
		}
		refused = refusef("no such user ('%s')", user)
	}
	if s.limit.blocked(remote, s.clock.Now()) {
		return errTooMany
	}
	s.limit.fail(remote, s.clock.Now())
	if len(pw) <= maxPasswordBytes {
		if err := s.hasher.Waste(ctx, pw); err != nil {
			return err
		}
	}
	return refused
}

// ticketOwner returns whose valid login ticket the text is, "" if it is none.
func (s *Service) ticketOwner(ctx context.Context, text string) (string, error) {
	if !ticket.IsLogin(text) {
		return "", nil
	}
	keys, err := s.ticketKeys(ctx)
	if err != nil {
		return "", err
	}
	owner, err := verifyLogin(keys, text, s.clock.Now())
	if errors.Is(err, ticket.ErrPartial) {
		return "", refusef("incomplete ticket")
	}
	if err != nil {
		return "", nil // then it is a password
	}
	cfg, err := s.UserConfig(ctx)
	if err != nil {
		return "", err
	}
	if checkAuthID(cfg, owner, s.clock.Now()) != nil {
		return "", nil // a disabled owner proves nothing
	}
	return owner, nil
}

// firstFactor checks the password, and refuses who would need a second factor: none can be answered yet.
func (s *Service) firstFactor(ctx context.Context, user string, req *schema.PostAccessTicket, remote string) error {
	domains, err := s.domains.get(ctx)
	if err != nil {
		return err
	}
	factors, err := s.tfa.get(ctx)
	if err != nil {
		return err
	}
	if err := s.verifyPassword(ctx, user, req.Password, remote); err != nil {
		return err
	}
	switch {
	case factors.required(user):
		return refusef("failed 2nd factor")
	case domains.TFA(user) != "":
		return refusef("missing required 2nd keys")
	}
	return nil
}

// sign puts ticket and CSRF token into the answer.
func (s *Service) sign(ctx context.Context, user string, out *Login) error {
	keys, err := s.signingKeys(ctx)
	if err != nil {
		return err
	}
	now := s.clock.Now()
	out.Ticket = new(keys.Login(user, now))
	out.CSRFPreventionToken = new(keys.CSRF(user, now))
	return nil
}

// verifyMode checks that the password, login ticket or console ticket is the user's, who holds the privileges at the path.
func (s *Service) verifyMode(ctx context.Context, user string, req *schema.PostAccessTicket, remote string) error {
	if err := s.checkAccount(ctx, user, req.Password, remote); err != nil {
		return err
	}
	path, ok := usercfg.NormalizePath(*req.Path)
	if !ok {
		return refusef("invalid path - %s", *req.Path)
	}
	owner, err := s.ticketOwner(ctx, req.Password)
	if err != nil {
		return err
	}
	if owner != user {
		_, err := s.VerifyConsole(ctx, req.Password, ticket.Console{AuthID: user, Path: path})
		if isTicketError(err) {
			err = s.firstFactor(ctx, user, req, remote)
		}
		if err != nil {
			return err
		}
	}
	return s.mayAt(ctx, user, path, *req.Privs)
}

// mayAt is the last step of a verification: the privileges.
func (s *Service) mayAt(ctx context.Context, authID, path, privs string) error {
	v, err := s.viewerOf(ctx, authID)
	if err != nil {
		return err
	}
	list := usercfg.SplitList(privs)
	if len(list) == 0 || !v.Can(path, list...) {
		return refusef("no permission (%s, %s)", path, privs)
	}
	return nil
}
