package ticket

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Why a text is refused. What a client learns is the same for all of them.
var (
	ErrMalformed = errors.New("ticket: malformed")
	ErrSignature = errors.New("ticket: invalid signature")
	ErrExpired   = errors.New("ticket: expired")
	ErrFuture    = errors.New("ticket: from the future")
	ErrPartial   = errors.New("ticket: second factor is missing")
)

// maxText bounds what is looked at: a login ticket has about 160 bytes, a challenge with a WebAuthn request a few KiB.
const maxText = 16 << 10

var b64 = base64.StdEncoding.Strict()

// stamp prints a time as in tickets: Unix seconds, eight upper-case hexadecimal digits.
func stamp(t time.Time) string { return fmt.Sprintf("%08X", uint32(t.Unix())) }

func parseStamp(s string) (time.Time, bool) {
	if len(s) != 8 || strings.ToUpper(s) != s {
		return time.Time{}, false
	}
	n, err := strconv.ParseUint(s, 16, 32)
	return time.Unix(int64(n), 0), err == nil
}

// sign signs head, a text without line feed that ends with the stamp, together with what the ticket is bound to but does
// not show. Head has a fixed number of colons for its kind, so that no bound text can pass for another one.
func (k *Keys) sign(head, secret string) string {
	sig := ed25519.Sign(k.signing[0].private, signed(head, secret))
	return head + "::" + b64.EncodeToString(sig)
}

func signed(head, secret string) []byte {
	if secret == "" {
		return []byte(head)
	}
	return []byte(head + ":" + secret)
}

// split takes a text apart: what is before the stamp, the stamp, the signature.
func split(text string) (head string, issued time.Time, sig []byte, err error) {
	if len(text) > maxText {
		return "", time.Time{}, nil, ErrMalformed
	}
	for i := range len(text) {
		if text[i] <= ' ' || text[i] == 0x7f {
			return "", time.Time{}, nil, ErrMalformed
		}
	}
	head, b, ok := strings.Cut(text, "::")
	if !ok || len(b) != b64.EncodedLen(ed25519.SignatureSize) {
		return "", time.Time{}, nil, ErrMalformed
	}
	if sig, err = b64.DecodeString(b); err != nil {
		return "", time.Time{}, nil, ErrMalformed
	}
	if issued, ok = parseStamp(head[strings.LastIndexByte(head, ':')+1:]); !ok {
		return "", time.Time{}, nil, ErrMalformed
	}
	return head, issued, sig, nil
}

// verify checks signature and age. The age is looked at last: it says something about the ticket only if it is ours.
func (k *Keys) verify(head string, issued time.Time, sig []byte, secret string, now time.Time, life time.Duration) error {
	message, ok := signed(head, secret), false
	for i, key := range k.signing {
		if i > 0 && issued.After(k.signing[i-1].created.Add(Skew)) {
			break // its successor was in use by then
		}
		if ok = ed25519.Verify(key.private.Public().(ed25519.PublicKey), message, sig); ok {
			break
		}
	}
	if !ok {
		return ErrSignature
	}
	return checkAge(issued, now, life)
}

func checkAge(issued, now time.Time, life time.Duration) error {
	switch age := now.Sub(issued); {
	case age < -Skew:
		return ErrFuture
	case age > life:
		return ErrExpired
	}
	return nil
}
