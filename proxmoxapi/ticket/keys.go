package ticket

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Ages of what this package signs.
const (
	Life          = 2 * time.Hour    // of a login ticket and of a CSRF token
	ChallengeLife = 2 * time.Minute  // of a ticket that waits for a second factor
	ConsoleLife   = 40 * time.Second // of a console ticket
	Skew          = 5 * time.Minute  // by which a ticket may be from the future, the clocks of a cluster never being one
	RotateAfter   = 24 * time.Hour   // age at which a signing key is due to be replaced
)

const macKeySize = 32

// Keys are the keys of a cluster: the signing key, the one before it, and the key of CSRF tokens. Immutable.
type Keys struct {
	signing []signingKey // newest first, one or two
	mac     []byte
}

type signingKey struct {
	created time.Time
	private ed25519.PrivateKey
}

// Generate makes the first keys of a cluster. random must be cryptographically strong; its errors are returned.
func Generate(random io.Reader, now time.Time) (*Keys, error) {
	mac := make([]byte, macKeySize)
	if _, err := io.ReadFull(random, mac); err != nil {
		return nil, fmt.Errorf("ticket: generate: %w", err)
	}
	return (&Keys{mac: mac}).Rotate(random, now)
}

// Due reports whether the signing key is old enough to be rotated.
func (k *Keys) Due(now time.Time) bool { return now.Sub(k.signing[0].created) >= RotateAfter }

// Rotate returns keys with a new signing key. The present one stays valid for what was signed before; the one before it goes.
func (k *Keys) Rotate(random io.Reader, now time.Time) (*Keys, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(random, seed); err != nil {
		return nil, fmt.Errorf("ticket: rotate: %w", err)
	}
	fresh := &Keys{mac: k.mac, signing: []signingKey{{now.Truncate(time.Second), ed25519.NewKeyFromSeed(seed)}}}
	if len(k.signing) > 0 {
		fresh.signing = append(fresh.signing, k.signing[0])
	}
	return fresh, nil
}

type keysJSON struct {
	Signing []signingJSON `json:"signing"`
	MAC     []byte        `json:"mac"`
}

type signingJSON struct {
	Created int64  `json:"created"` // Unix seconds
	Seed    []byte `json:"seed"`
}

// MarshalJSON returns the keys as they are stored, in the clear.
func (k *Keys) MarshalJSON() ([]byte, error) {
	j := keysJSON{MAC: k.mac}
	for _, s := range k.signing {
		j.Signing = append(j.Signing, signingJSON{s.created.Unix(), s.private.Seed()})
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads stored keys; k must be fresh.
func (k *Keys) UnmarshalJSON(data []byte) error {
	var j keysJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	if len(j.MAC) != macKeySize || len(j.Signing) < 1 || len(j.Signing) > 2 {
		return errors.New("ticket: stored keys are incomplete")
	}
	k.mac, k.signing = j.MAC, nil
	for _, s := range j.Signing {
		if len(s.Seed) != ed25519.SeedSize {
			return errors.New("ticket: stored key has a wrong size")
		}
		k.signing = append(k.signing, signingKey{time.Unix(s.Created, 0), ed25519.NewKeyFromSeed(s.Seed)})
	}
	return nil
}
