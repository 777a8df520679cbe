package hosttool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/internal/proc"
)

// ErrMissing says that a program is not installed on this host.
var ErrMissing = errors.New("program is not installed")

// ErrOutput says that a program printed more than it may.
var ErrOutput = errors.New("program prints too much")

// Command is one call of a program.
type Command struct {
	Name  string   // looked up in the system's folders
	Args  []string // without the name
	Stdin []byte   // nil: nothing
	Env   []string // NAME=value, beside PATH and LC_ALL=C
	Limit int      // bytes of output; 0: 16 MiB
}

// Runner runs commands. [Host] does; tests answer themselves.
type Runner interface {
	// Run returns what the program prints on its standard output, also with an *Error: some programs say in their exit code
	// what is no failure. ErrMissing, ErrOutput.
	Run(ctx context.Context, c Command) ([]byte, error)
}

// Error is a program that ended with an exit code other than 0, or by a signal.
type Error struct {
	Argv   []string
	Exit   int    // -1: a signal
	Stderr string // its last 4 KiB
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s: exit code %d", strings.Join(e.Argv, " "), e.Exit)
	if e.Stderr != "" {
		s += ": " + e.Stderr
	}
	return s
}

// Text is the last line that the program said, for people; empty if it said nothing.
func (e *Error) Text() string {
	lines := strings.Split(strings.TrimSpace(e.Stderr), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// Host runs programs on this host. It is safe for concurrent use.
type Host struct{}

// folders are where the system's programs lie, whatever the daemon's own PATH says.
func folders() []string {
	return []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}
}

// Find returns the path of a program. ErrMissing.
func Find(name string) (string, error) {
	if name == "" || strings.ContainsRune(name, '/') {
		return "", fmt.Errorf("%q: %w", name, ErrMissing)
	}
	for _, folder := range folders() {
		p := filepath.Join(folder, name)
		if fi, err := os.Stat(p); err == nil && fi.Mode().IsRegular() && fi.Mode()&0o111 != 0 {
			return p, nil
		}
	}
	return "", fmt.Errorf("%s: %w", name, ErrMissing)
}

// killPatience is how long the pipes of a killed program are waited for.
const killPatience = 2 * time.Second

// Run implements Runner.
func (Host) Run(ctx context.Context, c Command) ([]byte, error) {
	program, err := Find(c.Name)
	if err != nil {
		return nil, err
	}
	limit := c.Limit
	if limit == 0 {
		limit = 16 << 20
	}
	cmd := exec.CommandContext(ctx, program, c.Args...)
	cmd.Env = append([]string{"LC_ALL=C", "PATH=" + strings.Join(folders(), ":")}, c.Env...)
	cmd.Dir, cmd.WaitDelay = "/", killPatience
	group(cmd)
	if c.Stdin != nil {
		cmd.Stdin = bytes.NewReader(c.Stdin)
	}
	var printed bytes.Buffer
	out, complaint := &proc.Capped{W: &printed, Left: limit}, &proc.Tail{}
	cmd.Stdout, cmd.Stderr = out, complaint
	err = cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%s: %w", c.Name, context.Cause(ctx))
	case out.Left < 0:
		return nil, fmt.Errorf("%s: %w", c.Name, ErrOutput)
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return printed.Bytes(), &Error{Argv: append([]string{c.Name}, c.Args...), Exit: exit.ExitCode(), Stderr: complaint.String()}
	}
	return printed.Bytes(), err
}
