package ticket

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"time"
)

// CSRF returns the token that a browser must send along with writing calls of user, TIME:MAC. It is bound to the user,
// not to a ticket.
func (k *Keys) CSRF(user string, now time.Time) string {
	at := stamp(now)
	return at + ":" + base64.RawStdEncoding.EncodeToString(k.csrfMAC(at, user))
}

func (k *Keys) csrfMAC(at, user string) []byte {
	h := hmac.New(sha256.New, k.mac)
	h.Write([]byte(at + ":" + user))
	return h.Sum(nil)
}

// VerifyCSRF checks a token that was sent along with a call of user.
func (k *Keys) VerifyCSRF(token, user string, now time.Time) error {
	at, sum, ok := strings.Cut(token, ":")
	if !ok || len(sum) > base64.RawStdEncoding.EncodedLen(sha256.Size) {
		return ErrMalformed
	}
	issued, ok := parseStamp(at)
	if !ok {
		return ErrMalformed
	}
	mac, err := base64.RawStdEncoding.Strict().DecodeString(sum)
	if err != nil {
		return ErrMalformed
	}
	if !hmac.Equal(mac, k.csrfMAC(at, user)) {
		return ErrSignature
	}
	return checkAge(issued, now, Life)
}
