package zfs

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
	"time"

	"github.com/turtacn/go-proxmox/internal/proc"
	"github.com/turtacn/go-proxmox/storage"
)

// temporary makes the names of datasets and snapshots that are no volumes. A name says which process made it: tempPrefix, boot,
// pid, start of the process, and something random. A pool belongs to one machine at a time.
type temporary struct {
	boot string
	self proc.Identity
}

const (
	tempPrefix = "gpve-tmp."
	// cleanUpTime bounds what is undone after a context has ended.
	cleanUpTime = time.Minute
)

func newTemporary() temporary {
	self, _ := proc.Identify(os.Getpid()) // without /proc its start is 0, and then always: the pid alone must tell
	return temporary{boot: shortBoot(), self: self}
}

// shortBoot tells one boot from another.
func shortBoot() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // without /proc there is no ZFS either
	sum := sha256.Sum256(id)
	return hex.EncodeToString(sum[:4])
}

func (t temporary) name() string {
	return fmt.Sprintf("%s%s.%d.%d.%s", tempPrefix, t.boot, t.self.PID, t.self.Start, rand.Text()[:10])
}

func isTemporary(name string) bool { return strings.HasPrefix(name, tempPrefix) }

// abandoned reports whether a name was given by a process that is gone.
func (t temporary) abandoned(name string) bool {
	rest, ok := strings.CutPrefix(name, tempPrefix)
	f := strings.Split(rest, ".")
	if !ok || len(f) != 4 {
		return false
	}
	pid, err := strconv.Atoi(f[1])
	if err != nil {
		return false
	}
	if f[0] != t.boot {
		return true
	}
	now, err := proc.Identify(pid)
	return err != nil || strconv.FormatUint(now.Start, 10) != f[2]
}

// Sweep implements storage.Sweeper: it removes what dead processes left unfinished, datasets and snapshots of sources.
func (d *Driver) Sweep(ctx context.Context) (int, error) {
	n, err := d.sweep(ctx)
	return n, d.fail("sweep", "", err)
}

func (d *Driver) sweep(ctx context.Context) (int, error) {
	out, err := d.tool.run(ctx, "list", "-H", "-d", "2", "-t", "filesystem,volume,snapshot", "-o", "name", d.dataset)
	if err != nil {
		return 0, unavailable(err)
	}
	var n int
	var errs []error
	err = rows(out, func(name string) error {
		rest, ok := strings.CutPrefix(name, d.dataset+"/")
		volume, snap, isSnapshot := strings.Cut(rest, "@")
		switch {
		case !ok || isTemporary(volume) && isSnapshot: // goes with its dataset
			return nil
		case isSnapshot && !d.temp.abandoned(snap), !isSnapshot && !d.temp.abandoned(volume):
			return nil
		}
		switch err := d.destroy(ctx, name); {
		case err == nil:
			n++
		case !errors.Is(err, storage.ErrNotFound) && !errors.Is(err, storage.ErrInUse): // a program of that process still ends
			errs = append(errs, err)
		}
		return nil
	})
	return n, errors.Join(append(errs, err)...)
}

// discard destroys what was never a volume, whatever has become of ctx. What is not there is fine.
func (d *Driver) discard(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTime)
	defer cancel()
	err := d.destroy(ctx, name)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	return err
}
