package tinyguest

import (
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Console is the guest's serial console, behind which a shell listens. It is for one goroutine.
type Console struct {
	t     testing.TB
	limit time.Duration
	conn  net.Conn
	said  strings.Builder
	asked int
}

// OpenConsole connects to the socket of the console, as soon as QEMU has made it. limit is how long the guest may take to say
// what is waited for. The test closes it at its end.
func OpenConsole(t testing.TB, socket string, limit time.Duration) *Console {
	t.Helper()
	c := &Console{t: t, limit: limit}
	require.Eventually(t, func() (ok bool) {
		var err error
		c.conn, err = net.Dial("unix", socket)
		return err == nil
	}, time.Minute, 20*time.Millisecond, "the console %s", socket)
	t.Cleanup(func() { c.conn.Close() })
	return c
}

// Await waits until the guest has said a line that begins with text.
func (c *Console) Await(text string) {
	c.t.Helper()
	c.until(regexp.MustCompile("(?m)^" + regexp.QuoteMeta(text)))
}

// Run has the shell do something, and returns what that prints.
func (c *Console) Run(command string) string {
	c.t.Helper()
	c.asked++
	c.said.Reset()
	_, err := fmt.Fprintf(c.conn, "%s; echo asked-$((%d+0))\n", command, c.asked) // the terminal shows the command, too
	require.NoError(c.t, err)
	return c.until(regexp.MustCompile(fmt.Sprintf(`(?s)\n.*asked-%d\r`, c.asked)))
}

// until reads what the guest says until something that matches is said, and returns that.
func (c *Console) until(what *regexp.Regexp) string {
	c.t.Helper()
	require.NoError(c.t, c.conn.SetReadDeadline(time.Now().Add(c.limit)))
	for buf := make([]byte, 4096); ; {
		if found := what.FindString(c.said.String()); found != "" {
			return found
		}
		n, err := c.conn.Read(buf)
		require.NoError(c.t, err, "the guest said %q", &c.said)
		c.said.Write(buf[:n])
	}
}
