package vm

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/internal/proc"
)

// tpmProcess finds the TPM of a VM, nil without one.
func (s *site) tpmProcess(id int) *proc.Identity {
	s.t.Helper()
	holder, err := proc.Holder(s.tpmLock(id), tpmLockFD)
	if err != nil {
		return nil
	}
	return &holder
}

func TestTPM(t *testing.T) {
	need.Tool(t, "swtpm")
	s := newGuestSite(t)
	s.makeVM(100, "memory", 16, "tpmstate0", "local:1,version=v2.0")
	s.startVM(100)
	tpm := s.tpmProcess(100)
	require.NotNil(t, tpm)
	uid := s.guest(100).holds().UID
	status := procStatus(t, tpm.PID)
	require.Equal(t, strings.Repeat(fmt.Sprint(uid, " "), 3)+fmt.Sprint(uid), status["Uid"])
	require.Equal(t, "0000000000000000", status["CapEff"])
	require.Equal(t, "2", status["Seccomp"], "it filters its own system calls")
	var models []string
	require.NoError(t, s.guest(100).do(s.root(), "query-tpm-models", nil, &models))
	require.Contains(t, models, "tpm-tis")
	state, err := os.ReadFile(s.path(s.conf(100).Main.Drives()[0].File))
	require.NoError(t, err)
	require.NotEqual(t, make([]byte, 64), state[:64], "the state was made")

	s.restart()
	require.Equal(t, tpm, s.tpmProcess(100), "it lives on with its guest")
	s.stopVM(100)
	require.NoFileExists(t, s.tpmLock(100))
	_, err = proc.Open(*tpm)
	require.ErrorIs(t, err, proc.ErrGone)

	// A start that fails behind it takes it down.
	require.NoError(t, s.setVM(100, "args", "-no-such-option"))
	require.Equal(t, "start failed: QEMU exited with code 1", s.fails(s.start(100)))
	s.nothingHeld(100)
	require.NoError(t, s.setVM(100, "delete", "args"))
}

func TestTPMIsMissing(t *testing.T) {
	need.Root(t)
	s := newGuestSite(t)
	s.makeVM(100, "memory", 16, "tpmstate0", "local:1,version=v2.0")
	empty := t.TempDir()
	t.Setenv("PATH", empty)
	exit := s.fails(s.start(100))
	t.Setenv("PATH", os.Getenv("PATH")+":/usr/bin:/bin:/usr/sbin:/sbin")
	require.Equal(t, "start failed: the program 'swtpm' for the TPM is not installed", exit)
	s.nothingHeld(100)
	require.NoError(t, os.WriteFile(filepath.Join(empty, "swtpm"), []byte("#!/bin/sh\necho out of order >&2\nexit 3\n"), 0o755))
	require.NoError(t, os.Chmod(filepath.Dir(empty), 0o755))
	require.NoError(t, os.Chmod(empty, 0o755))
	t.Setenv("PATH", empty+":/usr/bin:/bin:/usr/sbin:/sbin")
	id, err := s.start(100)
	require.NoError(t, err)
	exit, log := s.wait(id)
	require.Equal(t, "start failed: the TPM ended at once", exit)
	require.Contains(t, log, "TPM: out of order")
	s.nothingHeld(100)
}
