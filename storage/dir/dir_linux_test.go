package dir_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/dir"
	"github.com/turtacn/go-proxmox/storage/storagetest"
)

func open(t testing.TB, o *dir.Options) (*dir.Driver, string) {
	root := t.TempDir()
	d, err := dir.New(root, o)
	require.NoError(t, err)
	require.NoError(t, d.Activate(t.Context()))
	return d, root
}

// claims are what the driver promises on a file system that cannot share blocks.
func claims() map[storage.Format]storagetest.Claims {
	raw := storagetest.Resize | storagetest.Clone | storagetest.Rename | storagetest.Open | storagetest.Fill | storagetest.Stage |
		storagetest.Stream
	return map[storage.Format]storagetest.Claims{
		storage.Raw:    raw,
		storage.Subvol: storagetest.Stage,
		storage.QCOW2:  raw | storagetest.Snapshot | storagetest.RollbackPast | storagetest.OpenSnapshot,
	}
}

// residue are the files below a storage's folder.
func residue(t *testing.T, d storage.Driver) []string {
	own, ok := storage.As[*dir.Driver](d)
	require.True(t, ok)
	var left []string
	require.NoError(t, filepath.WalkDir(own.Root(), func(path string, e fs.DirEntry, err error) error {
		if name := e.Name(); err == nil && (!e.IsDir() || strings.HasPrefix(name, ".gpve-") || strings.HasSuffix(name, ".subvol")) {
			left = append(left, path)
		}
		return err
	}))
	return left
}

func TestConformance(t *testing.T) {
	need.Tool(t, "qemu-img", "qemu-io")
	storagetest.Run(t, config())
}

func TestSequences(t *testing.T) {
	need.Tool(t, "qemu-img", "qemu-io")
	storagetest.Sequences(t, config(), 3)
}

// TestConformanceOnXFS is on a file system whose files can share blocks.
func TestConformanceOnXFS(t *testing.T) {
	need.Root(t)
	need.Tool(t, "qemu-img", "qemu-io", "mkfs.xfs", "mount", "umount")
	root := xfs(t)
	c := config()
	c.Backend = nil // the steps are the same
	for format := range c.Claims {
		if format != storage.Subvol {
			c.Claims[format] |= storagetest.Copy
		}
	}
	c.New = func(t *testing.T) storage.Driver {
		folder, err := os.MkdirTemp(root, "")
		require.NoError(t, err)
		d, err := dir.New(folder, &dir.Options{Contents: []storage.Content{storage.Images, storage.ISO}})
		require.NoError(t, err)
		require.NoError(t, d.Activate(t.Context()))
		return d
	}
	storagetest.Run(t, c)
}

// xfs mounts a file system of its own.
func xfs(t *testing.T) string {
	t.Helper()
	image, root := filepath.Join(t.TempDir(), "xfs"), t.TempDir()
	for _, argv := range [][]string{
		{"truncate", "-s", "400M", image}, {"mkfs.xfs", "-q", "-m", "reflink=1", image}, {"mount", "-o", "loop", image, root},
	} {
		out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
		need.That(t, "xfs", err == nil, fmt.Sprintf("%v: %v: %s", argv, err, out))
	}
	t.Cleanup(func() {
		out, err := exec.Command("umount", root).CombinedOutput()
		require.NoError(t, err, "%s", out)
	})
	return root
}

func config() storagetest.Config {
	return storagetest.Config{
		New: func(t *testing.T) storage.Driver {
			d, _ := open(t, &dir.Options{Contents: []storage.Content{storage.Images, storage.ISO}})
			return d
		},
		Claims:  claims(),
		Residue: residue,
		Backend: func(d storage.Driver) string {
			own, _ := storage.As[*dir.Driver](d)
			return own.Root()
		},
		Bad: []storage.VolumeID{
			"100/x", "100//vm-100-disk-0.raw", "images/100/vm-100-disk-0.raw", "iso/../../x.iso", "import/a.ova/b.raw",
			"100/vm-100-disk-0.raw/..", "0/vm-0-disk-0.raw", "100/snap-x-vm-100-disk-0.qcow2",
		},
	}
}

// TestThreat12_RemovingAFolderFollowsNoLink: what a container left in its folder leads nowhere when the folder goes.
func TestThreat12_RemovingAFolderFollowsNoLink(t *testing.T) {
	d, root := open(t, nil)
	id := storage.VolumeID("100/subvol-100-disk-0.subvol")
	_, err := d.Create(t.Context(), storage.VolumeSpec{ID: id})
	require.NoError(t, err)
	outside := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(outside, "keep"), nil, 0o600))
	inside := filepath.Join(root, "images/100/subvol-100-disk-0.subvol")
	require.NoError(t, os.MkdirAll(filepath.Join(inside, "a/b/c"), 0o700))
	for _, link := range []string{"link", "a/link", "a/b/c/link"} {
		require.NoError(t, os.Symlink(outside, filepath.Join(inside, link)))
	}
	require.NoError(t, d.Delete(t.Context(), id))
	require.NoDirExists(t, filepath.Join(root, "images/100"))
	require.FileExists(t, filepath.Join(outside, "keep"))

	require.NoError(t, os.MkdirAll(filepath.Dir(inside), 0o755))
	require.NoError(t, os.Symlink(outside, inside))
	_, err = d.Stat(t.Context(), id)
	require.Error(t, err)
	_, err = d.Attach(t.Context(), id, storage.AttachOptions{})
	require.Error(t, err)
	require.Empty(t, list(t, d, storage.Filter{}))
}
