package hostnet

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/internal/atomicfile"
	"github.com/turtacn/go-proxmox/internal/hostnet/interfaces"
	"github.com/turtacn/go-proxmox/netkit"
)

// Boot is a start of the host.
type Boot struct {
	ID    string    // the kernel's, /proc/sys/kernel/random/boot_id; empty: not known
	Since time.Time // by the clock that files are stamped with
}

// ThisBoot reads the host's present boot; what cannot be read is left empty.
func ThisBoot() Boot {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return Boot{}
	}
	b := Boot{ID: strings.TrimSpace(string(id))}
	text, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return b
	}
	first, _, _ := strings.Cut(string(text), " ")
	if up, err := time.ParseDuration(first + "s"); err == nil {
		b.Since = time.Now().Add(-up)
	}
	return b
}

// stagedNote is the file that holds the boot in which the pending configuration was written, and the sum of that.
func (s *Service) stagedNote() string {
	return filepath.Join(filepath.Dir(s.file), ".gpve-interfaces.boot")
}

func sum(text string) string {
	h := sha256.Sum256([]byte(text))
	return hex.EncodeToString(h[:])
}

// noteStaged notes in which boot a text is staged.
func (s *Service) noteStaged(text string) error {
	if s.boot.ID == "" {
		return nil
	}
	return atomicfile.Write(s.stagedNote(), []byte(s.boot.ID+" "+sum(text)+"\n"), fileMode)
}

// bootedSince tells whether the host has started since the pending configuration was written. Somebody else's, who left no
// note, is dated by its time stamp.
func (s *Service) bootedSince(pending stored) (bool, error) {
	if s.boot.ID == "" {
		return false, nil
	}
	note, err := readStored(s.stagedNote())
	if err != nil {
		return false, err
	}
	if id, of, _ := strings.Cut(strings.TrimSpace(note.text), " "); of == sum(pending.text) {
		return id != s.boot.ID, nil
	}
	return pending.changed.Before(s.boot.Since), nil
}

// CommitAfterBoot puts a pending configuration in force if the host has started since it was staged: that is what a restart of a
// node means to a user of Proxmox VE. One that was staged since waits to be applied. Call it before guests start. It asks
// for nobody's confirmation. An error leaves the former configuration in force, and the pending one pending.
//
// What ifupdown alone can apply, Open vSwitch, becomes the current file, and takes effect at the next start of the host.
func (s *Service) CommitAfterBoot(ctx context.Context) error {
	active, pending, err := s.read()
	if err != nil || !pending.there {
		return err
	}
	if since, err := s.bootedSince(pending); err != nil || !since {
		return err
	}
	if s.conn != nil {
		if err := s.enforce(ctx, active.text, pending.text); err != nil {
			return fmt.Errorf("hostnet: the configuration staged before the host started: %w", err)
		}
	}
	if err := atomicfile.Write(s.file, []byte(pending.text), fileMode); err != nil {
		return err
	}
	s.log.Info("the network configuration that was staged before the host started is in force")
	return s.dropApplied(ctx, pending.text)
}

// enforce makes the kernel's network that of text, or leaves it as it is.
func (s *Service) enforce(ctx context.Context, active, text string) error {
	s.changes.Lock()
	defer s.changes.Unlock()
	have, err := s.conn.State(ctx)
	if err != nil {
		return err
	}
	live := liveOf(have.Links)
	wanted := interfaces.Parse(text, live)
	for name, e := range wanted.Ifaces {
		if strings.HasPrefix(e.Type(), "OVS") {
			s.log.Warn("Open vSwitch takes effect at the next start of the host", "interface", name)
			return nil
		}
	}
	w, err := desired(wanted, interfaces.Parse(active, live), have, s.own)
	if err != nil {
		return err
	}
	for _, note := range w.notes {
		s.log.Warn(note)
	}
	steps, err := netkit.PlanState(have, w.want, w.gone)
	if err != nil {
		return err
	}
	if err := s.conn.Apply(ctx, steps); err != nil {
		back := formerOf(have, w.want, steps)
		return errors.Join(err, s.restore(context.WithoutCancel(ctx), back, func(netkit.Step) {}))
	}
	return nil
}
