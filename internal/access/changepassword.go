package access

import (
	"context"
	"errors"

	"github.com/turtacn/go-proxmox/internal/access/usercfg"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// PutAccessPassword changes a password. Everybody but root@pam has to give the own present one, so that a stolen ticket
// is not enough.
func (s *Service) PutAccessPassword(ctx context.Context, req *schema.PutAccessPassword) (any, error) {
	c := call.From(ctx)
	cfg, err := s.UserConfig(ctx)
	if err != nil {
		return nil, err
	}
	if cfg.Users[req.Userid] == nil {
		return nil, noSuchUser(req.Userid)
	}
	if err := s.reauthenticate(ctx, c, req); err != nil {
		return nil, err
	}
	if err := s.SetPassword(ctx, req.Userid, req.Password); err != nil {
		return nil, err
	}
	s.log.Info("changed password", "user", req.Userid, "by", c.AuthID)
	s.opts.PasswordChanged(req.Userid)
	return nil, nil
}

// reauthenticate checks that the caller is who it says and may touch that user.
func (s *Service) reauthenticate(ctx context.Context, c call.Caller, req *schema.PutAccessPassword) error {
	_, _, isToken := usercfg.SplitTokenID(c.AuthID)
	switch {
	case c.AuthID == "" || isToken:
		return call.Forbidden("")
	case c.IsRoot():
		return nil
	case req.Userid == usercfg.Root:
		return call.Forbidden("")
	case req.Userid != c.AuthID:
		if _, realmID, _ := usercfg.SplitUserID(req.Userid); realmID == "pam" {
			return call.Forbidden("")
		}
	}
	if req.ConfirmationPassword == nil {
		return call.Param("confirmation-password", "password is required to modify user")
	}
	start := s.clock.Now()
	err := s.verifyPassword(ctx, c.AuthID, *req.ConfirmationPassword, c.Remote)
	if isRefusal(err) {
		s.failed(ctx, start, c.Remote, c.AuthID, errors.Join(errors.New("change of a password"), err))
		return call.Errorf("%w", err)
	}
	return err
}
