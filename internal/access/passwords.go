package access

import (
	"context"
	"errors"
	"fmt"

	"github.com/turtacn/go-proxmox/internal/access/password"
	"github.com/turtacn/go-proxmox/internal/access/realm"
	"github.com/turtacn/go-proxmox/internal/access/usercfg"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// maxPasswordBytes is more than any password that can be set has.
const maxPasswordBytes = 1024

// Texts of a password check, of the realms themselves.
var (
	errNoPassword   = errors.New("no password")
	errNotSet       = errors.New("no password set")
	errInvalid      = errors.New("invalid credentials")
	errTooMany      = errors.New("too many failed logins from this address")
	errNoRealmLogin = errors.New("logins to realms of this type are not supported")
	errOpenIDRealm  = errors.New("OpenID realm does not allow password verification.")
	errNoSuchRealm  = errors.New("auth domain does not exist")
	errUnreadable   = errors.New("stored password hash is of an unsupported kind")
)

// verifyPassword checks the password of a user that may log in. A refusal is one of the errors above; the store's and
// the context's errors are others. Unknown users cost as much time as known ones.
func (s *Service) verifyPassword(ctx context.Context, userID, pw, remote string) error {
	if pw == "" {
		return errNoPassword
	}
	if s.limit.blocked(remote, s.clock.Now()) {
		return errTooMany
	}
	err := s.comparePassword(ctx, userID, pw)
	if isRefusal(err) {
		s.limit.fail(remote, s.clock.Now())
	}
	return err
}

func isRefusal(err error) bool {
	for _, e := range []error{errNoPassword, errNotSet, errInvalid, errTooMany, errNoRealmLogin, errOpenIDRealm, errNoSuchRealm, errUnreadable} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (s *Service) comparePassword(ctx context.Context, userID, pw string) error {
	name, realmID, ok := usercfg.SplitUserID(userID)
	if !ok {
		return errors.Join(errInvalid, s.hasher.Waste(ctx, pw))
	}
	cache, err := s.passwordsOf(ctx, realmID)
	if err != nil {
		return err
	}
	stored, err := cache.get(ctx)
	if err != nil {
		return err
	}
	hash, found := stored[name]
	switch {
	case len(pw) > maxPasswordBytes:
		return errInvalid // longer than any that can be set, and hashing takes its time
	case !found:
		if err := s.hasher.Waste(ctx, pw); err != nil {
			return err
		}
		return errNotSet
	}
	match, stale, err := s.hasher.Verify(ctx, hash, pw)
	switch {
	case errors.Is(err, password.ErrUnsupported):
		return errUnreadable
	case err != nil:
		return err
	case !match:
		return errInvalid
	}
	if stale {
		s.rehash(ctx, cache, name, hash, pw)
	}
	return nil
}

// passwordsOf returns where the passwords of a realm are kept.
func (s *Service) passwordsOf(ctx context.Context, realmID string) (*cached[secrets], error) {
	domains, err := s.domains.get(ctx)
	if err != nil {
		return nil, err
	}
	r := domains.Get(realmID)
	switch {
	case r == nil:
		return nil, errNoSuchRealm
	case r.Type == realm.PVE:
		return &s.shadow, nil
	case r.Type == realm.PAM:
		return &s.pam, nil
	case r.Type == realm.OpenID:
		return nil, errOpenIDRealm
	}
	return nil, errNoRealmLogin
}

// rehash replaces a hash that came from elsewhere, unless it changed meanwhile. The login does not depend on it.
func (s *Service) rehash(ctx context.Context, cache *cached[secrets], name, old, pw string) {
	fresh, err := s.hasher.Hash(ctx, pw)
	if err == nil {
		err = s.apply(ctx, func(c *change) error {
			sec, err := c.secrets(cache)
			if err == nil && sec[name] == old {
				sec[name] = fresh
			}
			return err
		})
	}
	if err != nil {
		s.log.Warn("rehash of an imported password", "key", cache.key, "error", err)
	}
}

// passwordFor hashes a new password for a user and returns the step that stores it, for use inside a change.
func (s *Service) passwordFor(ctx context.Context, userID, pw string) (func(*change) error, error) {
	name, realmID, ok := usercfg.SplitUserID(userID)
	if !ok {
		return nil, call.Errorf("value '%s' does not look like a valid user name", userID)
	}
	domains, err := s.domains.get(ctx)
	if err != nil {
		return nil, err
	}
	r := domains.Get(realmID)
	if r == nil {
		return nil, call.Errorf("auth domain '%s' does not exist", realmID)
	}
	cache, err := s.passwordsOf(ctx, realmID)
	if err != nil {
		return nil, call.Errorf("can't set password on auth type '%s'", r.Type)
	}
	hash, err := s.hasher.Hash(ctx, pw)
	if err != nil {
		return nil, err
	}
	return func(c *change) error {
		sec, err := c.secrets(cache)
		if err != nil {
			return err
		}
		sec[name] = hash
		return nil
	}, nil
}

// SetPassword sets the password of a user without asking for anything: the way in for an administrator of the machine.
// The user must exist, except root@pam, which always does.
func (s *Service) SetPassword(ctx context.Context, userID, pw string) error {
	if pw == "" || len(pw) > maxPasswordBytes {
		return fmt.Errorf("access: a password has 1 to %d bytes", maxPasswordBytes)
	}
	store, err := s.passwordFor(ctx, userID, pw)
	if err != nil {
		return err
	}
	return s.apply(ctx, func(c *change) error {
		cfg, err := c.users()
		if err != nil {
			return err
		}
		if cfg.Users[userID] == nil {
			return noSuchUser(userID)
		}
		return store(c)
	})
}

// SetRootPassword is [Service.SetPassword] for root@pam.
func (s *Service) SetRootPassword(ctx context.Context, pw string) error {
	return s.SetPassword(ctx, usercfg.Root, pw)
}
