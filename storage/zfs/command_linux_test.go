package zfs

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
)

// script is a program in zfs's place.
func script(t *testing.T, text string) *Driver {
	t.Helper()
	file := filepath.Join(t.TempDir(), "zfs")
	require.NoError(t, os.WriteFile(file, []byte("#!/bin/sh\n"+text), 0o755))
	d, err := New("tank", &Options{ZFS: file, Zpool: file})
	require.NoError(t, err)
	return d
}

func TestCommandsEndWithTheirContext(t *testing.T) {
	d := script(t, "exec sleep 1000\n")
	reason := errors.New("caller left")
	ctx, cancel := context.WithCancelCause(t.Context())
	start := time.Now()
	time.AfterFunc(100*time.Millisecond, func() { cancel(reason) })
	_, err := d.Usage(ctx)
	require.ErrorIs(t, err, reason)
	require.Less(t, time.Since(start), grace)
}

func TestASuspendedPoolIsNotAsked(t *testing.T) {
	d := script(t, "exec sleep 1000\n")
	kstat := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(kstat, "tank"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(kstat, "tank", "state"), []byte("SUSPENDED\n"), 0o644))
	SetKstat(d, kstat)
	_, err := d.Usage(t.Context())
	require.ErrorIs(t, err, storage.ErrUnavailable)
	_, err = d.Attach(t.Context(), "vm-100-disk-0", storage.AttachOptions{})
	require.ErrorIs(t, err, storage.ErrUnavailable)
	require.NoError(t, d.Detach(t.Context(), "vm-100-disk-0"))
	require.ErrorIs(t, d.Activate(t.Context()), storage.ErrUnavailable)
}

func TestMissingProgram(t *testing.T) {
	d, err := New("tank", &Options{ZFS: "no-such-program-anywhere"})
	require.NoError(t, err)
	_, err = d.Usage(t.Context())
	require.ErrorIs(t, err, storage.ErrUnavailable)
	require.ErrorContains(t, err, "not installed")
}

// What a command says beyond its columns, or without end, is an error and not a volume.
func TestAnswersAreNotBelieved(t *testing.T) {
	d := script(t, "printf 'tank/vm-100-disk-0\\tvolume\\tmuch\\t-\\t0\\t-\\t0\\n'\n")
	_, err := d.Stat(t.Context(), "vm-100-disk-0")
	require.ErrorContains(t, err, "no number")
	for _, err = range d.List(t.Context(), storage.Filter{}) {
	}
	require.ErrorContains(t, err, "no number")
	_, err = d.Snapshots(t.Context(), "vm-100-disk-0")
	require.Error(t, err)
	_, err = d.Usage(t.Context())
	require.Error(t, err)
}

func TestErrorsTellWhatWasRun(t *testing.T) {
	d := script(t, "echo \"LC_ALL=$LC_ALL\" >&2; echo 'cannot open: odd' >&2; exit 3\n")
	_, err := d.Usage(t.Context())
	e, ok := errors.AsType[*Error](err)
	require.True(t, ok)
	require.Equal(t, 3, e.Exit)
	require.Equal(t, "LC_ALL=C\ncannot open: odd", e.Stderr)
	require.Contains(t, err.Error(), "storage: zfspool: usage: ")
	require.Contains(t, err.Error(), "list -Hp -d 0 -o used,available tank")
}

func TestTransfersEndWithTheWeakerSide(t *testing.T) {
	run := func(ctx context.Context, send, recv string, limit int64) error {
		file := filepath.Join(t.TempDir(), "zfs")
		require.NoError(t, os.WriteFile(file, []byte("#!/bin/sh\neval \"$1\"\n"), 0o755))
		tool := newTool(file, file, "tank", script(t, "").tool.logger)
		return transfer{send: []string{send}, recv: []string{recv}, from: tool, to: tool, bytesPerSecond: limit}.run(ctx)
	}
	for _, limit := range []int64{0, 1 << 30} {
		require.NoError(t, run(t.Context(), "printf hello", `test "$(cat)" = hello`, limit))
		err := run(t.Context(), "echo 'cannot send: dataset does not exist' >&2; exit 1", "cat > /dev/null; echo 'no stream' >&2; exit 1", limit)
		require.ErrorIs(t, err, storage.ErrNotFound, "the sender's error, not what follows from it")
		err = run(t.Context(), "exec cat /dev/zero", "head -c 1000000 > /dev/null; echo 'cannot receive: out of space' >&2; exit 1", limit)
		require.ErrorIs(t, err, storage.ErrNoSpace, "the receiver's error, not the broken pipe")
		reason := errors.New("task stopped")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(100*time.Millisecond, func() { cancel(reason) })
		require.ErrorIs(t, run(ctx, "exec cat /dev/zero", "exec cat > /dev/null", limit), reason)
	}
}

func TestLimitedCopies(t *testing.T) {
	var out strings.Builder
	start := time.Now()
	require.NoError(t, copyLimited(t.Context(), &out, strings.NewReader(strings.Repeat("x", 30_000)), 100_000))
	require.Len(t, out.String(), 30_000)
	require.InDelta(t, 0.3, time.Since(start).Seconds(), 0.15)
	lost := errors.New("line cut")
	require.ErrorIs(t, copyLimited(t.Context(), io.Discard, io.MultiReader(strings.NewReader("x"), reader(func([]byte) (int, error) { return 0, lost })), 1000), lost)
}

type reader func([]byte) (int, error)

func (f reader) Read(p []byte) (int, error) { return f(p) }
