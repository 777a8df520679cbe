// Package maker names what is not finished after the process that makes it, so that others leave it alone while that process
// lives, and whoever finds it later can tell that nobody will finish it.
package maker

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/internal/proc"
)

// Prefix is how the names of what is not finished begin.
const Prefix = "gpve-tmp."

// Is reports whether a name is one of what is not finished, whoever makes it.
func Is(name string) bool { return strings.HasPrefix(name, Prefix) }

// Machine is what other machines that use the same backend tell this one by: a word of ten hexadecimal digits, which does not
// tell the machine's own id to those who see it. use keeps the words of different backends apart.
func Machine(use string) string {
	id, _ := os.ReadFile("/etc/machine-id")
	text := strings.TrimSpace(string(id))
	if text == "" {
		text, _ = os.Hostname()
	}
	return digest(use + " " + text)
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:5])
}

// Maker is a process. A name of its own holds Prefix, the machine if there may be several, the boot, the pid, the start of the
// process, and something random.
type Maker struct {
	machine, boot string
	self          proc.Identity
}

// New returns this process on a machine, as [Machine] calls it; empty where the backend belongs to one machine at a time.
func New(machine string) Maker {
	self, _ := proc.Identify(os.Getpid()) // without /proc its start is 0, and then always: the pid alone must tell
	return Maker{machine: machine, boot: digest(self.Boot), self: self}
}

// Name returns another name each time.
func (m Maker) Name() string {
	return m.prefix() + strings.Join([]string{m.boot, strconv.Itoa(m.self.PID), strconv.FormatUint(m.self.Start, 10), rand.Text()[:10]}, ".")
}

// prefix is how the names of this machine begin.
func (m Maker) prefix() string {
	if m.machine == "" {
		return Prefix
	}
	return Prefix + m.machine + "."
}

// Abandoned reports whether a name was given by a process of this machine that is gone. Another machine's names never are.
func (m Maker) Abandoned(name string) bool {
	rest, ok := strings.CutPrefix(name, m.prefix())
	f := strings.Split(rest, ".")
	if !ok || len(f) != 4 {
		return false
	}
	pid, err := strconv.Atoi(f[1])
	if err != nil {
		return false
	}
	if f[0] != m.boot {
		return true
	}
	now, err := proc.Identify(pid)
	return err != nil || strconv.FormatUint(now.Start, 10) != f[2]
}
