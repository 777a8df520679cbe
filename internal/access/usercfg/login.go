package usercfg

import (
	"fmt"
	"time"
)

// LoginError says why an account may not be used. Its text is for the log; clients learn that authentication failed.
type LoginError struct{ Text string }

func (e *LoginError) Error() string { return e.Text }

func refuse(format string, args ...any) error { return &LoginError{fmt.Sprintf(format, args...)} }

func expired(at int64, now time.Time) bool { return at > 0 && at < now.Unix() }

// CheckUser returns a *[LoginError] unless the user exists, is enabled and not expired. Tickets and tokens are checked
// with every use, so that disabling an account ends them at once.
func (c *Config) CheckUser(user string, now time.Time) error {
	u := c.Users[user]
	switch {
	case u == nil:
		return refuse("no such user ('%s')", user)
	case !u.Enable:
		return refuse("user '%s' is disabled", user)
	case expired(u.Expire, now):
		return refuse("user '%s' access expired", user)
	}
	return nil
}

// CheckAuthID is [Config.CheckUser] for the user of an auth id, and for a token also that it exists and is not expired.
func (c *Config) CheckAuthID(authID string, now time.Time) error {
	user, name, isToken := SplitTokenID(authID)
	if !isToken {
		return c.CheckUser(authID, now)
	}
	if err := c.CheckUser(user, now); err != nil {
		return err
	}
	t := c.Users[user].Tokens[name]
	switch {
	case t == nil:
		return refuse("no such token '%s' for user '%s'", name, user)
	case expired(t.Expire, now):
		return refuse("token '%s' access expired", name)
	}
	return nil
}
