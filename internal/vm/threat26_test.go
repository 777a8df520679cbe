package vm

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
)

// procStatus reads /proc/PID/status.
func procStatus(t *testing.T, pid int) map[string]string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	m := map[string]string{}
	for line := range strings.Lines(string(text)) {
		k, v, _ := strings.Cut(line, ":")
		m[k] = strings.Join(strings.Fields(v), " ")
	}
	return m
}

// A guest that has taken over its QEMU has a user of its own, no capability, few system calls, and nobody else's sockets.
func TestThreat26_GuestsAreConfined(t *testing.T) {
	s := newGuestSite(t)
	// Both ids lead to the same user of the range; they start at the same time.
	ids := []int{100, 100 + testUIDs.Count}
	for _, id := range ids {
		s.makeVM(id, "memory", 16, "scsi0", "local:1", "net0", "virtio,bridge=vmbr0", "serial0", "socket", "agent", 1)
	}
	var wg sync.WaitGroup
	for _, id := range ids {
		up, err := s.start(id)
		require.NoError(t, err)
		wg.Go(func() { s.wait(up) })
	}
	wg.Wait()
	users := map[string]bool{}
	for _, id := range ids {
		h := s.guest(id).holds()
		uid := fmt.Sprint(h.UID)
		require.GreaterOrEqual(t, h.UID, testUIDs.First)
		users[uid] = true
		status := procStatus(t, s.pid(id))
		require.Equal(t, strings.Repeat(uid+" ", 3)+uid, status["Uid"])
		require.Equal(t, strings.Repeat(uid+" ", 3)+uid, status["Gid"])
		require.Empty(t, status["Groups"])
		for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapAmb"} {
			require.Equal(t, "0000000000000000", status[set], set)
		}
		require.Equal(t, "2", status["Seccomp"])
		require.Equal(t, "1", status["NoNewPrivs"])
		s.closedToOthers(id, h.UID)
	}
	require.Len(t, users, 2, "each has its own user")
}

// closedToOthers requires that nobody but a VM's user and root gets at what its process has.
func (s *site) closedToOthers(id, uid int) {
	s.t.Helper()
	sockets := 0
	require.NoError(s.t, filepath.WalkDir(s.runDir(id), func(path string, d fs.DirEntry, err error) error {
		require.NoError(s.t, err)
		info, err := os.Lstat(path)
		require.NoError(s.t, err)
		owner := info.Sys().(*syscall.Stat_t).Uid
		switch {
		case path == s.runDir(id):
			require.Zero(s.t, owner)
			require.Equal(s.t, fs.FileMode(0o711), info.Mode().Perm())
		case path == s.guestDir(id):
			require.EqualValues(s.t, uid, owner)
			require.Equal(s.t, fs.FileMode(0o700), info.Mode().Perm(), "what is in it is closed by this")
		case filepath.Dir(path) == s.runDir(id):
			require.Zero(s.t, owner, path)
			require.Zero(s.t, info.Mode().Perm()&0o077, path)
		}
		if info.Mode()&fs.ModeSocket != 0 {
			sockets++
		}
		return nil
	}))
	require.GreaterOrEqual(s.t, sockets, 5, "two monitors, screen, serial port, agent")
	disk, err := os.Stat(s.path(s.conf(id).Main.Drives()[0].File))
	require.NoError(s.t, err)
	require.Zero(s.t, disk.Mode().Perm()&0o007)
}

// What a QEMU leaves in the folder of its own is not followed by the next start, which writes there as root.
func TestThreat26_LinksAreNotFollowed(t *testing.T) {
	need.Root(t)
	victim := filepath.Join(t.TempDir(), "victim")
	require.NoError(t, os.WriteFile(victim, []byte("mine"), 0o600))
	s := &Service{o: Options{RunDir: filepath.Join(t.TempDir(), "run")}}
	h := &Hold{ID: 100, UID: testUIDs.First}
	require.NoError(t, s.makeRunDir(h))
	link := filepath.Join(s.guestDir(100), "efivars.fd")
	require.NoError(t, os.Symlink(victim, link))
	require.Error(t, copyFile(victim, link, h.UID))
	require.NoError(t, s.makeRunDir(h))
	require.NoError(t, copyFile(victim, link, h.UID))
	st, err := os.Stat(victim)
	require.NoError(t, err)
	require.Zero(t, st.Sys().(*syscall.Stat_t).Uid)
	require.NoError(t, os.Remove(s.guestDir(100)+"/efivars.fd"))
	require.NoError(t, os.Remove(s.guestDir(100)))
	require.NoError(t, os.Symlink(filepath.Dir(victim), s.guestDir(100)))
	require.NoError(t, s.makeRunDir(h))
	require.FileExists(t, victim)
}
