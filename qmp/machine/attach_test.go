package machine

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/internal/proc"
)

// TestOwner is no test: others run it as an owner that gets killed. It starts a machine and stops for ever at a point.
func TestOwner(t *testing.T) {
	point := os.Getenv("GPVE_MACHINE_OWNER")
	if point == "" {
		return
	}
	var o StartOptions
	require.NoError(t, json.Unmarshal([]byte(os.Getenv("GPVE_MACHINE_OPTIONS")), &o))
	hang := func(where string) {
		if where == point {
			fmt.Println("at", point)
			select {}
		}
	}
	o.failPoint = hang
	_, err := Start(t.Context(), &o)
	require.NoError(t, err)
	hang("up")
}

// killOwner lets another process start the machine and kills it at the point.
func killOwner(t *testing.T, o *StartOptions, point string) {
	t.Helper()
	raw, err := json.Marshal(struct {
		Binary, RunDir, Cgroup string
		Args                   []string
		ReadyTimeout           time.Duration
	}{o.Binary, o.RunDir, o.Cgroup, o.Args, o.ReadyTimeout})
	require.NoError(t, err)
	owner := exec.Command(os.Args[0], "-test.run=^TestOwner$")
	owner.Env = append(os.Environ(), "GPVE_MACHINE_OWNER="+point, "GPVE_MACHINE_OPTIONS="+string(raw))
	owner.Stderr = os.Stderr
	out, err := owner.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, owner.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "at "+point+"\n", line)
	require.NoError(t, owner.Process.Kill())
	_ = owner.Wait()
}

func TestAttachAfterTheOwnersDeath(t *testing.T) {
	for _, point := range []string{"fork", "record", "up"} {
		t.Run(point, func(t *testing.T) {
			o := options(t, "-S")
			if os.Geteuid() == 0 {
				o.Cgroup = fmt.Sprintf("gpve-test-%d", os.Getpid())
			}
			killOwner(t, o, point)

			_, err := Start(limited(t), o)
			require.ErrorIs(t, err, ErrRunning, "a second machine cannot start, whatever was written down")
			p, err := Attach(limited(t), o.RunDir, &AttachOptions{ReadyTimeout: 30 * time.Second})
			require.NoError(t, err)
			require.NoError(t, p.QMP().Do(limited(t), "query-status", nil, nil))
			require.NoError(t, p.Close()) // and once more, now from the record
			q, err := Attach(limited(t), o.RunDir, &AttachOptions{ReadyTimeout: 30 * time.Second})
			require.NoError(t, err)
			require.Equal(t, p.PID(), q.PID())
			require.NoError(t, q.Stop(limited(t), nil))
			e := q.Exit()
			require.Equal(t, Quit, e.Cause)
			require.False(t, e.Known, "it is not our child")
			require.Equal(t, "quit", e.String())
			requireClean(t, o.RunDir)
		})
	}
}

func TestAttachAfterADeathBeforeTheFork(t *testing.T) {
	o := options(t, "-S")
	killOwner(t, o, "intent")
	_, err := Attach(limited(t), o.RunDir, nil)
	var gone *GoneError
	require.ErrorAs(t, err, &gone)
	require.ErrorIs(t, err, ErrNotRunning)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.Equal(t, Unknown, gone.Exit.Cause)
	requireClean(t, o.RunDir)
	_, err = Attach(limited(t), o.RunDir, nil)
	require.ErrorIs(t, err, ErrNotRunning)
	require.NotErrorAs(t, err, &gone, "told once")
	launch(t, o)
}

func TestAttachToNothing(t *testing.T) {
	linux(t)
	_, err := Attach(limited(t), filepath.Join(t.TempDir(), "absent"), nil)
	require.ErrorIs(t, err, ErrNotRunning)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "process.json"), []byte(`{"version": 99}`), 0o600))
	_, err = Attach(limited(t), dir, nil)
	require.ErrorContains(t, err, "version 99")
}

func TestAttachAfterAnUnseenEnd(t *testing.T) {
	o := options(t, "-S")
	killOwner(t, o, "up")
	id, err := proc.Holder(filepath.Join(o.RunDir, "lock"), fdLock)
	require.NoError(t, err)
	log, err := proc.OpenLog(filepath.Join(o.RunDir, "stderr.log"))
	require.NoError(t, err)
	fmt.Fprintln(log, "last complaint")
	require.NoError(t, log.Close())
	p, err := proc.Open(id)
	require.NoError(t, err)
	require.NoError(t, p.Kill(limited(t)))
	require.NoError(t, p.Close())
	_, err = Attach(limited(t), o.RunDir, nil)
	var gone *GoneError
	require.ErrorAs(t, err, &gone)
	require.Equal(t, Unknown, gone.Exit.Cause)
	require.Contains(t, gone.Exit.Stderr, "last complaint")
	requireClean(t, o.RunDir)
}

func TestAttachToAHungMachine(t *testing.T) {
	o := options(t, "-S")
	killOwner(t, o, "up")
	id, err := proc.Holder(filepath.Join(o.RunDir, "lock"), fdLock)
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(id.PID, syscall.SIGSTOP))
	p, err := Attach(limited(t), o.RunDir, &AttachOptions{ReadyTimeout: 50 * time.Millisecond})
	require.NoError(t, err)
	require.Error(t, p.QMP().Do(limited(t), "query-status", nil, nil), "and at once")
	require.NoError(t, syscall.Kill(id.PID, syscall.SIGCONT))
	c, err := p.Client(limited(t))
	require.NoError(t, err)
	require.NoError(t, c.Do(limited(t), "query-status", nil, nil))
	require.NoError(t, p.Kill(limited(t)))
	require.Equal(t, Killed, p.Exit().Cause)
}

func TestOutOfMemory(t *testing.T) {
	need.Root(t)
	groups, err := proc.FindCgroups()
	need.That(t, "cgroup", err == nil, fmt.Sprint("a mounted hierarchy: ", err))
	o := options(t, "-S")
	o.Cgroup = fmt.Sprintf("gpve-test-%d", os.Getpid())
	o.Limits.MemoryMaxBytes = 96 << 20
	p, err := Start(limited(t), o)
	need.That(t, "cgroup-memory", err == nil, fmt.Sprint("a memory controller: ", err))
	defer p.Close()
	group, err := groups.Open(o.Cgroup)
	require.NoError(t, err)
	n, err := group.OOMKills()
	require.NoError(t, err)
	require.Zero(t, n)
	_ = p.QMP().Do(limited(t), "object-add", map[string]any{
		"qom-type": "memory-backend-ram", "id": "much", "size": 512 << 20, "prealloc": true}, nil)
	e, err := p.Wait(limited(t))
	require.NoError(t, err)
	require.Equal(t, OOM, e.Cause, "%+v", e)
	require.Equal(t, syscall.SIGKILL, e.Signal)
	requireClean(t, o.RunDir)
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"version":1,"name":"100","cgroup":"gpve/100","process":{"pid":7,"start":9,"boot":"x"}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		if r, err := parseRecord(in); err == nil {
			_ = r.alive()
			_ = r.group()
		}
	})
}
