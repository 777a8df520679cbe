package lvmcmd

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
)

// fake answers lvmconfig and hands every other command to do.
func fake(t *testing.T, filter string, do func(ctx context.Context, argv []string, stdout io.Writer) (string, int, error)) *Tool {
	tool, err := New(&Options{Runner: func(ctx context.Context, argv []string, stdout io.Writer) (string, int, error) {
		if argv[1] == "lvmconfig" {
			_, err := io.WriteString(stdout, filter+"\n")
			return "", 0, err
		}
		return do(ctx, argv, stdout)
	}})
	require.NoError(t, err)
	return tool
}

func TestGuestsDevicesAreNeverScanned(t *testing.T) {
	for name, c := range map[string]struct{ own, want string }{
		"default": {`global_filter=["a|.*|"]`, `"r|^/dev/nbd|","a|.*|"]`},
		"one":     {`global_filter="r|^/dev/sdz|"`, `"r|^/dev/nbd|","r|^/dev/sdz|"]`},
		"several": {`global_filter=["r|^/dev/sdy|", "r|^/dev/sdz|"]`, `"r|^/dev/nbd|","r|^/dev/sdy|","r|^/dev/sdz|"]`},
	} {
		t.Run(name, func(t *testing.T) {
			var seen [][]string
			tool := fake(t, c.own, func(_ context.Context, argv []string, _ io.Writer) (string, int, error) {
				seen = append(seen, argv)
				return "", 0, nil
			})
			require.NoError(t, tool.Change(t.Context(), "lvremove", "--", "g/v"))
			require.Len(t, seen, 1)
			require.Equal(t, []string{"lvm", "lvremove", "--config"}, seen[0][:3])
			require.Contains(t, seen[0][3], "scan_lvs=0")
			require.Contains(t, seen[0][3], `"r|^/dev/zd[0-9]|"`)
			require.Contains(t, seen[0][3], c.want)
		})
	}
	tool := fake(t, `global_filter=["a|.*|" scan_lvs=1]`, nil)
	require.Error(t, tool.Change(t.Context(), "lvremove"), "a filter that is not understood is not left out")
}

func TestClasses(t *testing.T) {
	for text, class := range map[string]error{
		`  Logical Volume "x" already exists in volume group "g"`:                                   storage.ErrExists,
		`  Failed to find logical volume "g/x"`:                                                     storage.ErrNotFound,
		`  Existing logical volume "x" not found in volume group "g"`:                               storage.ErrNotFound,
		`  Volume group "g" has insufficient free space (444 extents): 25600 required.`:             storage.ErrNoSpace,
		`  Logical volume x not found in volume group g.`:                                           storage.ErrNotFound,
		`  Snapshot origin LV x not found in Volume group g.`:                                       storage.ErrNotFound,
		`  Pool p not found in Volume group g.`:                                                     storage.ErrUnavailable,
		`  Logical volume g/x in use.`:                                                              storage.ErrInUse,
		"  Volume group \"g\" not found\n  Cannot process volume group g":                           storage.ErrUnavailable,
		`  Names including "_rimage" are reserved. Please choose a different LV name.`:              storage.ErrBadID,
		"  WARNING: Device x in use.\n  Failed to find logical volume \"g/x\"":                      storage.ErrNotFound,
		"  WARNING: Sum of all thin volume sizes\n  Volume group \"g\" has insufficient free space": storage.ErrNoSpace,
	} {
		tool := fake(t, `global_filter="a|.*|"`, func(context.Context, []string, io.Writer) (string, int, error) {
			return text, 5, errors.New("exit status 5")
		})
		err := tool.Change(t.Context(), "lvx")
		require.ErrorIs(t, err, class, text)
		e, ok := errors.AsType[*Error](err)
		require.True(t, ok)
		require.Equal(t, 5, e.Exit)
		require.Contains(t, e.Error(), strings.TrimSpace(text))
	}
	tool, err := New(&Options{Program: "no-such-lvm-anywhere"})
	require.NoError(t, err)
	err = tool.Change(t.Context(), "lvs")
	require.ErrorIs(t, err, storage.ErrUnavailable)
	require.NotErrorIs(t, err, exec.ErrNotFound)
}

// TestChangesAreNotBrokenOff: ctx keeps a change from beginning, not from ending.
func TestChangesAreNotBrokenOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var running, most atomic.Int32
		tool := fake(t, `global_filter="a|.*|"`, func(ctx context.Context, argv []string, _ io.Writer) (string, int, error) {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			select {
			case <-release:
				return "", 0, nil
			case <-ctx.Done():
				return "", -1, ctx.Err()
			}
		})
		reason := errors.New("task stopped")
		ctx, cancel := context.WithCancelCause(t.Context())
		var wg sync.WaitGroup
		errs := make([]error, 3)
		for i := range errs {
			wg.Go(func() { errs[i] = tool.Change(ctx, "lvcreate") })
		}
		synctest.Wait()
		require.Equal(t, int32(1), running.Load())
		cancel(reason)
		synctest.Wait()
		require.Equal(t, int32(1), running.Load(), "goes on")
		close(release)
		wg.Wait()
		done := 0
		for _, err := range errs {
			if err == nil {
				done++
			} else {
				require.ErrorIs(t, err, reason)
			}
		}
		require.Equal(t, 1, done)
		require.Equal(t, int32(1), most.Load(), "one at a time")

		begun := time.Now()
		hang := fake(t, `global_filter="a|.*|"`, func(ctx context.Context, _ []string, _ io.Writer) (string, int, error) {
			<-ctx.Done()
			return "", -1, ctx.Err()
		})
		require.ErrorIs(t, hang.Change(t.Context(), "lvcreate"), context.DeadlineExceeded)
		require.Equal(t, 5*time.Minute, time.Since(begun))
	})
}

func TestNames(t *testing.T) {
	for _, good := range []string{"a", "vm-100-disk-0", "a.b", "_x", "+", strings.Repeat("a", 127)} {
		require.True(t, ValidName(good), good)
	}
	for _, bad := range []string{"", ".", "..", "-a", "a/b", "a b", "a\n", "a\x00", "é", "a=b", strings.Repeat("a", 128)} {
		require.False(t, ValidName(bad), bad)
	}
	require.True(t, Reserved("snapshot0"))
	require.True(t, Reserved("vm-1-x_tmeta"))
	require.False(t, Reserved("snap_vm-1-x_y"))
	name, ok := DeviceName("a-b", "vm-1-x")
	require.True(t, ok)
	require.Equal(t, "a--b-vm--1--x", name)
	_, ok = DeviceName("g", strings.Repeat("-", 64))
	require.False(t, ok, "doubled hyphens count")
	_, err := New(&Options{Filter: []string{`r|x|" scan_lvs=1`}})
	require.Error(t, err)
}
