package access

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// secondFactors is what is read of priv/tfa.cfg: who has entries, and which. Entries are not made here yet; those of a
// file from elsewhere must keep their owners from logging in without them.
type secondFactors map[string][]factor

type factor struct {
	ID          string `json:"id"`
	Type        string `json:"-"`
	Description string `json:"description"`
	Created     int64  `json:"created"`
	Enable      bool   `json:"enable"`
}

func parseSecondFactors(text string) (secondFactors, error) {
	if text == "" {
		return nil, nil
	}
	var file struct {
		Users map[string]struct {
			TOTP, U2F, WebAuthn, Yubico []factor
			Recovery                    *factor
		} `json:"users"`
	}
	if err := json.Unmarshal([]byte(text), &file); err != nil {
		return nil, fmt.Errorf("second factors: %w", err)
	}
	out := secondFactors{}
	for user, u := range file.Users {
		for _, list := range []struct {
			kind    string
			entries []factor
		}{{"totp", u.TOTP}, {"u2f", u.U2F}, {"webauthn", u.WebAuthn}, {"yubico", u.Yubico}} {
			for _, f := range list.entries {
				f.Type = list.kind
				out[user] = append(out[user], f)
			}
		}
		if u.Recovery != nil {
			out[user] = append(out[user], factor{ID: "recovery", Type: "recovery", Created: u.Recovery.Created, Enable: true})
		}
	}
	return out, nil
}

// required reports whether the user has a factor that counts at login.
func (f secondFactors) required(user string) bool {
	for _, e := range f[user] {
		if e.Enable {
			return true
		}
	}
	return false
}

// GetAccessTfa lists the second factors of those users that the caller may see and that have any.
func (s *Service) GetAccessTfa(ctx context.Context, _ *schema.GetAccessTfa) ([]schema.GetAccessTfaRow, error) {
	v, err := s.Viewer(ctx)
	if err != nil {
		return nil, err
	}
	factors, err := s.tfa.get(ctx)
	if err != nil {
		return nil, err
	}
	rows := []schema.GetAccessTfaRow{}
	for _, user := range v.visibleUsers() {
		if len(factors[user]) == 0 {
			continue
		}
		row := schema.GetAccessTfaRow{Userid: user}
		for _, f := range factors[user] {
			row.Entries = append(row.Entries, schema.GetAccessTfaRowEntries{
				Created: f.Created, Description: f.Description, Enable: new(schema.Bool(f.Enable)), Id: f.ID, Type: f.Type,
			})
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// GetAccessTfaUserid lists the second factors of a user.
func (s *Service) GetAccessTfaUserid(ctx context.Context, req *schema.GetAccessTfaUserid) ([]schema.GetAccessTfaUseridRow, error) {
	factors, err := s.tfa.get(ctx)
	if err != nil {
		return nil, err
	}
	rows := []schema.GetAccessTfaUseridRow{}
	for _, f := range factors[req.Userid] {
		rows = append(rows, schema.GetAccessTfaUseridRow{
			Created: f.Created, Description: f.Description, Enable: new(schema.Bool(f.Enable)), Id: f.ID, Type: f.Type,
		})
	}
	return rows, nil
}

// UserTFA is the answer of GET /access/users/{userid}/tfa, where Proxmox VE gives a list in a member declared as text.
type UserTFA struct {
	schema.GetAccessUsersTfaReply
	User []string `json:"user,omitempty"`
}

// GetAccessUsersTfa tells which kind of second factor the user's realm demands, and with multiple which kinds the user has.
func (s *Service) GetAccessUsersTfa(ctx context.Context, req *schema.GetAccessUsersTfa) (any, error) {
	var reply UserTFA
	domains, err := s.domains.get(ctx)
	if err != nil {
		return nil, err
	}
	factors, err := s.tfa.get(ctx)
	if err != nil {
		return nil, err
	}
	if kind := domains.TFA(req.Userid); kind != "" {
		reply.Realm = &kind
	}
	if schema.Value(req.Multiple, false) {
		for _, f := range factors[req.Userid] {
			if !slices.Contains(reply.User, f.Type) {
				reply.User = append(reply.User, f.Type)
			}
		}
	}
	return reply, nil
}
