package proc_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/internal/proc"
)

// group makes a control group that goes with the test, or needs one.
func group(t *testing.T) (*proc.Cgroups, *proc.Group) {
	t.Helper()
	need.Root(t)
	c, err := proc.FindCgroups()
	need.That(t, "cgroup", err == nil, "a mounted hierarchy")
	g, err := c.Create(fmt.Sprintf("gpve-test/%d", os.Getpid()))
	need.That(t, "cgroup", err == nil, fmt.Sprintf("a writable hierarchy: %v", err))
	t.Cleanup(func() {
		require.NoError(t, g.Kill(t.Context()))
		require.Eventually(t, func() bool { return g.Remove() == nil }, 5*time.Second, time.Millisecond)
		if top, err := c.Open("gpve-test"); err == nil {
			_ = top.Remove()
		}
	})
	return c, g
}

func TestGroupHoldsAndKills(t *testing.T) {
	c, g := group(t)
	p := start(t, &proc.Spec{Group: g}, "sleep 60 & sleep 60 & wait")
	require.Eventually(t, func() bool { pids, err := g.Procs(); return err == nil && len(pids) == 3 }, 5*time.Second, time.Millisecond)
	again, err := c.Open(g.Name())
	require.NoError(t, err)
	require.ErrorIs(t, again.Remove(), syscall.EBUSY)
	ctx := t.Context()
	require.NoError(t, again.Kill(ctx))
	require.Equal(t, syscall.SIGKILL, wait(t, p).Signal)
	require.NoError(t, again.Kill(ctx))
	_, err = c.Open("gpve-test/none")
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestGroupNames(t *testing.T) {
	c, _ := group(t)
	for _, name := range []string{"", ".", "/x", "../x", "a/../../x", "a//b"} {
		_, err := c.Create(name)
		require.Error(t, err, name)
	}
}

func TestOutOfMemoryIsCounted(t *testing.T) {
	_, g := group(t)
	n, err := g.OOMKills()
	need.That(t, "cgroup-memory", err == nil, "a memory controller")
	require.Zero(t, n)
	require.NoError(t, g.Set(proc.GroupLimits{MemoryMax: 16 << 20}))
	p := start(t, &proc.Spec{Group: g}, `x=0123456789abcdef; while :; do x=$x$x; done`)
	require.Equal(t, syscall.SIGKILL, wait(t, p).Signal)
	n, err = g.OOMKills()
	require.NoError(t, err)
	require.NotZero(t, n)
}

func TestLimits(t *testing.T) {
	_, g := group(t)
	for _, l := range []proc.GroupLimits{{CPUWeight: 200}, {CPUQuota: 1.5}, {CPUQuota: -1}, {PidsMax: 100}, {}} {
		if err := g.Set(l); !errors.Is(err, errors.ErrUnsupported) {
			require.NoError(t, err, "%+v", l)
		}
	}
}
