package vm

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Guests live on while the daemon is away: those that run are found again, those that have ended are cleaned up behind.
func TestGuestsOutliveTheDaemon(t *testing.T) {
	s := newGuestSite(t)
	for _, id := range []int{100, 101, 102} {
		s.makeVM(id, "memory", 16, "scsi0", "local:1", "net0", "virtio,bridge=vmbr0")
		s.startVM(id)
	}
	s.ok(s.suspend(102))
	require.NoError(t, s.setVM(101, "cores", 2))
	pid, dead := s.pid(100), s.pid(101)
	started := s.guest(100).holds().Started
	s.halt()
	require.NoError(t, syscall.Kill(dead, syscall.SIGKILL))
	s.restart()
	require.Equal(t, pid, s.pid(100))
	require.Equal(t, started, s.guest(100).holds().Started)
	s.eventually("what a dying process leaves is cleaned up", func() bool { // it may still have been there at the restart
		_, err := os.Stat(s.runDir(101))
		return s.pid(101) == 0 && errors.Is(err, fs.ErrNotExist)
	})
	require.ElementsMatch(t, []string{"tap100i0", "tap102i0"}, s.taps())
	require.Equal(t, "2", s.conf(101).Main["cores"], "it has taken effect")
	require.Equal(t, "paused", s.current(102).QMPStatus)
	s.eventually("the list shows it, too", func() bool { return s.inv.Guest(102).Live.Status == "paused" })
	s.startVM(101)
	s.ok(s.resume(102))
}

// A clean-up that did not come to its end does not stand in the way of the next start, whatever the configuration is now.
func TestStartClearsLeftovers(t *testing.T) {
	s := newGuestSite(t)
	s.makeVM(100, "memory", 16, "net0", "virtio,bridge=vmbr0", "net1", "virtio,bridge=vmbr1")
	s.startVM(100)
	h := s.guest(100).holds()
	s.stopVM(100)
	require.NoError(t, s.makeRunDir(h, false))
	p := hostPort(100, 1, mustNet("virtio,bridge=vmbr1"), h.UID)
	require.NoError(t, s.net.CreatePort(s.root(), p))
	data := &Hold{Version: 1, ID: 100, Start: h.Start, UID: h.UID, Ports: h.Ports}
	_, err := s.store.Txn(s.root(), data.part(&s.Repository))
	require.NoError(t, err)
	require.NoError(t, s.setVM(100, "delete", "net1"))
	s.startVM(100)
	require.Equal(t, []string{"tap100i0"}, s.taps())
}

// A stop finds what a clean-up has left, too.
func TestStopClearsLeftovers(t *testing.T) {
	s := newGuestSite(t)
	s.makeVM(100, "memory", 16)
	h := &Hold{Version: 1, ID: 100, Start: "UPID:alpha:0:0:0:qmstart:100:root@pam:", UID: testUIDs.First, Ports: []string{"tap100i0"}, Reboot: false}
	require.NoError(t, s.makeRunDir(h, false))
	_, err := s.store.Txn(s.root(), h.part(&s.Repository))
	require.NoError(t, err)
	s.ok(s.stopTask(100))
	s.nothingHeld(100)
}
