package rbd

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/internal/proc"
	"github.com/turtacn/go-proxmox/storage"
)

// temporary makes the names of images that are not finished. A name says on which machine and by which process, so that others
// leave it alone while that process lives: tempPrefix, machine, boot, pid, start of the process, and something random.
type temporary struct {
	machine, boot string
	self          proc.Identity
}

const tempPrefix = "gpve-tmp."

func newTemporary() temporary {
	t := temporary{machine: machineID(), boot: digest(read("/proc/sys/kernel/random/boot_id"))}
	t.self, _ = proc.Identify(os.Getpid()) // without /proc its start is 0, and then always: the pid alone must tell
	return t
}

func read(path string) string {
	b, _ := os.ReadFile(path)
	return strings.TrimSpace(string(b))
}

func machineID() string {
	if id := read("/etc/machine-id"); id != "" {
		return digest(id)
	}
	host, _ := os.Hostname()
	return digest(host)
}

// digest shortens what need not be told to everybody who sees the pool.
func digest(s string) string {
	sum := sha256.Sum256([]byte("gpve-rbd " + s))
	return hex.EncodeToString(sum[:5])
}

func (t temporary) name() string {
	return fmt.Sprintf("%s%s.%s.%d.%d.%s", tempPrefix, t.machine, t.boot, t.self.PID, t.self.Start, rand.Text()[:10])
}

func (t temporary) is(name string) bool { return strings.HasPrefix(name, tempPrefix) }

// abandoned reports whether a name was given by a process of this machine that is gone.
func (t temporary) abandoned(name string) bool {
	rest, ok := strings.CutPrefix(name, tempPrefix)
	f := strings.Split(rest, ".")
	if !ok || len(f) != 5 || f[0] != t.machine {
		return false
	}
	pid, err := strconv.Atoi(f[2])
	if err != nil {
		return false
	}
	if f[1] != t.boot {
		return true
	}
	now, err := proc.Identify(pid)
	return err != nil || strconv.FormatUint(uint64(now.Start), 10) != f[3]
}

// Sweep removes what dead processes of this machine left unfinished, and says how much. What another machine's left is hers.
func (d *Driver) Sweep(ctx context.Context) (int, error) {
	names, err := d.tool.names(ctx)
	if err != nil {
		return 0, d.fail("sweep", "", err)
	}
	var n int
	var errs []error
	for _, name := range names {
		if !d.temp.abandoned(name) {
			continue
		}
		switch err := d.drop(ctx, name); {
		case err == nil:
			n++
		case !errors.Is(err, storage.ErrNotFound) && !errors.Is(err, storage.ErrInUse): // a program of that process still ends
			errs = append(errs, err)
		}
	}
	return n, d.fail("sweep", "", errors.Join(errs...))
}

// drop removes an image that was never a volume.
func (d *Driver) drop(ctx context.Context, name string) error {
	_, err := d.tool.rbd(ctx, call{args: append([]string{"rm", "--no-progress"}, d.tool.image(name, "")...)})
	return err
}
