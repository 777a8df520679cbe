package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/turtacn/go-proxmox/internal/access/usercfg"
)

// secrets are the password hashes of a realm, by user name without the realm. As text: NAME:HASH: on each line.
type secrets map[string]string

func parseSecrets(text string) (secrets, []string) {
	sec := secrets{}
	var warnings []string
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		f := strings.Split(line, ":")
		if len(f) != 3 || f[0] == "" || f[1] == "" || f[2] != "" || strings.ContainsAny(line, " \t\r") {
			warnings = append(warnings, fmt.Sprintf("pve shadow password: ignore invalid line %d", n))
			continue
		}
		sec[f[0]] = f[1]
	}
	return sec, warnings
}

func (sec secrets) format() (string, error) {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(sec)) {
		if strings.ContainsAny(name+sec[name], ": \t\n\r") || name == "" {
			return "", &usercfg.FormatError{Record: "password of", Value: name}
		}
		fmt.Fprintf(&b, "%s:%s:\n", name, sec[name])
	}
	return b.String(), nil
}

// tokenSecrets are digests of the secrets of API tokens, by full token id. A secret is a random UUID, so that a plain
// SHA-256 is as good as a password hash, and cheap enough for every request.
type tokenSecrets map[string][sha256.Size]byte

const digestPrefix = "sha256:"

// parseTokenSecrets reads ID SECRET on each line, where a secret is a digest, or the UUID itself as Proxmox VE has it.
func parseTokenSecrets(text string) (tokenSecrets, []string) {
	t := tokenSecrets{}
	var warnings []string
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if len(f) == 2 {
			if _, _, ok := usercfg.SplitTokenID(f[0]); ok {
				if sum, ok := digest(f[1]); ok {
					t[f[0]] = sum
					continue
				}
			}
		}
		warnings = append(warnings, "skipping invalid token.cfg entry")
	}
	return t, warnings
}

func digest(secret string) (sum [sha256.Size]byte, ok bool) {
	if stored, found := strings.CutPrefix(secret, digestPrefix); found {
		n, err := hex.Decode(sum[:], []byte(stored[:min(len(stored), 2*sha256.Size)]))
		return sum, err == nil && n == sha256.Size && len(stored) == 2*sha256.Size
	}
	return sha256.Sum256([]byte(secret)), isUUID(secret)
}

// isUUID reports whether s has the form of a UUID.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (s[i] == '-') || !dash && !strings.ContainsRune("0123456789abcdefABCDEF", rune(s[i])) {
			return false
		}
	}
	return true
}

func (t tokenSecrets) set(id, secret string) { t[id] = sha256.Sum256([]byte(secret)) }

// verify compares in constant time; an unknown token takes as long as a wrong secret.
func (t tokenSecrets) verify(id, secret string) bool {
	want, ok := t[id]
	got := sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1 && ok
}

func (t tokenSecrets) format() (string, error) {
	var b strings.Builder
	for _, id := range slices.Sorted(maps.Keys(t)) {
		sum := t[id]
		fmt.Fprintf(&b, "%s %s%s\n", id, digestPrefix, hex.EncodeToString(sum[:]))
	}
	return b.String(), nil
}
