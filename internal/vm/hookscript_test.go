package vm

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/proxmoxapi/upid"
)

// hookScript writes a snippet that notes its calls in a file, and what runs of the VM at each, then does as the file "do" says.
// It returns the calls so far.
func (s *site) hookScript(name string) (calls func() string, do func(script string)) {
	s.t.Helper()
	dir := filepath.Join(s.dir, "local/snippets")
	require.NoError(s.t, os.MkdirAll(dir, 0o755))
	log, then := filepath.Join(s.dir, name+".calls"), filepath.Join(s.dir, name+".do")
	script := fmt.Sprintf("#!/bin/sh\n[ -e %s/$1/process.json ] && state=there || state=gone\necho \"$@ $state\" >> %s\n[ ! -e %s ] || . %s\n",
		s.runFolder(), log, then, then)
	require.NoError(s.t, os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755))
	calls = func() string {
		text, err := os.ReadFile(log)
		if err != nil {
			require.ErrorIs(s.t, err, os.ErrNotExist)
		}
		_ = os.Remove(log)
		return strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", ", ")
	}
	return calls, func(text string) { require.NoError(s.t, os.WriteFile(then, []byte(text), 0o600)) }
}

func TestHookscript(t *testing.T) {
	s := newGuestSite(t)
	calls, do := s.hookScript("hook.sh")
	s.makeVM(100, "memory", 16, "hookscript", "local:snippets/hook.sh", "net0", "virtio,bridge=vmbr0")
	do("echo hello\necho to you >&2\n")
	log := s.startVM(100)
	require.Equal(t, "100 pre-start gone, 100 post-start there", calls())
	require.Subset(t, log, []string{"hello", "to you"})
	s.stopVM(100)
	require.Equal(t, "100 pre-stop there, 100 post-stop gone", calls())

	// Only a refusal of the start counts.
	do("exit 3\n")
	require.Equal(t, "hookscript error for 100 on pre-start: command 'local:snippets/hook.sh 100 pre-start' failed: exit code 3", s.fails(s.start(100)))
	require.Equal(t, "100 pre-start gone", calls())
	s.nothingHeld(100)
	do("[ $2 = pre-start ] || exit 4\n")
	log = s.startVM(100)
	require.Contains(t, log, "WARN: hookscript error for 100 on post-start: command 'local:snippets/hook.sh 100 post-start' failed: exit code 4")
	require.NotZero(t, s.pid(100))
	log = s.ok(s.shutdown(100, "forceStop", 1, "timeout", 1))
	require.Contains(t, log, "WARN: hookscript error for 100 on pre-stop: command 'local:snippets/hook.sh 100 pre-stop' failed: exit code 4")
	require.Contains(t, log, "WARN: hookscript error for 100 on post-stop: command 'local:snippets/hook.sh 100 post-stop' failed: exit code 4")
	calls()

	// A guest that ends by itself is past pre-stop.
	do("")
	s.startVM(100)
	calls()
	require.NoError(t, syscall.Kill(s.pid(100), syscall.SIGKILL))
	s.eventually("it is cleaned up behind", func() bool { return s.pid(100) == 0 && len(s.keys("/obs/")) == 0 })
	require.Equal(t, "100 post-stop gone", calls())

	// What was checked when the option was set may have changed.
	file := filepath.Join(s.dir, "local/snippets/hook.sh")
	require.NoError(t, os.Chmod(file, 0o644))
	require.Equal(t, "hookscript error for 100 on pre-start: script 'local:snippets/hook.sh' is not executable", s.fails(s.start(100)))
	require.NoError(t, os.Rename(file, file+".away"))
	require.Equal(t, "hookscript error for 100 on pre-start: script 'local:snippets/hook.sh' does not exist", s.fails(s.start(100)))
	require.NoError(t, os.WriteFile(file, []byte("no program\x00"), 0o755))
	require.Contains(t, s.fails(s.start(100)), "hookscript error for 100 on pre-start: command 'local:snippets/hook.sh 100 pre-start' failed: exec format error")
}

// A script that hangs is ended with its task, and all that it has started.
func TestHookscriptThatHangsIsCancelled(t *testing.T) {
	s := newGuestSite(t)
	calls, do := s.hookScript("hook.sh")
	s.makeVM(100, "memory", 16, "hookscript", "local:snippets/hook.sh")
	pidFile := filepath.Join(s.dir, "pid")
	do("sleep 300 &\necho $! > " + pidFile + "\nwait\n")
	id, err := s.start(100)
	require.NoError(t, err)
	s.eventually("the script waits", func() bool { text, err := os.ReadFile(pidFile); return err == nil && len(text) > 0 })
	text, err := os.ReadFile(pidFile)
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	require.NoError(t, err)
	u, err := upid.Parse(id)
	require.NoError(t, err)
	require.NoError(t, s.tasks.Cancel(s.root(), u))
	exit, _ := s.wait(id)
	require.Equal(t, "received interrupt", exit)
	s.eventually("nothing of it is left", func() bool { return syscall.Kill(pid, 0) != nil })
	require.Equal(t, "100 pre-start gone", calls())
	s.nothingHeld(100)
}

// A service that a script leaves behind with its output does not hold the start up.
func TestHookscriptMayLeaveAServiceBehind(t *testing.T) {
	s := newGuestSite(t)
	_, do := s.hookScript("hook.sh")
	s.makeVM(100, "memory", 16, "hookscript", "local:snippets/hook.sh")
	pidFile := filepath.Join(s.dir, "pid")
	do("[ $2 = pre-start ] || exit 0\nsleep 300 &\necho $! > " + pidFile + "\n")
	s.startVM(100)
	text, err := os.ReadFile(pidFile)
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL), "it was let live")
}

func TestHookscriptOutputIsBounded(t *testing.T) {
	var lines []string
	o := &hookOutput{log: func(line string) { lines = append(lines, line) }}
	for _, part := range []string{"one\ntw", "o\n", strings.Repeat("x", 3*hookLine), "\n\xff\n"} {
		n, err := o.Write([]byte(part))
		require.NoError(t, err)
		require.Len(t, part, n)
	}
	require.Equal(t, []string{"one", "two", strings.Repeat("x", hookLine), "\uFFFD"}, lines)
	lines = nil
	for range 3 * hookLines {
		o.Write([]byte("line\n"))
	}
	o.Write([]byte("the end"))
	o.end()
	require.Len(t, lines, hookLines-4+1)
	require.Contains(t, lines[len(lines)-1], "left out")
}
