package dir_test

import (
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

func TestConformance(t *testing.T) {
	need.Tool(t, "qemu-img")
	storagetest.Run(t, storagetest.Config{
		New: func(t *testing.T) storage.Driver {
			d, _ := open(t, nil)
			return d
		},
		Formats: []storage.Format{storage.Raw, storage.QCOW2},
		Bad: []storage.VolumeID{
			"100/x", "100//vm-100-disk-0.raw", "images/100/vm-100-disk-0.raw", "iso/../../x.iso", "import/a.ova/b.raw",
			"100/vm-100-disk-0.raw/..", "0/vm-0-disk-0.raw", "100/snap-x-vm-100-disk-0.qcow2",
		},
	})
}

func TestConformanceBehindAWrapper(t *testing.T) {
	need.Tool(t, "qemu-img")
	storagetest.Run(t, storagetest.Config{New: func(t *testing.T) storage.Driver {
		d, _ := open(t, nil)
		return &storagetest.Faulty{Driver: d, Fault: func(string, storage.VolumeID, bool) error { return nil }}
	}})
}
