package machine_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/tinyguest"
	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/internal/qemutest"
	"github.com/turtacn/go-proxmox/qmp/machine"
)

// console is the serial console of a guest, where its shell listens.
type console struct {
	net.Conn
	mu   sync.Mutex
	text bytes.Buffer
}

func openConsole(t *testing.T, path string) *console {
	t.Helper()
	conn, err := net.Dial("unix", path)
	require.NoError(t, err)
	c := &console{Conn: conn}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, err := conn.Read(buf)
			c.mu.Lock()
			c.text.Write(buf[:n])
			c.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
		if t.Failed() {
			t.Log(c.text.String())
		}
	})
	return c
}

// waitFor waits until the guest has printed a line that begins with the text.
func (c *console) waitFor(t *testing.T, text string) {
	t.Helper()
	require.Eventually(t, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return strings.Contains("\n"+c.text.String(), "\n"+text)
	}, 2*time.Minute, 20*time.Millisecond, text)
}

// until has the guest's shell wait for a condition.
func (c *console) until(t *testing.T, name, condition string) {
	t.Helper()
	_, err := fmt.Fprintf(c, "until %s; do usleep 20000; done; echo %s\n", condition, name)
	require.NoError(t, err)
	c.waitFor(t, name)
}

// TestGuestTakesAndLetsGo plugs a card and a disk into machines that a real guest runs on: it sees them, uses them, and lets them
// go. A card that it is asked for while it boots goes when it is asked again.
func TestGuestTakesAndLetsGo(t *testing.T) {
	disk := tinyguest.Disk(t)
	for board, buses := range map[string][]string{"pc": {"pci.0", "pci.0", "pci.0"}, "q35": {"rp1", "rp2", "rp3"}} {
		t.Run(board, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			image, err := os.ReadFile(disk)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "disk"), image, 0o600))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "more"), append([]byte("plugged in\n"), make([]byte, 1<<20-11)...), 0o600))

			early, card := machine.UserNet("early"), machine.UserNet("net1")
			early.Devices[0] = early.Devices[0].With(machine.Property{Name: "mac", Value: "52:54:00:12:00:01"})
			card.Devices[0] = card.Devices[0].With(machine.Property{Name: "mac", Value: "52:54:00:12:00:02"})
			more := machine.VirtioDisk("more", machine.Image("raw", filepath.Join(dir, "more")), 0)
			for i, u := range []machine.Unit{early, card, more} {
				u.Devices[0].Bus = buses[i]
			}
			c := qemutest.Open(t, nil, bootable(board, dir).Add(early).Args()...)
			tty := openConsole(t, filepath.Join(dir, "tty"))
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()

			require.NoError(t, c.Do(ctx, "cont", nil, nil))
			tty.waitFor(t, "SYSLINUX") // QEMU never forgets what was asked at the first moment of a machine's clock
			short, stop := context.WithTimeout(ctx, 50*time.Millisecond)
			defer stop()
			require.ErrorIs(t, machine.Unplug(short, c, early), context.DeadlineExceeded, "the boot loader does not let it go")
			gone := make(chan error, 1)
			go func() { gone <- machine.Unplug(ctx, c, early) }()

			tty.waitFor(t, tinyguest.Up)
			require.NoError(t, <-gone) // before another event makes the guest look
			tty.until(t, "NOEARLY", "! grep -q 52:54:00 /sys/class/net/*/address")
			require.NoError(t, machine.Plug(ctx, c, card))
			require.NoError(t, machine.Plug(ctx, c, more))
			tty.until(t, "CARD", "grep -q 52:54:00:12:00:02 /sys/class/net/*/address")
			tty.until(t, "DISK", "grep -q plugged.in /dev/vdb")
			require.NoError(t, machine.Unplug(ctx, c, more))
			require.NoError(t, machine.Unplug(ctx, c, card))
			tty.until(t, "NOCARD", "! grep -q 52:54:00:12:00:02 /sys/class/net/*/address")
			tty.until(t, "NODISK", "[ ! -e /sys/block/vdb ]")
		})
	}
}

// bootable is a stopped machine that boots the disk of dir and has room for what is plugged.
func bootable(board, dir string) *machine.Machine {
	m := machine.New("guest", board)
	m.Paused, m.Memory.SizeMiB, m.Board.Accel, m.Display.NoGraphic = true, 160, "", false // as qemutest has it
	if board == "q35" {
		for i := range 3 {
			id := fmt.Sprintf("rp%d", i+1)
			m.Add(machine.Device{Driver: "pcie-root-port", ID: id, Props: []machine.Property{{Name: "chassis", Value: i + 1}}}.Unit(id))
		}
	}
	return m.Add(machine.VirtioDisk("disk", machine.Image("qcow2", filepath.Join(dir, "disk")), 1), machine.SerialSocket(0, filepath.Join(dir, "tty")))
}

// TestUnplugOfWhatCannotGo ends at once: no guest is waited for.
func TestUnplugOfWhatCannotGo(t *testing.T) {
	m := room(t).Add(machine.Device{Driver: "virtio-rng-pci", ID: "fixed"}.Unit("fixed")) // pcie.0 has no hotplug
	c := qemutest.Open(t, nil, m.Args()...)
	var refused *qmp.Error
	require.ErrorAs(t, machine.Unplug(t.Context(), c, machine.Device{ID: "fixed"}.Unit("fixed")), &refused)
	require.Equal(t, "device_del", refused.Command)
}
