package access

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/turtacn/go-proxmox/internal/access/usercfg"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

func noSuchToken(user, token string) error {
	return call.Errorf("no such token '%s' for user '%s'", token, user)
}

// GetAccessUsersToken lists the tokens of a user.
func (s *Service) GetAccessUsersToken(ctx context.Context, req *schema.GetAccessUsersToken) ([]schema.GetAccessUsersTokenRow, error) {
	cfg, err := s.UserConfig(ctx)
	if err != nil {
		return nil, err
	}
	u := cfg.Users[req.Userid]
	if u == nil {
		return nil, noSuchUser(req.Userid)
	}
	rows := []schema.GetAccessUsersTokenRow{}
	for _, name := range slices.Sorted(maps.Keys(u.Tokens)) {
		t := u.Tokens[name]
		rows = append(rows, schema.GetAccessUsersTokenRow{Tokenid: name, Expire: &t.Expire, Privsep: new(schema.Bool(t.PrivSep)), Comment: text(t.Comment)})
	}
	return rows, nil
}

// GetAccessUsersTokenTokenid shows one token.
func (s *Service) GetAccessUsersTokenTokenid(ctx context.Context, req *schema.GetAccessUsersTokenTokenid) (*schema.GetAccessUsersTokenTokenidReply, error) {
	cfg, err := s.UserConfig(ctx)
	if err != nil {
		return nil, err
	}
	t, err := tokenOf(cfg, req.Userid, req.Tokenid)
	if err != nil {
		return nil, err
	}
	return &schema.GetAccessUsersTokenTokenidReply{Expire: &t.Expire, Privsep: new(schema.Bool(t.PrivSep)), Comment: text(t.Comment)}, nil
}

func tokenOf(cfg *usercfg.Config, user, token string) (*usercfg.Token, error) {
	u := cfg.Users[user]
	if u == nil {
		return nil, noSuchUser(user)
	}
	t := u.Tokens[token]
	if t == nil {
		return nil, noSuchToken(user, token)
	}
	return t, nil
}

// newSecret returns the secret of a token: a random UUID in lower case, which clients insist on.
func (s *Service) newSecret() (string, error) {
	id, err := uuid.NewRandomFromReader(s.rand)
	if err != nil {
		return "", fmt.Errorf("access: token secret: %w", err)
	}
	return id.String(), nil
}

// PostAccessUsersTokenTokenid makes a token. Its secret is shown in this answer and never again.
func (s *Service) PostAccessUsersTokenTokenid(ctx context.Context, req *schema.PostAccessUsersTokenTokenid) (*schema.PostAccessUsersTokenTokenidReply, error) {
	id := req.Userid + "!" + req.Tokenid
	secret, err := s.newSecret()
	if err != nil {
		return nil, err
	}
	t := &usercfg.Token{PrivSep: schema.Value(req.Privsep, true), Expire: schema.Value(req.Expire, 0), Comment: schema.Value(req.Comment, "")}
	err = s.apply(ctx, func(c *change) error {
		cfg, err := c.users()
		if err != nil {
			return err
		}
		u := cfg.Users[req.Userid]
		if u == nil {
			return noSuchUser(req.Userid)
		}
		if u.Tokens[req.Tokenid] != nil {
			return call.Param("tokenid", "Token already exists.")
		}
		u.Tokens[req.Tokenid] = t
		return c.setTokenSecret(id, secret)
	})
	if err != nil {
		return nil, prefixed("generating token failed", err)
	}
	return &schema.PostAccessUsersTokenTokenidReply{
		FullTokenid: id, Value: secret,
		Info: schema.PostAccessUsersTokenTokenidReplyInfo{Comment: text(t.Comment), Expire: req.Expire, Privsep: new(schema.Bool(t.PrivSep))},
	}, nil
}

func (c *change) setTokenSecret(id, secret string) error {
	tokens, err := c.tokens()
	if err == nil {
		tokens.set(id, secret)
	}
	return err
}

// PutAccessUsersTokenTokenid changes what is given, and with regenerate replaces the secret, which ends the old one.
func (s *Service) PutAccessUsersTokenTokenid(ctx context.Context, req *schema.PutAccessUsersTokenTokenid) (*schema.PutAccessUsersTokenTokenidReply, error) {
	clearComment := false
	for _, key := range usercfg.SplitList(schema.Value(req.Delete, "")) {
		if key != "comment" {
			return nil, call.Param("delete", "unknown option '%s'", key)
		}
		clearComment = true
	}
	id := req.Userid + "!" + req.Tokenid
	var secret string
	if schema.Value(req.Regenerate, false) {
		var err error
		if secret, err = s.newSecret(); err != nil {
			return nil, err
		}
	}
	var out *schema.PutAccessUsersTokenTokenidReply
	err := s.apply(ctx, func(c *change) error {
		cfg, err := c.users()
		if err != nil {
			return err
		}
		t, err := tokenOf(cfg, req.Userid, req.Tokenid)
		if err != nil {
			return err
		}
		set(&t.PrivSep, req.Privsep)
		set(&t.Expire, req.Expire)
		set(&t.Comment, req.Comment)
		if clearComment {
			t.Comment = ""
		}
		out = &schema.PutAccessUsersTokenTokenidReply{Comment: text(t.Comment), Expire: &t.Expire, Privsep: new(schema.Bool(t.PrivSep))}
		if secret == "" {
			return nil
		}
		out.Value, out.FullTokenid = &secret, &id
		return c.setTokenSecret(id, secret)
	})
	if err != nil {
		return nil, prefixed("updating token info failed", err)
	}
	return out, nil
}

// DeleteAccessUsersTokenTokenid removes a token with its secret and permissions.
func (s *Service) DeleteAccessUsersTokenTokenid(ctx context.Context, req *schema.DeleteAccessUsersTokenTokenid) (any, error) {
	id := req.Userid + "!" + req.Tokenid
	return nil, prefixed("deleting token failed", s.apply(ctx, func(c *change) error {
		cfg, err := c.users()
		if err != nil {
			return err
		}
		if _, err := tokenOf(cfg, req.Userid, req.Tokenid); err != nil {
			return err
		}
		cfg.DropToken(id)
		tokens, err := c.tokens()
		if err == nil {
			delete(tokens, id)
		}
		return err
	}))
}
