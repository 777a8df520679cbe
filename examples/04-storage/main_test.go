package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/storage"
)

// image makes a qcow2 image of 48 MiB with some data.
func image(t *testing.T) string {
	t.Helper()
	need.Tool(t, "qemu-img", "qemu-io")
	path := filepath.Join(t.TempDir(), "image.qcow2")
	for _, argv := range [][]string{
		{"qemu-img", "create", "-q", "-f", "qcow2", path, "48M"},
		{"qemu-io", "-f", "qcow2", "-c", "write -q -P 7 1M 8M", path},
	} {
		out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	return path
}

// walked runs the program and requires that it came to its end.
func walked(t *testing.T, o options) string {
	t.Helper()
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out, o), &out)
	for _, step := range []string{"create", "import", "100 %", "snapshot", "resize", "full clone", "make base", "linked clone", "list", "usage", "delete"} {
		require.Contains(t, out.String(), step)
	}
	require.Contains(t, out.String(), "done         0 volumes left")
	return out.String()
}

// files are what is in a folder, other folders aside.
func files(t *testing.T, folder string) (names []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			names = append(names, path)
		}
		return err
	}))
	return names
}

func TestExample(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "vms")
	out := walked(t, options{Type: "dir", Path: folder, Image: image(t)})
	require.Contains(t, out, "import       100/vm-100-disk-1.qcow2 of 48 MiB")
	require.Contains(t, out, "resize       100/vm-100-disk-1.qcow2 to 112 MiB")
	require.Contains(t, out, "linked clone 101/base-101-disk-0.qcow2/102/vm-102-disk-0.qcow2")
	require.Empty(t, files(t, folder))
	walked(t, options{Type: "dir", Path: folder}) // with an image of its own
}

func TestNothingIsLeftAfterAnError(t *testing.T) {
	img := image(t)
	t.Setenv("TMPDIR", t.TempDir())
	folder := filepath.Join(t.TempDir(), "vms")
	var out strings.Builder
	require.ErrorIs(t, run(t.Context(), &out, options{Type: "dir", Path: folder, Image: "/nowhere"}), fs.ErrNotExist)
	require.Contains(t, out.String(), "create       100/vm-100-disk-0.qcow2")
	require.Empty(t, files(t, folder))
	require.ErrorIs(t, run(t.Context(), &out, options{Type: "floppy"}), storage.ErrUnknownType)

	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("interrupted")
	stop := writer(func(p []byte) (int, error) {
		if strings.Contains(string(p), "full clone") {
			cancel(reason)
		}
		return len(p), nil
	})
	require.ErrorIs(t, run(ctx, stop, options{Type: "dir", Path: folder, Image: img}), reason)
	require.Empty(t, files(t, folder))
	require.ErrorIs(t, run(ctx, io.Discard, options{Type: "dir", Path: folder}), reason)
	require.Empty(t, files(t, os.TempDir()))
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }
