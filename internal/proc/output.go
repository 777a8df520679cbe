package proc

import (
	"errors"
	"io"
	"strings"
)

// StderrKeep is how much of what a command complains about is worth keeping, in bytes.
const StderrKeep = 4 << 10

// Tail keeps the last StderrKeep bytes written to it. The zero value is ready.
type Tail struct{ buf []byte }

func (t *Tail) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - StderrKeep; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

// String is what was kept, without the blanks around it.
func (t *Tail) String() string { return strings.TrimSpace(string(t.buf)) }

// ErrOutput is a command that prints more than anybody can use.
var ErrOutput = errors.New("output too long")

// Capped passes on what is written to it. The write after which it would be more than Left bytes is ErrOutput, and so are all
// that follow.
type Capped struct {
	W    io.Writer
	Left int
}

func (c *Capped) Write(p []byte) (int, error) {
	if c.Left -= len(p); c.Left < 0 {
		return 0, ErrOutput
	}
	return c.W.Write(p)
}
