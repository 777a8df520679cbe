package machine_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/tinyguest"
	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/internal/qemutest"
	"github.com/turtacn/go-proxmox/qmp/machine"
)

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
			tty := tinyguest.OpenConsole(t, filepath.Join(dir, "tty"), 2*time.Minute)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()

			require.NoError(t, c.Do(ctx, "cont", nil, nil))
			tty.Await("SYSLINUX") // QEMU never forgets what was asked at the first moment of a machine's clock
			short, stop := context.WithTimeout(ctx, 50*time.Millisecond)
			defer stop()
			require.ErrorIs(t, machine.Unplug(short, c, early), context.DeadlineExceeded, "the boot loader does not let it go")
			gone := make(chan error, 1)
			go func() { gone <- machine.Unplug(ctx, c, early) }()

			tty.Await(tinyguest.Up)
			require.NoError(t, <-gone) // before another event makes the guest look
			waitFor(tty, "! grep -q 52:54:00 /sys/class/net/*/address")
			require.NoError(t, machine.Plug(ctx, c, card))
			require.NoError(t, machine.Plug(ctx, c, more))
			waitFor(tty, "grep -q 52:54:00:12:00:02 /sys/class/net/*/address")
			waitFor(tty, "grep -q plugged.in /dev/vdb")
			require.NoError(t, machine.Unplug(ctx, c, more))
			require.NoError(t, machine.Unplug(ctx, c, card))
			waitFor(tty, "! grep -q 52:54:00:12:00:02 /sys/class/net/*/address")
			waitFor(tty, "[ ! -e /sys/block/vdb ]")
		})
	}
}

// waitFor has the guest's shell wait for a condition.
func waitFor(tty *tinyguest.Console, condition string) {
	tty.Run("until " + condition + "; do usleep 20000; done")
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
