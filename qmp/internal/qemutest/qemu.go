package qemutest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/qmp"
)

// small keeps a QEMU cheap: it makes no devices that are not asked for, and a small code buffer.
var small = []string{"-m", "32", "-accel", "tcg,tb-size=16", "-nodefaults", "-display", "none"}

// Start starts a QEMU with the arguments and returns its monitor socket, at which it listens. It ends with the test.
func Start(t testing.TB, args ...string) string {
	t.Helper()
	return StartBinary(t, need.QEMU(t), args...)
}

// StartBinary is Start for a certain QEMU.
func StartBinary(t testing.TB, binary string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "qmp.sock")
	eventually(t, launch(t, binary, path, args), func() error {
		c, err := qmp.Dial(t.Context(), path, nil)
		if err == nil {
			c.Close()
		}
		return err
	})
	return path
}

// Open is Start with a session that has seen everything since the start. It is closed with the test.
func Open(t testing.TB, opts *qmp.Options, args ...string) *qmp.Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "qmp.sock")
	var c *qmp.Client
	eventually(t, launch(t, need.QEMU(t), path, args), func() (err error) {
		c, err = qmp.Dial(t.Context(), path, opts)
		return err
	})
	t.Cleanup(func() { c.Close() })
	return c
}

// launch returns a channel that is closed when QEMU has ended.
func launch(t testing.TB, binary, socket string, args []string) <-chan struct{} {
	t.Helper()
	args = append(append([]string(nil), small...), args...)
	cmd := exec.Command(binary, append(args, "-qmp", "unix:"+socket+",server=on,wait=off")...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatalf("qemutest: %v", err)
	}
	gone := make(chan struct{})
	go func() { _ = cmd.Wait(); close(gone) }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-gone
	})
	return gone
}

// eventually tries until QEMU is there.
func eventually(t testing.TB, gone <-chan struct{}, try func() error) {
	t.Helper()
	ticks := time.NewTicker(5 * time.Millisecond)
	defer ticks.Stop()
	late := time.After(30 * time.Second)
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-ticks.C:
		case <-gone:
			t.Fatalf("qemutest: QEMU has ended; before that: %v", err)
		case <-late:
			t.Fatalf("qemutest: QEMU does not answer: %v", err)
		}
	}
}
