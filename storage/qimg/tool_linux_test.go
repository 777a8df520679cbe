package qimg_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/qimg"
	"github.com/turtacn/go-proxmox/storage/storagetest"
)

// newTool returns a tool whose commands are checked: whatever it opens is named by driver, and nothing is a path but descriptors.
func newTool(t testing.TB) *qimg.Tool {
	need.Tool(t, "qemu-img")
	tool, err := qimg.New(&qimg.Options{Observe: func(argv []string) {
		line := strings.Join(argv, " ")
		if argv[1] == "create" {
			require.Contains(t, argv, "-f", line)
		} else {
			require.Contains(t, line, `json:{"driver":`)
		}
		require.NotContains(t, line, os.TempDir(), "files are handed down open")
	}})
	require.NoError(t, err)
	return tool
}

func file(t testing.TB, data []byte) *os.File {
	f, err := os.OpenFile(filepath.Join(t.TempDir(), "image, with=odd name"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	_, err = f.WriteAt(data, 0)
	require.NoError(t, err)
	return f
}

func image(t testing.TB, tool *qimg.Tool, format storage.Format, size int64) *storage.Image {
	f := file(t, nil)
	require.NoError(t, tool.Create(t.Context(), f, qimg.CreateOptions{Format: format, SizeBytes: size}))
	return &storage.Image{File: f, Format: format}
}

// fill writes a pattern into a raw image and returns it.
func fill(t testing.TB, img *storage.Image, off int64, text string) []byte {
	data := bytes.Repeat([]byte(text), 4096)
	_, err := img.File.WriteAt(data, off)
	require.NoError(t, err)
	return data
}

func content(t testing.TB, tool *qimg.Tool, img *storage.Image, off, n int64) []byte {
	size, err := tool.Info(t.Context(), img)
	require.NoError(t, err)
	out := image(t, tool, storage.Raw, size.VirtualBytes)
	require.NoError(t, tool.Convert(t.Context(), out, img, qimg.CopyOptions{TargetIsZero: true}))
	buf := make([]byte, n)
	_, err = out.File.ReadAt(buf, off)
	require.NoError(t, err)
	return buf
}

func TestCreateInfoResize(t *testing.T) {
	tool := newTool(t)
	img := image(t, tool, storage.QCOW2, 64<<20)
	require.NoError(t, tool.Resize(t.Context(), img, 128<<20, ""))
	info, err := tool.Info(t.Context(), img)
	require.NoError(t, err)
	require.Equal(t, int64(128<<20), info.VirtualBytes)
	require.Positive(t, info.ActualBytes)
	required, full, err := tool.Measure(t.Context(), img, storage.QCOW2)
	require.NoError(t, err)
	require.Less(t, required, full)
	require.Greater(t, full, int64(128<<20))

	err = tool.Create(t.Context(), file(t, nil), qimg.CreateOptions{Format: "luks", SizeBytes: 1 << 20})
	require.ErrorIs(t, err, storage.ErrUnsafe)
}

func TestCopyBetweenFormats(t *testing.T) {
	tool := newTool(t)
	src := image(t, tool, storage.Raw, 40<<20)
	want := fill(t, src, 20<<20, "across formats ")
	for _, format := range []storage.Format{storage.Raw, storage.QCOW2} {
		var calls int
		var last int64
		dst := image(t, tool, format, 48<<20)
		require.NoError(t, tool.Copy(t.Context(), dst, src, qimg.CopyOptions{TargetIsZero: true, Progress: func(done, total int64) {
			require.Equal(t, int64(40<<20), total)
			require.GreaterOrEqual(t, done, last)
			calls, last = calls+1, done
		}}))
		require.Positive(t, calls)
		require.Equal(t, int64(40<<20), last)
		require.Equal(t, want, content(t, tool, dst, 20<<20, int64(len(want))))
		info, err := tool.Info(t.Context(), dst)
		require.NoError(t, err)
		require.Equal(t, int64(48<<20), info.VirtualBytes, "a larger target keeps its size")
		require.Less(t, info.ActualBytes, int64(4<<20), "holes stay holes")
	}
}

func TestCopyCancelled(t *testing.T) {
	tool := newTool(t)
	src := image(t, tool, storage.Raw, 64<<20)
	fill(t, src, 0, "never arrives ")
	for _, format := range []storage.Format{storage.Raw, storage.QCOW2} {
		dst := image(t, tool, format, 64<<20)
		ctx, cancel := context.WithCancelCause(t.Context())
		reason := errors.New("no longer wanted")
		cancel(reason)
		err := tool.Copy(ctx, dst, src, qimg.CopyOptions{TargetIsZero: true})
		if err != nil { // a clone by the file system is done at once
			require.ErrorIs(t, err, reason)
		}
	}
	// A slow copy is killed in the middle.
	ctx, cancel := context.WithCancel(t.Context())
	start := time.Now()
	err := tool.Copy(ctx, image(t, tool, storage.QCOW2, 64<<20), src, qimg.CopyOptions{
		BytesPerSecond: 1, Progress: func(int64, int64) { cancel() }})
	require.ErrorIs(t, err, context.Canceled)
	require.Less(t, time.Since(start), 20*time.Second)
}

func TestSnapshots(t *testing.T) {
	tool := newTool(t)
	raw := image(t, tool, storage.Raw, 8<<20)
	img := image(t, tool, storage.QCOW2, 8<<20)
	before := fill(t, raw, 0, "before ")
	require.NoError(t, tool.Copy(t.Context(), img, raw, qimg.CopyOptions{}))
	require.NoError(t, tool.Snapshot(t.Context(), img, "first"))
	fill(t, raw, 0, "after  ")
	require.NoError(t, tool.Copy(t.Context(), img, raw, qimg.CopyOptions{}))

	info, err := tool.Info(t.Context(), img)
	require.NoError(t, err)
	require.Len(t, info.Snapshots, 1)
	require.Equal(t, "first", info.Snapshots[0].Name)
	require.WithinDuration(t, time.Now(), info.Snapshots[0].Created, time.Minute)

	out := image(t, tool, storage.Raw, 8<<20)
	require.NoError(t, tool.Copy(t.Context(), out, img, qimg.CopyOptions{Snapshot: "first", TargetIsZero: true}))
	got := make([]byte, len(before))
	_, err = out.File.ReadAt(got, 0)
	require.NoError(t, err)
	require.Equal(t, before, got)

	require.NoError(t, tool.Rollback(t.Context(), img, "first"))
	require.Equal(t, before, content(t, tool, img, 0, int64(len(before))))
	require.NoError(t, tool.DeleteSnapshot(t.Context(), img, "first"))
	require.Error(t, tool.Rollback(t.Context(), img, "first"))
}

func TestBackingIsWhatTheCallerSays(t *testing.T) {
	tool := newTool(t)
	base := image(t, tool, storage.Raw, 4<<20)
	want := fill(t, base, 1<<20, "base ")
	f := file(t, nil)
	o := qimg.CreateOptions{Format: storage.QCOW2, SizeBytes: 4 << 20}
	o.Backing.Name, o.Backing.Format = "../9000/base-9000-disk-0.raw", storage.Raw
	require.NoError(t, tool.Create(t.Context(), f, o))

	clone := &storage.Image{File: f, Format: storage.QCOW2, Backing: base}
	require.Equal(t, want, content(t, tool, clone, 1<<20, int64(len(want))))
	alone := &storage.Image{File: f, Format: storage.QCOW2}
	require.Equal(t, make([]byte, len(want)), content(t, tool, alone, 1<<20, int64(len(want))), "the header's name is not followed")
}

func TestThreat3_GuestHeadersLeakNothing(t *testing.T) {
	tool := newTool(t)
	const canary = "canary: a file of the host"
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, bytes.Repeat([]byte(canary), 1000), 0o600))
	for _, hostile := range storagetest.Hostile(secret) {
		t.Run(hostile.Name, func(t *testing.T) {
			guest := &storage.Image{File: file(t, hostile.Data), Format: storage.Raw} // a guest's disk with that content
			dst := image(t, tool, storage.Raw, max(1<<20, int64(len(hostile.Data))))
			require.NoError(t, tool.Convert(t.Context(), dst, guest, qimg.CopyOptions{TargetIsZero: true}))
			got := make([]byte, len(hostile.Data))
			_, err := dst.File.ReadAt(got, 0)
			require.NoError(t, err)
			require.True(t, bytes.Equal(hostile.Data, got), "the copy is the guest's own bytes")

			// Even opened under the format that it claims, without the check that refuses it, nothing is followed.
			claimed := &storage.Image{File: guest.File, Format: hostile.Format}
			out := image(t, tool, storage.Raw, 16<<20)
			if err := tool.Convert(t.Context(), out, claimed, qimg.CopyOptions{Untrusted: true, TargetIsZero: true}); err == nil {
				data, err := os.ReadFile(out.File.Name())
				require.NoError(t, err)
				require.NotContains(t, string(data), canary)
			}
		})
	}
}

func TestThreat5_LimitsHold(t *testing.T) {
	need.Tool(t, "sh")
	bin := filepath.Join(t.TempDir(), "qemu-img")
	require.NoError(t, os.WriteFile(bin, []byte("#!/bin/sh\nwhile :; do :; done\n"), 0o700))
	tool, err := qimg.New(&qimg.Options{Binary: bin, InfoTimeout: 300 * time.Millisecond})
	require.NoError(t, err)
	start := time.Now()
	empty := &storage.Image{File: file(t, (&storagetest.QCOW2{VirtualBytes: 1 << 20}).Bytes()), Format: storage.QCOW2}
	_, err = tool.Info(t.Context(), empty)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(start), 10*time.Second)

	require.NoError(t, os.WriteFile(bin, []byte("#!/bin/sh\nuntil [ \"$(ulimit -t)\" = 30 ]; do :; done\nulimit -v >&2; exit 3\n"), 0o700))
	tool, err = qimg.New(&qimg.Options{Binary: bin})
	require.NoError(t, err)
	_, err = tool.Info(t.Context(), empty)
	e, ok := errors.AsType[*qimg.Error](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, 3, e.Exit)
	require.Equal(t, "1048576", e.Stderr, "KiB of address space")
}

func TestErrors(t *testing.T) {
	tool := newTool(t)
	img := image(t, tool, storage.QCOW2, 1<<20)
	err := tool.Rollback(t.Context(), img, "nothing")
	e, ok := errors.AsType[*qimg.Error](err)
	require.True(t, ok)
	require.Equal(t, 1, e.Exit)
	require.NotEmpty(t, e.Stderr)
	require.Equal(t, "snapshot", e.Argv[1])
	require.ErrorContains(t, err, "qimg: qemu-img snapshot: exit 1")
	_, err = tool.Info(t.Context(), &storage.Image{File: file(t, []byte("QFI\xfb no image")), Format: storage.QCOW2})
	require.ErrorIs(t, err, qimg.ErrCorrupt)

	none, err := qimg.New(&qimg.Options{Binary: "qemu-img-of-nowhere"})
	require.NoError(t, err)
	require.ErrorIs(t, none.Create(t.Context(), file(t, nil), qimg.CreateOptions{Format: storage.Raw, SizeBytes: 512}), qimg.ErrMissing)
	_, err = qimg.New(&qimg.Options{InfoTimeout: -1})
	require.Error(t, err)
}

func TestInspect(t *testing.T) {
	tool := newTool(t)
	img := image(t, tool, storage.QCOW2, 3<<20)
	h, err := tool.Inspect(t.Context(), img.File, "")
	require.NoError(t, err)
	require.Equal(t, int64(3<<20), h.VirtualBytes)
	h, err = tool.Inspect(t.Context(), file(t, []byte("an ISO image")), "")
	require.NoError(t, err)
	require.Equal(t, storage.Raw, h.Format)
	for _, hostile := range storagetest.Hostile("/etc/hostname") {
		_, err = tool.Inspect(t.Context(), file(t, hostile.Data), hostile.Format)
		require.Error(t, err, hostile.Name)
	}
}

// BenchmarkCopyRaw compares the kernel's copy of a raw image with qemu-img's: 1 GiB, of which a quarter is data.
func BenchmarkCopyRaw(b *testing.B) {
	tool := newTool(b)
	src := image(b, tool, storage.Raw, 1<<30)
	block := bytes.Repeat([]byte("0123456789abcdef"), 4096)
	for off := int64(0); off < 1<<28; off += int64(len(block)) {
		_, err := src.File.WriteAt(block, off*4)
		require.NoError(b, err)
	}
	for name, copyFn := range map[string]func(dst *storage.Image) error{
		"kernel": func(dst *storage.Image) error {
			return tool.Copy(b.Context(), dst, src, qimg.CopyOptions{TargetIsZero: true})
		},
		"qemu-img": func(dst *storage.Image) error {
			return tool.Convert(b.Context(), dst, src, qimg.CopyOptions{TargetIsZero: true})
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(1 << 28)
			for b.Loop() {
				dst := image(b, tool, storage.Raw, 1<<30)
				require.NoError(b, copyFn(dst))
				require.NoError(b, os.Remove(dst.File.Name()))
			}
		})
	}
}
