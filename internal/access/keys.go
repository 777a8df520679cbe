package access

import (
	"context"
	"fmt"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/proxmoxapi/ticket"
)

// keysSchema is how the keys of tickets are stored.
var keysSchema = cluster.Schema[*ticket.Keys]{Kind: "authkey", Version: 1}

// parseKeys reads the stored keys; nil means that there are none yet.
func parseKeys(text string) (*ticket.Keys, error) {
	if text == "" {
		return nil, nil
	}
	return keysSchema.Decode([]byte(text))
}

// ticketKeys returns the keys to check tickets with, nil if none was ever signed.
func (s *Service) ticketKeys(ctx context.Context) (*ticket.Keys, error) { return s.keys.get(ctx) }

// signingKeys returns the keys to sign with, made or rotated if it is time.
func (s *Service) signingKeys(ctx context.Context) (*ticket.Keys, error) {
	for range maxAttempts {
		v, err := s.keys.version(ctx)
		if err != nil {
			return nil, err
		}
		if v.err != nil {
			return nil, v.err
		}
		now := s.clock.Now()
		if v.value != nil && !v.value.Due(now) {
			return v.value, nil
		}
		if err := s.renewKeys(ctx); err != nil && !cluster.ConflictOn(err, authKey) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("access: keys of tickets keep changing")
}

// renewKeys replaces the stored keys if they are due. Another node may be faster: a conflict.
func (s *Service) renewKeys(ctx context.Context) error {
	kv, err := s.store.Get(ctx, authKey)
	if err != nil && !isNotFound(err) {
		return fmt.Errorf("access: %w", err)
	}
	old, err := parseKeys(string(kv.Value))
	if err != nil {
		return fmt.Errorf("access: %s: %w", authKey, err)
	}
	now := s.clock.Now()
	var fresh *ticket.Keys
	switch {
	case old == nil:
		fresh, err = ticket.Generate(s.rand, now)
	case old.Due(now):
		fresh, err = old.Rotate(s.rand, now)
	default:
		s.keys.install(kv.ModRev, string(kv.Value))
		return nil
	}
	if err != nil {
		return err
	}
	text, err := keysSchema.Encode(fresh)
	if err != nil {
		return err
	}
	rev, err := s.store.Txn(ctx, cluster.If(cluster.ModRev(authKey, kv.ModRev)), cluster.Put(authKey, text))
	if err != nil {
		return err
	}
	s.keys.install(rev, string(text))
	return nil
}
