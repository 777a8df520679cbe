package ticket

import (
	"strconv"
	"strings"
	"time"
)

const consolePrefix = "PVEVNC"

// passwordSize is what the VNC protocol uses of a password.
const passwordSize = 8

// Console is what a console ticket is bound to: who may connect, to which object, at which port.
type Console struct {
	AuthID string // user or token
	Path   string // ACL path of the object, such as /vms/100
	Port   int    // 0: not bound to a port
}

func (c Console) secret() string {
	s := c.AuthID + ":" + c.Path
	if c.Port != 0 {
		s += ":" + strconv.Itoa(c.Port)
	}
	return s
}

// Console returns a console ticket, PVEVNC:TIME::SIGNATURE, or PASSWORD:PVEVNC:TIME::SIGNATURE if password is not
// empty: eight characters without colon and blank, which viewers send as the VNC password.
func (k *Keys) Console(c Console, password string, now time.Time) string {
	head := consolePrefix + ":" + stamp(now)
	if password != "" {
		head = password + ":" + head
	}
	return k.sign(head, c.secret())
}

// VerifyConsole checks that the text is a console ticket for c and returns the password it shows, if any. That a ticket
// is used once only is up to the caller.
func (k *Keys) VerifyConsole(text string, c Console, now time.Time) (password string, err error) {
	head, issued, sig, err := split(text)
	if err != nil {
		return "", err
	}
	parts := strings.Split(head, ":")
	if len(parts) == 3 && len(parts[0]) == passwordSize {
		password, parts = parts[0], parts[1:]
	}
	if len(parts) != 2 || parts[0] != consolePrefix {
		return "", ErrMalformed
	}
	if err := k.verify(head, issued, sig, c.secret(), now, ConsoleLife); err != nil {
		return "", err
	}
	return password, nil
}
