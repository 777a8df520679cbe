package proc_test

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/internal/proc"
)

func linux(t *testing.T) {
	t.Helper()
	need.That(t, "linux", runtime.GOOS == "linux", "processes by pidfd")
}

func wait(t *testing.T, p *proc.Process) proc.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	st, err := p.Wait(ctx)
	require.NoError(t, err)
	return st
}

func start(t *testing.T, s *proc.Spec, script string) *proc.Process {
	t.Helper()
	linux(t)
	s.Path, s.Args = "/bin/sh", []string{"-c", script}
	p, err := proc.Start(s)
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = p.Kill(context.Background())
		p.Close()
	})
	return p
}

func TestExitStatus(t *testing.T) {
	cases := map[string]struct {
		script, text string
		want         proc.Status
	}{
		"good":   {"exit 0", "exit code 0", proc.Status{Known: true}},
		"bad":    {"exit 7", "exit code 7", proc.Status{Known: true, Code: 7}},
		"killed": {"kill -9 $$", "signal killed", proc.Status{Known: true, Signal: syscall.SIGKILL}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			st := wait(t, start(t, &proc.Spec{}, c.script))
			require.Equal(t, c.want, st)
			require.Equal(t, c.text, st.String())
		})
	}
	require.Equal(t, "unknown", proc.Status{}.String())
}

func TestStartErrors(t *testing.T) {
	linux(t)
	_, err := proc.Start(&proc.Spec{Path: "/no/such/program"})
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestSurroundings(t *testing.T) {
	dir := t.TempDir()
	out, err := os.Create(filepath.Join(dir, "out"))
	require.NoError(t, err)
	defer out.Close()
	t.Setenv("SECRET", "of the daemon")
	p := start(t, &proc.Spec{Stdout: out, Files: []*os.File{out}},
		`cat; echo "secret=$SECRET pwd=$(pwd) sid=$(ps -o sid= -p $$ | tr -d " ") pid=$$"; echo three >&3`)
	require.Equal(t, proc.Status{Known: true}, wait(t, p))
	text, err := os.ReadFile(out.Name())
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("secret= pwd=/ sid=%d pid=%d\nthree\n", p.PID(), p.PID()), string(text))
}

func TestThreat26_OwnUserAndNoCapabilities(t *testing.T) {
	need.Root(t)
	p := start(t, &proc.Spec{UID: 64123, Groups: []int{64200}}, "exec sleep 60")
	status := procStatus(t, p.PID())
	require.Equal(t, "64123 64123 64123 64123", status["Uid"])
	require.Equal(t, "64123 64123 64123 64123", status["Gid"], "without a gid the uid's, never the caller's")
	require.Equal(t, "64200", status["Groups"])
	for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapAmb"} {
		require.Equal(t, "0000000000000000", status[set], set)
	}
}

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

func TestStopLadder(t *testing.T) {
	polite := start(t, &proc.Spec{}, "exec sleep 60")
	killed, err := polite.Stop(t.Context(), 10*time.Second)
	require.NoError(t, err)
	require.False(t, killed)
	require.Equal(t, syscall.SIGTERM, wait(t, polite).Signal)
	killed, err = polite.Stop(t.Context(), 0) // again: nothing to do
	require.NoError(t, err)
	require.False(t, killed)
	require.ErrorIs(t, polite.Signal(syscall.SIGTERM), proc.ErrGone)

	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	stubborn := start(t, &proc.Spec{Stdout: w}, `trap "" TERM; echo ready; while :; do sleep 1; done`)
	w.Close()
	_, err = bufio.NewReader(r).ReadString('\n')
	require.NoError(t, err)
	killed, err = stubborn.Stop(t.Context(), 50*time.Millisecond)
	require.NoError(t, err)
	require.True(t, killed)
	require.Equal(t, syscall.SIGKILL, wait(t, stubborn).Signal)

	stopped := start(t, &proc.Spec{}, "exec sleep 60")
	require.NoError(t, stopped.Signal(syscall.SIGSTOP))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = stopped.Stop(ctx, time.Minute)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, stopped.Kill(t.Context()))
}

func TestOpenKnowsTheProcess(t *testing.T) {
	p := start(t, &proc.Spec{}, "exec sleep 60")
	id, err := proc.Identify(p.PID())
	require.NoError(t, err)
	require.Equal(t, id, p.Identity())
	again, err := proc.Open(id)
	require.NoError(t, err)
	defer again.Close()

	for name, other := range map[string]proc.Identity{
		"start": {PID: id.PID, Start: id.Start - 1, Boot: id.Boot},
		"boot":  {PID: id.PID, Start: id.Start, Boot: "another"},
		"pid":   {PID: 1 << 30, Start: id.Start, Boot: id.Boot},
		"none":  {},
	} {
		_, err := proc.Open(other)
		require.ErrorIs(t, err, proc.ErrGone, name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err = again.Wait(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, p.Kill(t.Context()))
	wait(t, again)
	_, err = proc.Open(id)
	require.ErrorIs(t, err, proc.ErrGone)
	_, err = proc.Identify(id.PID)
	require.ErrorIs(t, err, proc.ErrGone)
}

func TestCloseLeavesTheProcessAlone(t *testing.T) {
	p := start(t, &proc.Spec{}, "exec sleep 60")
	q, err := proc.Open(p.Identity())
	require.NoError(t, err)
	waiting := make(chan error, 1)
	go func() { _, err := q.Wait(t.Context()); waiting <- err }()
	require.NoError(t, q.Close())
	require.NoError(t, q.Close())
	require.ErrorIs(t, <-waiting, proc.ErrClosed)
	require.ErrorIs(t, q.Signal(syscall.SIGKILL), proc.ErrClosed)
	_, err = proc.Identify(p.PID())
	require.NoError(t, err)
}

func TestLimit(t *testing.T) {
	p := start(t, &proc.Spec{}, "exec sleep 60")
	require.NoError(t, p.Limit(proc.Limit{Resource: 4 /* RLIMIT_CORE */}), "to lower a limit of one's own needs no right")
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", p.PID()))
	require.NoError(t, err)
	require.Regexp(t, `(?m)^Max core file size +0 +0 `, string(limits))
	require.Error(t, p.Limit(proc.Limit{Resource: 9999}))
	require.NoError(t, p.Kill(t.Context()))
	require.ErrorIs(t, p.Limit(proc.Limit{Resource: 4}), proc.ErrGone)
}

func TestManyWaitersNoThreads(t *testing.T) {
	linux(t)
	threads := func() int {
		list, err := os.ReadDir("/proc/self/task")
		require.NoError(t, err)
		return len(list)
	}
	before := threads()
	var all []*proc.Process
	for range 40 {
		all = append(all, start(t, &proc.Spec{}, "exec sleep 60"))
	}
	require.Less(t, threads()-before, 20, "a waiter is a goroutine, not a thread")
	for _, p := range all {
		require.NoError(t, p.Signal(syscall.SIGKILL))
	}
	for _, p := range all {
		require.Equal(t, syscall.SIGKILL, wait(t, p).Signal)
	}
}

// TestParent is no test: TestSurvivesTheParent runs it as a parent that gets killed.
func TestParent(t *testing.T) {
	dir := os.Getenv("GPVE_PROC_PARENT")
	if dir == "" {
		return
	}
	lock, err := proc.Lock(filepath.Join(dir, "lock"))
	require.NoError(t, err)
	log, err := proc.OpenLog(filepath.Join(dir, "log"))
	require.NoError(t, err)
	p, err := proc.Start(&proc.Spec{Path: "/bin/sh", Stderr: log, Files: []*os.File{lock}, Args: []string{
		"-c", `while [ ! -e "$1/go" ]; do sleep 0.05; done; echo last words >&2; exec sleep 60`, "sh", dir}})
	require.NoError(t, err)
	fmt.Printf("started %d\n", p.PID())
	select {}
}

func TestSurvivesTheParent(t *testing.T) {
	linux(t)
	dir := t.TempDir()
	parent := exec.Command(os.Args[0], "-test.run=^TestParent$")
	parent.Env = append(os.Environ(), "GPVE_PROC_PARENT="+dir)
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, "started ")))
	require.NoError(t, err, line)
	require.NoError(t, parent.Process.Kill())
	_ = parent.Wait()

	_, err = proc.Lock(filepath.Join(dir, "lock"))
	require.ErrorIs(t, err, proc.ErrLocked, "the child holds the lock")
	id, err := proc.Holder(filepath.Join(dir, "lock"), 3)
	require.NoError(t, err)
	require.Equal(t, pid, id.PID)
	p, err := proc.Open(id)
	require.NoError(t, err)
	defer p.Close()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go"), nil, 0o600))
	require.Eventually(t, func() bool {
		text, err := proc.TailLog(filepath.Join(dir, "log"), 100)
		return err == nil && string(text) == "last words\n"
	}, 10*time.Second, 10*time.Millisecond, "its standard error works without the parent")
	require.NoError(t, p.Kill(t.Context()))
	require.Equal(t, proc.Status{}, wait(t, p), "not our child")
	lock, err := proc.Lock(filepath.Join(dir, "lock"))
	require.NoError(t, err, "the lock went with its holder")
	require.NoError(t, lock.Close())
	_, err = proc.Holder(filepath.Join(dir, "lock"), 3)
	require.ErrorIs(t, err, proc.ErrGone)
}

func TestTrimLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	log, err := proc.OpenLog(path)
	require.NoError(t, err)
	defer log.Close()
	cut, err := proc.TrimLog(path, 1000)
	require.NoError(t, err)
	require.False(t, cut)
	for i := range 1000 {
		fmt.Fprintf(log, "line %d\n", i)
	}
	cut, err = proc.TrimLog(path, 1000)
	require.NoError(t, err)
	require.True(t, cut)
	fmt.Fprintln(log, "after") // by whoever has it open
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Less(t, len(text), 300)
	require.True(t, strings.HasPrefix(string(text), "line 9"), string(text))
	require.True(t, strings.HasSuffix(string(text), "line 999\nafter\n"), string(text))
	_, err = proc.TrimLog(path+"x", 1)
	require.ErrorIs(t, err, fs.ErrNotExist)
}
