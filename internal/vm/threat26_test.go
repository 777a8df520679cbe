package vm

import (
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
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

// closedToOthers requires that nobody but root gets at what a VM's process has, and that its own user can change nothing of it.
func (s *site) closedToOthers(id, uid int) {
	s.t.Helper()
	sockets := map[string]bool{}
	require.NoError(s.t, filepath.WalkDir(s.runDir(id), func(path string, d fs.DirEntry, err error) error {
		require.NoError(s.t, err)
		info, err := os.Lstat(path)
		require.NoError(s.t, err)
		require.Zero(s.t, info.Sys().(*syscall.Stat_t).Uid, path)
		if path == s.runDir(id) {
			require.Equal(s.t, fs.FileMode(0o711), info.Mode().Perm())
			return nil
		}
		require.Zero(s.t, info.Mode().Perm()&0o077, path)
		if info.Mode()&fs.ModeSocket != 0 {
			sockets[d.Name()] = true
		}
		return nil
	}))
	require.Equal(s.t, map[string]bool{"qmp.sock": true, "spare.sock": true, "serial0": true, "qga": true}, sockets)
	disk, err := os.Stat(s.path(s.conf(id).Main.Drives()[0].File))
	require.NoError(s.t, err)
	require.Zero(s.t, disk.Mode().Perm()&0o007)
}

// A guest that has taken over its QEMU cannot put anything in the place of a socket that the daemon connects to.
func TestThreat26_SocketsCannotBeReplaced(t *testing.T) {
	s := newGuestSite(t)
	s.makeVM(100, "memory", 16, "serial0", "socket", "agent", 1, "bios", "seabios")
	s.startVM(100)
	uid := uint32(s.guest(100).holds().UID)
	for _, script := range []string{
		"rm " + filepath.Join(s.runDir(100), "serial0"), "mv " + filepath.Join(s.runDir(100), "qga") + " /tmp/gpve-moved",
		"ln -s /dev/null " + filepath.Join(s.runDir(100), "new"), "rm -r " + s.runDir(100),
	} {
		cmd := exec.Command("/bin/sh", "-c", script)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		out, err := cmd.CombinedOutput()
		require.Error(t, err, script)
		require.Contains(t, string(out), "Permission denied", script)
	}
	require.NoDirExists(t, s.guestDir(100), "it has nothing to make there")
	// What it writes to the serial port arrives, also for the next life of the daemon.
	for range 2 {
		path, err := s.Terminal(s.root(), 100, "")
		require.NoError(t, err)
		conn, err := net.Dial("unix", path)
		require.NoError(t, err)
		require.NoError(t, conn.Close())
		s.restart()
	}
}

// A viewer gets a connection of its own, whose password is asked for, from QEMU itself and after a restart of the daemon.
func TestScreenOfAGuest(t *testing.T) {
	s := newGuestSite(t)
	s.makeVM(100, "memory", 16)
	_, err := s.Screen(s.root(), 100, "secret")
	require.EqualError(t, err, "VM 100 not running")
	s.startVM(100)
	for _, shared := range []bool{false, true} {
		conn, err := s.Screen(s.root(), 100, "secret")
		require.NoError(t, err)
		defer conn.Close()
		version := make([]byte, 12)
		_, err = io.ReadFull(conn, version)
		require.NoError(t, err)
		require.Equal(t, "RFB 003.008\n", string(version))
		_, err = conn.Write(version)
		require.NoError(t, err)
		types := make([]byte, 2)
		_, err = io.ReadFull(conn, types)
		require.NoError(t, err)
		require.Equal(t, []byte{1, 2}, types, "VNC authentication and nothing else")
		if !shared {
			s.restart()
		}
	}
	listens, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/unix", s.pid(100)))
	require.NoError(t, err)
	require.NotContains(t, string(listens), s.runDir(100)+"/vnc")
}

// What a process has left in the folder of its own is not followed by the next start, which makes it anew as root.
func TestThreat26_LinksAreNotFollowed(t *testing.T) {
	need.Root(t)
	victim := filepath.Join(t.TempDir(), "victim")
	require.NoError(t, os.WriteFile(victim, []byte("mine"), 0o600))
	s := &Service{o: Options{RunDir: filepath.Join(t.TempDir(), "run")}}
	h := &Hold{ID: 100, UID: testUIDs.First}
	require.NoError(t, s.makeRunDir(h, true))
	require.NoError(t, os.Remove(s.guestDir(100)))
	require.NoError(t, os.Symlink(filepath.Dir(victim), s.guestDir(100)))
	require.NoError(t, s.makeRunDir(h, true))
	require.FileExists(t, victim)
	st, err := os.Lstat(s.guestDir(100))
	require.NoError(t, err)
	require.True(t, st.IsDir())
	require.EqualValues(t, h.UID, st.Sys().(*syscall.Stat_t).Uid)
	st, err = os.Stat(filepath.Dir(victim))
	require.NoError(t, err)
	require.Zero(t, st.Sys().(*syscall.Stat_t).Uid)

	link := filepath.Join(s.runDir(100), "efivars.fd")
	require.NoError(t, os.Symlink(victim, link))
	require.NoError(t, copyFile(victim, link, h.UID))
	st, err = os.Lstat(link)
	require.NoError(t, err)
	require.True(t, st.Mode().IsRegular())
	st, err = os.Stat(victim)
	require.NoError(t, err)
	require.Zero(t, st.Sys().(*syscall.Stat_t).Uid)
	require.NoError(t, s.makeRunDir(h, false))
	require.NoDirExists(t, s.guestDir(100))
}
