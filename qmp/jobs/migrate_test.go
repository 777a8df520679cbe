package jobs_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/jobs"
	"github.com/turtacn/go-proxmox/qmp/qapi"
	"github.com/turtacn/go-proxmox/qmp/qmptest"
)

// pair starts a source with a guest that writes to memory, and a target that waits for it.
func pair(t *testing.T) *jobs.MigrateOptions {
	t.Helper()
	disk := []string{"-drive", "if=none,id=b,format=raw,file.locking=off,file=" + bootDisk(t, writer), "-device", "ide-hd,drive=b"}
	o := &jobs.MigrateOptions{
		Source: start(t, disk...),
		Target: start(t, append(disk, "-incoming", "defer")...),
		URI:    "unix:" + filepath.Join(t.TempDir(), "m"),
	}
	require.Eventually(t, func() bool { // until the firmware has handed over
		var text string
		text, err := qapi.HumanMonitorCommand(t.Context(), o.Source, &qapi.HumanMonitorCommandArgs{CommandLine: "xp /1bx 0x20000"})
		return err == nil && text != "" && text != "0000000000020000: 0x00\r\n"
	}, 30*time.Second, 20*time.Millisecond)
	return o
}

func requireStatus(t *testing.T, c *qmp.Client, want qapi.RunState) {
	t.Helper()
	s, err := qapi.QueryStatus(limited(t), c)
	require.NoError(t, err)
	require.Equal(t, want, s.Status)
}

func TestMigratePrecopyWithRamp(t *testing.T) {
	o := pair(t)
	o.Parameters = &qapi.MigrateSetParametersArgs{MaxBandwidth: new(uint64(1 << 20))} // the guest dirties 64 KiB all the time
	o.Downtime = jobs.Ramp{Start: time.Millisecond, Max: time.Second, Passes: 1}
	var last jobs.MigrationProgress
	o.OnProgress = func(p jobs.MigrationProgress) { last = p }
	info, err := jobs.Migrate(limited(t), o)
	require.NoError(t, err)
	require.Equal(t, qapi.MigrationStatusCompleted, *info.Status)
	require.Greater(t, last.Pass, 2)
	require.Greater(t, last.DowntimeLimit, time.Millisecond)
	require.LessOrEqual(t, last.DowntimeLimit, time.Second)
	require.Eventually(t, func() bool {
		s, err := qapi.QueryStatus(t.Context(), o.Source)
		return err == nil && s.Status == qapi.RunStatePostmigrate
	}, 10*time.Second, time.Millisecond)
	requireStatus(t, o.Target, qapi.RunStateRunning)
}

// TestMigrateToNewerQEMU moves a guest to a QEMU 10 that plays the board of 7.2.
func TestMigrateToNewerQEMU(t *testing.T) {
	args := []string{"-M", "pc-i440fx-7.2", "-drive", "if=none,id=b,format=raw,file.locking=off,file=" + bootDisk(t, writer), "-device", "ide-hd,drive=b"}
	target := startBinary(t, need.QEMU10(t), append(args, "-incoming", "defer")...)
	require.True(t, target.Greeting().Version.AtLeast(10, 0))
	_, err := jobs.Migrate(limited(t), &jobs.MigrateOptions{Source: start(t, args...), Target: target, URI: "unix:" + filepath.Join(t.TempDir(), "m")})
	require.NoError(t, err)
	requireStatus(t, target, qapi.RunStateRunning)
}

func TestMigrateMultifdWithSwitchover(t *testing.T) {
	o := pair(t)
	o.Multifd = 2
	stopped := false
	o.BeforeSwitchover = func(ctx context.Context) error {
		s, err := qapi.QueryStatus(ctx, o.Source)
		stopped = err == nil && !s.Running
		return err
	}
	_, err := jobs.Migrate(limited(t), o)
	require.NoError(t, err)
	require.True(t, stopped)
	requireStatus(t, o.Target, qapi.RunStateRunning)
}

func TestMigratePostcopy(t *testing.T) {
	o := pair(t)
	o.PostcopyAfter = 1
	o.Parameters = &qapi.MigrateSetParametersArgs{MaxBandwidth: new(uint64(1 << 18)), DowntimeLimit: new(uint64(1))}
	var seen []qapi.MigrationStatus
	o.OnProgress = func(p jobs.MigrationProgress) { seen = append(seen, p.Status) }
	_, err := jobs.Migrate(limited(t), o)
	require.NoError(t, err)
	require.Contains(t, seen, qapi.MigrationStatusPostcopyActive)
	requireStatus(t, o.Target, qapi.RunStateRunning)
}

func TestMigrateIsCancelled(t *testing.T) {
	o := pair(t)
	o.Parameters = &qapi.MigrateSetParametersArgs{MaxBandwidth: new(uint64(1 << 16))}
	ctx, cancel := context.WithCancel(limited(t))
	defer cancel()
	o.OnProgress = func(p jobs.MigrationProgress) {
		if p.Status == qapi.MigrationStatusActive {
			cancel()
		}
	}
	_, err := jobs.Migrate(ctx, o)
	require.ErrorIs(t, err, context.Canceled)
	requireStatus(t, o.Source, qapi.RunStateRunning)
	info, err := qapi.QueryMigrate(limited(t), o.Source)
	require.NoError(t, err)
	require.Equal(t, qapi.MigrationStatusCancelled, *info.Status)
}

func TestMigrateGivesUpBeforeSwitchover(t *testing.T) {
	o := pair(t)
	refused := errors.New("disk is busy")
	o.BeforeSwitchover = func(context.Context) error { return refused }
	_, err := jobs.Migrate(limited(t), o)
	require.ErrorIs(t, err, refused)
	requireStatus(t, o.Source, qapi.RunStateRunning)
}

func TestMigrateFails(t *testing.T) {
	o := pair(t)
	o.Target, o.URI = nil, "unix:"+filepath.Join(t.TempDir(), "nobody")
	_, err := jobs.Migrate(limited(t), o)
	var failed *jobs.MigrationError
	require.True(t, errors.As(err, &failed) || isQEMU(err), "%v", err)
	requireStatus(t, o.Source, qapi.RunStateRunning)
}

func isQEMU(err error) bool { _, ok := errors.AsType[*qmp.Error](err); return ok }

// script plays a source whose migration raises the given statuses ("pass" is a pass) as soon as it starts, and more upon
// a cancel.
func script(t *testing.T, statuses, afterCancel []string) (*qmp.Client, *qmptest.Peer) {
	t.Helper()
	peer := qmptest.New(t, nil)
	pass := 0
	play := func(list []string) {
		for _, s := range list {
			if s == "pass" {
				pass++
				peer.Emit("MIGRATION_PASS", map[string]int{"pass": pass})
				continue
			}
			peer.Emit("MIGRATION", map[string]string{"status": s})
		}
	}
	ok := func(*qmptest.Request) (any, error) { return nil, nil }
	for _, cmd := range []string{"migrate-set-capabilities", "migrate-set-parameters", "migrate-start-postcopy", "migrate-continue", "migrate-incoming"} {
		peer.Handle(cmd, ok)
	}
	peer.Handle("query-status", func(*qmptest.Request) (any, error) { return map[string]any{"status": "running", "running": true}, nil })
	peer.Handle("query-migrate", func(*qmptest.Request) (any, error) { return map[string]string{"error-desc": "broken"}, nil })
	peer.Handle("migrate", func(*qmptest.Request) (any, error) { play(statuses); return nil, nil })
	peer.Handle("migrate_cancel", func(*qmptest.Request) (any, error) { play(afterCancel); return nil, nil })
	c, err := qmp.NewClient(limited(t), peer.Conn(), nil)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c, peer
}

func TestMigrationEnds(t *testing.T) {
	for _, tc := range []struct {
		name     string
		statuses []string
		want     error
		text     string
	}{
		{"failed", []string{"setup", "active", "failed"}, nil, "migration failed: broken"},
		{"cancelled by another", []string{"setup", "active", "cancelling", "cancelled"}, jobs.ErrCancelled, ""},
		{"postcopy broken", []string{"active", "postcopy-active", "postcopy-paused"}, jobs.ErrPostcopyPaused, ""},
	} {
		c, _ := script(t, tc.statuses, nil)
		_, err := jobs.Migrate(limited(t), &jobs.MigrateOptions{Source: c, URI: "unix:/s"})
		if tc.want != nil {
			require.ErrorIs(t, err, tc.want, tc.name)
		}
		require.ErrorContains(t, err, tc.text, tc.name)
	}
}

func TestMigrationCancelComesTooLate(t *testing.T) {
	c, _ := script(t, []string{"active"}, []string{"completed"})
	ctx, cancel := context.WithCancel(limited(t))
	_, err := jobs.Migrate(ctx, &jobs.MigrateOptions{Source: c, URI: "unix:/s", OnProgress: func(p jobs.MigrationProgress) {
		if p.Status == qapi.MigrationStatusActive {
			cancel()
		}
	}})
	require.ErrorIs(t, err, context.Canceled, "only the last question was not asked any more")
	require.NotErrorIs(t, err, jobs.ErrCancelled)
	cancel()
}

func TestMigrationInPostcopyIsNotCancelled(t *testing.T) {
	c, peer := script(t, []string{"active", "pass", "pass", "postcopy-active"}, nil)
	ctx, cancel := context.WithCancel(limited(t))
	defer cancel()
	_, err := jobs.Migrate(ctx, &jobs.MigrateOptions{Source: c, URI: "unix:/s", PostcopyAfter: 1, OnProgress: func(p jobs.MigrationProgress) {
		if p.Status == qapi.MigrationStatusPostcopyActive {
			cancel()
		}
	}})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "goes on")
	var sent []string
	for _, r := range peer.Requests() {
		sent = append(sent, r.Command)
	}
	require.Contains(t, sent, "migrate-start-postcopy")
	require.NotContains(t, sent, "migrate_cancel")
}

func TestMigrationTargetFails(t *testing.T) {
	source, _ := script(t, []string{"active", "completed"}, nil)
	target, peer := script(t, nil, nil)
	peer.Handle("migrate-incoming", func(*qmptest.Request) (any, error) {
		peer.Emit("MIGRATION", map[string]string{"status": "setup"})
		peer.Emit("MIGRATION", map[string]string{"status": "failed"})
		return nil, nil
	})
	_, err := jobs.Migrate(limited(t), &jobs.MigrateOptions{Source: source, Target: target, URI: "unix:/s"})
	require.EqualError(t, err, "jobs: migration failed: broken")
}

func TestMigrateOptionsAreChecked(t *testing.T) {
	c, _ := script(t, nil, nil)
	for _, o := range []*jobs.MigrateOptions{nil, {}, {Source: c}, {Source: c, URI: "u", Multifd: 256}, {Source: c, URI: "u", PostcopyAfter: -1}} {
		_, err := jobs.Migrate(limited(t), o)
		require.Error(t, err)
	}
}
