package zfs_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	gozfs "github.com/mistifyio/go-zfs/v4"
	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/storagetest"
	"github.com/turtacn/go-proxmox/storage/zfs"
)

// smallPool is a pool that fills up.
const smallPool = "gpvesmall"

// all is what the driver can do with both of its formats.
const all = storagetest.Resize | storagetest.Snapshot | storagetest.Clone | storagetest.Rename | storagetest.Open | storagetest.OpenSnapshot |
	storagetest.Fill | storagetest.Copy | storagetest.CopySnapshot | storagetest.Stream | storagetest.Incremental

func config(t *testing.T, format storage.Format, o zfs.Options) storagetest.Config {
	names := map[storage.Driver]string{}
	return storagetest.Config{
		Type: "zfspool", KillSteps: 3,
		New: func(t *testing.T) storage.Driver {
			d, dataset := open(t, &o)
			names[d] = dataset
			return d
		},
		Claims:  map[storage.Format]storagetest.Claims{format: all},
		Content: folderContent{},
		Residue: func(t *testing.T, d storage.Driver) []string { return residue(t, names[d]) },
		Backend: func(d storage.Driver) string {
			text, err := json.Marshal(backend{names[d], o})
			require.NoError(t, err)
			return string(text)
		},
		Bad: []storage.VolumeID{
			"100/vm-100-disk-0.raw", "vm-100-disk-0.raw/x", "vm-0-disk-0", "vm-100-disk-0%recv", "vm-100-disk-0(x)", "vm-100-disk-ü",
			"snap_vm-100-disk-0_x", "base-100-disk-0/subvol-100-disk-0", "basevol-100-disk-0/vm-100-disk-0", zfs.TempPrefix + "0.1.2.x",
		},
	}
}

func TestConformanceOfZvols(t *testing.T) {
	t.Parallel()
	c := config(t, storage.Raw, zfs.Options{Sparse: true})
	c.Granule = 1 << 20
	c.Full = func(t *testing.T) (storage.Driver, int64) { return small(t, &zfs.Options{Sparse: true}), 40 << 20 }
	inner := c.Residue
	c.Residue = func(t *testing.T, d storage.Driver) []string {
		if s, ok := d.(*smallDriver); ok {
			return residue(t, s.dataset)
		}
		return inner(t, d)
	}
	storagetest.Run(t, c)
}

func TestConformanceOfSubvols(t *testing.T) {
	t.Parallel()
	c := config(t, storage.Subvol, zfs.Options{})
	c.FolderBytes = 16 << 20
	// Made by the same steps as zvols, at the same speed: half a second each under emulation.
	c.Backend, c.Parallel = nil, 20
	storagetest.Run(t, c)
}

type smallDriver struct {
	*zfs.Driver
	dataset string
}

// small returns a driver of a pool with some 25 MiB.
func small(t testing.TB, o *zfs.Options) *smallDriver {
	zpool(t)
	file := filepath.Join(t.TempDir(), "disk")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.NoError(t, os.Truncate(file, 64<<20))
	p, err := gozfs.CreateZpool(smallPool, nil, "-m", "none", file)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Destroy()) })
	d, err := zfs.New(smallPool, o)
	require.NoError(t, err)
	return &smallDriver{d, smallPool}
}
