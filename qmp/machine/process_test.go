package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/internal/proc"
	"github.com/turtacn/go-proxmox/qmp"
)

func linux(t testing.TB) {
	t.Helper()
	need.That(t, "linux", runtime.GOOS == "linux", "processes by pidfd")
}

func limited(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// options start a small stopped QEMU. What it leaves behind is killed with the test.
func options(t testing.TB, args ...string) *StartOptions {
	t.Helper()
	linux(t)
	dir := filepath.Join(t.TempDir(), "100")
	o := &StartOptions{
		Binary: need.QEMU(t), RunDir: dir, ReadyTimeout: 30 * time.Second,
		Args: append([]string{"-M", "pc", "-m", "32", "-accel", "tcg,tb-size=16", "-nodefaults", "-display", "none"}, args...),
	}
	t.Cleanup(func() { // of a test that failed half-way
		if id, err := proc.Holder(filepath.Join(dir, "lock"), fdLock); err == nil {
			_ = syscall.Kill(id.PID, syscall.SIGKILL)
		}
		if g := (record{Cgroup: o.Cgroup}).group(); g != nil {
			require.Eventually(t, func() bool { return g.Remove() == nil }, 5*time.Second, 5*time.Millisecond)
		}
	})
	return o
}

func launch(t testing.TB, o *StartOptions) *Process {
	t.Helper()
	p, err := Start(limited(t), o)
	require.NoError(t, err)
	t.Cleanup(func() { p.Close() })
	return p
}

func requireClean(t testing.TB, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	require.Subset(t, []string{"lock", "stderr.log"}, names)
	lock, err := proc.Lock(filepath.Join(dir, "lock"))
	require.NoError(t, err, "nobody holds the lock")
	require.NoError(t, lock.Close())
}

func TestCommandLine(t *testing.T) {
	o := &StartOptions{Binary: "/usr/bin/qemu", Args: []string{"-M", "q35"}, ExtraArgs: []string{"-S"}, Sandbox: true}
	require.Equal(t, strings.Fields(`/usr/bin/qemu -M q35 -S
		-chardev socket,id=gpve-qmp,fd=4,server=on,wait=off -mon chardev=gpve-qmp,mode=control
		-chardev socket,id=gpve-spare,fd=5,server=on,wait=off -mon chardev=gpve-spare,mode=control
		-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny`), o.CommandLine())
}

func TestStartOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]*StartOptions{
		"binary":    {Binary: "qemu", RunDir: "/x"},
		"directory": {Binary: "/qemu", RunDir: "x"},
		"uid":       {Binary: "/qemu", RunDir: "/x", UID: -1},
		"daemonize": {Binary: "/qemu", RunDir: "/x", ExtraArgs: []string{"-daemonize"}},
		"log":       {Binary: "/qemu", RunDir: "/x", LogMax: -1},
	} {
		_, err := Start(t.Context(), o)
		require.Error(t, err, name)
	}
}

func TestStartAndQuit(t *testing.T) {
	o := options(t, "-S")
	p := launch(t, o)
	require.Equal(t, o.RunDir, p.RunDir())
	require.Zero(t, p.Exit())
	require.Equal(t, "running", p.Exit().String())
	var st struct{ Status string }
	require.NoError(t, p.QMP().Do(limited(t), "query-status", nil, &st))
	require.Equal(t, "prelaunch", st.Status)
	spare, err := qmp.Dial(limited(t), p.Spare(), nil)
	require.NoError(t, err)
	require.NoError(t, spare.Close())

	_, err = Start(limited(t), o)
	require.ErrorIs(t, err, ErrRunning)
	require.ErrorIs(t, err, fs.ErrExist)
	require.NoError(t, p.QMP().Do(limited(t), "query-status", nil, nil), "the attempt did no harm")

	require.NoError(t, p.Quit(limited(t)))
	e, err := p.Wait(limited(t))
	require.NoError(t, err)
	require.Equal(t, Quit, e.Cause)
	require.Equal(t, "host-qmp-quit", e.Reason)
	require.True(t, e.Known)
	require.Equal(t, "quit (exit code 0)", e.String())
	require.Equal(t, e, p.Exit())
	requireClean(t, o.RunDir)
	_, err = p.Client(limited(t))
	require.ErrorIs(t, err, ErrNotRunning)
	require.Error(t, p.QMP().Do(limited(t), "query-status", nil, nil))
	require.NoError(t, p.Kill(limited(t)))
	require.NoError(t, p.Close())
	require.NoError(t, p.Close())

	p = launch(t, o) // and once more in the same place
	require.NoError(t, p.Stop(limited(t), nil))
	requireClean(t, o.RunDir)
}

func TestStartFailures(t *testing.T) {
	cases := map[string]struct {
		change func(*StartOptions)
		code   int
		text   string
	}{
		"bad option":  {func(o *StartOptions) { o.ExtraArgs = []string{"-no-such-option"} }, 1, "invalid option"},
		"bad machine": {func(o *StartOptions) { o.Args[1] = "nonsense" }, 1, "unsupported machine type"},
		"no binary":   {func(o *StartOptions) { o.Binary = "/no/such/qemu" }, -1, "no such file"},
		"no QEMU":     {func(o *StartOptions) { o.Binary = "/bin/true" }, 0, "exited with code 0"},
		"killed":      {func(o *StartOptions) { o.Binary, o.Args = "/bin/sh", []string{"-c", "kill -9 $$"} }, -1, "signal killed"},
		"silent": {func(o *StartOptions) {
			o.Binary, o.Args, o.ReadyTimeout = "/bin/sleep", []string{"60"}, 100*time.Millisecond
			silence(o)
		}, -1, "no greeting"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			o := options(t)
			c.change(o)
			_, err := Start(limited(t), o)
			var serr *StartError
			require.ErrorAs(t, err, &serr)
			require.Equal(t, c.code, serr.ExitCode)
			require.Contains(t, err.Error()+serr.Stderr, c.text)
			requireClean(t, o.RunDir)
			_, err = Attach(limited(t), o.RunDir, nil)
			require.ErrorIs(t, err, ErrNotRunning)
		})
	}
}

// silence makes /bin/sleep ignore the options that Start appends.
func silence(o *StartOptions) { o.Binary, o.Args = "/bin/sh", []string{"-c", "exec sleep 60"} }

func TestStartIsCancelled(t *testing.T) {
	o := options(t)
	silence(o)
	ctx, cancel := context.WithCancel(t.Context())
	o.failPoint = func(where string) {
		if where == "record" {
			cancel()
		}
	}
	_, err := Start(ctx, o)
	require.ErrorIs(t, err, context.Canceled)
	requireClean(t, o.RunDir)
}

func TestThreat26_ConfinedProcess(t *testing.T) {
	need.Root(t)
	o := options(t, "-S")
	ok, err := SandboxSupported(limited(t), o.Binary)
	require.NoError(t, err)
	need.That(t, "qemu-sandbox", ok, "QEMU with seccomp")
	o.UID, o.Sandbox, o.Cgroup = 64777, true, fmt.Sprintf("gpve-test-%d", os.Getpid())
	require.NoError(t, os.Chmod(filepath.Dir(o.RunDir), 0o711))
	t.Setenv("SECRET", "of the daemon")
	p := launch(t, o)

	status := map[string]string{}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		k, v, _ := strings.Cut(line, ":")
		status[k] = strings.Join(strings.Fields(v), " ")
	}
	require.Equal(t, "64777 64777 64777 64777", status["Uid"])
	require.Equal(t, "64777 64777 64777 64777", status["Gid"])
	require.Empty(t, status["Groups"])
	for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapAmb"} {
		require.Equal(t, "0000000000000000", status[set], set)
	}
	require.Equal(t, "2", status["Seccomp"])
	require.Equal(t, "1", status["NoNewPrivs"])

	for name, mode := range map[string]fs.FileMode{"": 0o711, "qmp.sock": 0o600, "spare.sock": 0o600, "process.json": 0o600, "lock": 0o600, "stderr.log": 0o600} {
		st, err := os.Stat(filepath.Join(o.RunDir, name))
		require.NoError(t, err)
		require.Equal(t, mode, st.Mode().Perm(), name)
		require.EqualValues(t, 0, st.Sys().(*syscall.Stat_t).Uid, "%q is ours while QEMU runs", name)
	}
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.PID()))
	require.NoError(t, err)
	require.NotContains(t, string(env), "SECRET")
	sid, err := exec.Command("ps", "-o", "sid=", "-p", fmt.Sprint(p.PID())).Output()
	require.NoError(t, err)
	require.Equal(t, fmt.Sprint(p.PID()), strings.TrimSpace(string(sid)))

	// Nobody else gets in, not even the machine itself.
	other := exec.Command("/bin/sh", "-c", "exec 3<>"+p.Spare())
	other.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 64777, Gid: 64777}}
	require.Error(t, other.Run())

	if groups, err := proc.FindCgroups(); err == nil {
		if g, err := groups.Open(o.Cgroup); err == nil {
			pids, err := g.Procs()
			require.NoError(t, err)
			require.True(t, slices.Contains(pids, p.PID()))
			if err := p.SetLimits(Limits{CPUWeight: 50, CPUCores: 0.5}); !errors.Is(err, errors.ErrUnsupported) {
				require.NoError(t, err)
			}
		}
		require.NoError(t, p.Stop(limited(t), nil))
		_, err = groups.Open(o.Cgroup)
		require.ErrorIs(t, err, fs.ErrNotExist, "the group goes with the machine")
	}
}

func TestNoControlGroup(t *testing.T) {
	o := options(t, "-S")
	o.Cgroup = "../escape"
	var logged bytes.Buffer
	o.Logger = slog.New(slog.NewTextHandler(&logged, nil))
	p := launch(t, o)
	require.Contains(t, logged.String(), "without a control group")
	require.ErrorIs(t, p.SetLimits(Limits{CPUWeight: 1}), errors.ErrUnsupported)
	require.NoError(t, p.SetLimits(Limits{}))
}

func TestPassedFiles(t *testing.T) {
	o := options(t, "-S", "-add-fd", fmt.Sprintf("fd=%d,set=1,opaque=null", FirstFile))
	f, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	require.NoError(t, err)
	o.Files = []*os.File{f}
	p := launch(t, o)
	require.NoError(t, f.Close())
	var sets []struct {
		FDs []struct{ Opaque string }
	}
	require.NoError(t, p.QMP().Do(limited(t), "query-fdsets", nil, &sets))
	require.Equal(t, "null", sets[0].FDs[0].Opaque)
}

func TestSessionIsOpenedAgain(t *testing.T) {
	p := launch(t, options(t, "-S"))
	first := p.QMP()
	require.NoError(t, first.Close()) // against the rules; the same as a broken connection
	c, err := p.Client(limited(t))
	require.NoError(t, err)
	require.NotSame(t, first, c)
	require.NoError(t, c.Do(limited(t), "query-status", nil, nil))
	require.NoError(t, p.Quit(limited(t)))
	e, err := p.Wait(limited(t))
	require.NoError(t, err)
	require.Equal(t, Quit, e.Cause)
	require.Equal(t, "host-qmp-quit", e.Reason, "the new session listens as well")
}

func TestStandardErrorIsCapped(t *testing.T) {
	o := options(t, "-S")
	o.LogMax = 1000
	p := launch(t, o)
	log, err := proc.OpenLog(filepath.Join(o.RunDir, "stderr.log"))
	require.NoError(t, err)
	defer log.Close()
	for i := range 1000 {
		fmt.Fprintln(log, "complaint", i)
	}
	p.tend()
	require.LessOrEqual(t, len(p.Stderr()), 250)
	require.True(t, strings.HasSuffix(p.Stderr(), "complaint 999\n"))
}
