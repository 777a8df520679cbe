package vm

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSuspendToDisk(t *testing.T) {
	s := newGuestSite(t)
	s.makeACPI(100, "net0", "virtio,bridge=vmbr0")
	s.startACPI(100)
	s.eventually("it ticks", func() bool { return s.ticks(100) > 20 })
	require.NoError(t, s.setVM(100, "cores", 2)) // waits until the VM is stopped for good
	before := s.ticks(100)

	log := s.ok(s.suspend(100, "todisk", 1))
	require.Contains(t, log, "State saved, quitting")
	require.Zero(t, s.pid(100))
	require.Empty(t, s.taps())
	c := s.conf(100)
	require.Equal(t, "suspended", c.Main["lock"])
	require.Regexp(t, `^local:100/vm-100-state-suspend-\d{4}-\d\d-\d\d\.raw$`, c.Main["vmstate"])
	require.Regexp(t, `^pc-i440fx-\d+\.\d+$`, c.Main["runningmachine"])
	require.Equal(t, "qemu64", c.Main["runningcpu"])
	require.Equal(t, "net0=0", c.Main["running-nets-host-mtu"])
	require.Equal(t, "2", c.Pending["cores"])
	state := s.path(c.Main["vmstate"])
	info, err := os.Stat(state)
	require.NoError(t, err)
	require.LessOrEqual(t, info.Size(), int64(2*16+500)<<20, "newer versions of QEMU cut off what they have not written")
	require.Equal(t, os.FileMode(0o640), info.Mode().Perm(), "the guest's memory is nobody else's")

	_, err = ask(s, s.root(), s.PostNodesQemuStatusStop, kv{"vmid", 100}) // not running: nothing to do
	require.NoError(t, err)
	log = s.startVM(100)
	require.Subset(t, log, []string{"Resuming suspended VM", "Resumed VM, removing state"})
	after := s.ticks(100)
	require.GreaterOrEqual(t, after, before, "it went on where it was")
	s.eventually("it ticks on", func() bool { return s.ticks(100) > after })
	c = s.conf(100)
	for _, key := range append([]string{"lock", "vmstate"}, runningKeys...) {
		require.NotContains(t, c.Main, key)
	}
	require.Equal(t, "2", c.Pending["cores"])
	require.NoFileExists(t, state)

	// Once more, with resume instead of start; and the hibernation thrown away.
	s.ok(s.suspend(100, "todisk", 1))
	s.ok(s.resume(100))
	s.eventually("it ticks on", func() bool { return s.ticks(100) > after })
	s.ok(s.shutdown(100))
	require.Equal(t, "2", s.conf(100).Main["cores"])
}

func TestDiscardHibernation(t *testing.T) {
	s := newGuestSite(t)
	s.makeACPI(100)
	s.startVM(100)
	s.ok(s.suspend(100, "todisk", 1))
	require.EqualError(t, s.setVM(100, "cores", 2), "VM is locked (suspended)")
	require.NoError(t, s.setVM(100, "delete", "vmstate"))
	c := s.conf(100)
	for _, key := range append([]string{"lock", "vmstate"}, runningKeys...) {
		require.NotContains(t, c.Main, key)
	}
	require.Len(t, s.files(), 1)
}

func TestSuspendIsRefused(t *testing.T) {
	s := newGuestSite(t)
	s.makeVM(100, "memory", 16)
	s.startVM(100)
	_, err := s.suspend(100, "todisk", 1, "statestorage", "isos")
	require.ErrorContains(t, err, "storage 'isos' does not support vm images")
	require.NoError(t, s.setVM(100, "lock", "backup"))
	require.Equal(t, "cannot suspend to disk during backup", s.fails(s.suspend(100, "todisk", 1)))
	require.NoError(t, s.setVM(100, "lock", "clone", "skiplock", 1))
	require.Equal(t, "VM is locked (clone)", s.fails(s.suspend(100, "todisk", 1)))
	require.NoError(t, s.setVM(100, "delete", "lock", "skiplock", 1))

	// A state that cannot be written: the guest goes on, and the lock tells.
	id := s.guest(100)
	require.NoError(t, id.do(s.root(), "migrate-set-capabilities", map[string]any{
		"capabilities": []any{map[string]any{"capability": "postcopy-ram", "state": true}}}, nil))
	exit := s.fails(s.suspend(100, "todisk", 1))
	require.NotEmpty(t, exit)
	c := s.conf(100)
	require.Equal(t, "suspending", c.Main["lock"])
	for _, key := range append([]string{"vmstate"}, runningKeys...) {
		require.NotContains(t, c.Main, key)
	}
	require.Empty(t, s.files())
	require.Equal(t, "running", s.current(100).QMPStatus)
}
