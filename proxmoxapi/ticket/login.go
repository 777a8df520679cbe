package ticket

import (
	"strings"
	"time"
)

const (
	loginPrefix     = "PVE:"
	challengePrefix = "!tfa!"
)

// Login returns a login ticket, PVE:USER:TIME::SIGNATURE. user has neither colon nor blank, as no user id has.
func (k *Keys) Login(user string, now time.Time) string {
	return k.sign(loginPrefix+user+":"+stamp(now), "")
}

// VerifyLogin returns whose ticket the text is and when it was issued. [ErrPartial] is a ticket that waits for a second
// factor: it proves a password and nothing more, and its signature is not checked here.
func (k *Keys) VerifyLogin(text string, now time.Time) (user string, issued time.Time, err error) {
	head, issued, sig, err := split(text)
	if err != nil {
		return "", time.Time{}, err
	}
	user, ok := loginData(head)
	if !ok {
		return "", time.Time{}, ErrMalformed
	}
	if strings.HasPrefix(user, challengePrefix) {
		return "", time.Time{}, ErrPartial
	}
	if err := k.verify(head, issued, sig, "", now, Life); err != nil {
		return "", time.Time{}, err
	}
	return user, issued, nil
}

// loginData returns the part between the prefix and the stamp.
func loginData(head string) (string, bool) {
	rest, ok := strings.CutPrefix(head, loginPrefix)
	if !ok || len(rest) < len("x:00000000") {
		return "", false
	}
	data := rest[:len(rest)-len(":00000000")]
	return data, !strings.Contains(data, ":")
}

// Challenge returns a ticket that waits for a second factor: it shows data (JSON without blanks, what the client needs
// to answer) and is bound to the user.
func (k *Keys) Challenge(user, data string, now time.Time) string {
	data = strings.ReplaceAll(data, ":", "%3A")
	return k.sign(loginPrefix+challengePrefix+data+":"+stamp(now), user)
}

// VerifyChallenge returns the data of a ticket that waits for the second factor of user.
func (k *Keys) VerifyChallenge(text, user string, now time.Time) (data string, err error) {
	head, issued, sig, err := split(text)
	if err != nil {
		return "", err
	}
	data, ok := loginData(head)
	if data, found := strings.CutPrefix(data, challengePrefix); ok && found && user != "" {
		if err := k.verify(head, issued, sig, user, now, ChallengeLife); err != nil {
			return "", err
		}
		return strings.ReplaceAll(data, "%3A", ":"), nil
	}
	return "", ErrMalformed
}

// IsLogin reports whether a text has the beginning of a login ticket, to tell tickets from passwords.
func IsLogin(text string) bool { return strings.HasPrefix(text, loginPrefix) }
