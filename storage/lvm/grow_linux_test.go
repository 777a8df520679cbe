package lvm

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/storage"
)

// firstExtent is where lvm2 lets the first volume of a group begin.
const firstExtent = 1 << 20

// TestThreat10_GrownVolumesAreZero: what a volume grows by held another guest's data.
func TestThreat10_GrownVolumesAreZero(t *testing.T) {
	d := newGroup(t, nil)
	stale := func() { // as after guests that are gone
		f, err := os.OpenFile(need.LabDisk(t, 0), os.O_WRONLY, 0)
		require.NoError(t, err)
		_, err = f.WriteAt([]byte(strings.Repeat("secret of a guest", 32<<20/17)), firstExtent)
		require.NoError(t, errors.Join(err, f.Sync(), f.Close()))
	}
	content := func() []byte {
		img, err := d.Open(t.Context(), "vm-101-disk-0", false)
		require.NoError(t, err)
		data, err := io.ReadAll(img.File)
		require.NoError(t, err)
		require.NoError(t, img.Close())
		return data
	}
	stale()
	_, err := d.Create(t.Context(), storage.VolumeSpec{ID: "vm-101-disk-0", SizeBytes: 4 << 20})
	require.NoError(t, err)
	require.True(t, bytes.Equal(make([]byte, 4<<20), content()))
	_, err = d.Resize(t.Context(), "vm-101-disk-0", 16<<20)
	require.NoError(t, err)
	require.True(t, bytes.Equal(make([]byte, 16<<20), content()))
	require.NoError(t, d.Delete(t.Context(), "vm-101-disk-0"))

	// A process that died when the volume had grown: it still has its old size, and is whole before anybody gets it.
	stale()
	_, err = d.Create(t.Context(), storage.VolumeSpec{ID: "vm-101-disk-0", SizeBytes: 4 << 20})
	require.NoError(t, err)
	run(t, "lvchange", "--addtag", growTag+"4194304", labGroup+"/vm-101-disk-0")
	run(t, "lvextend", "-L", "16M", labGroup+"/vm-101-disk-0")
	v, err := d.Stat(t.Context(), "vm-101-disk-0")
	require.NoError(t, err)
	require.Equal(t, int64(4<<20), v.SizeBytes)
	at, err := d.Attach(t.Context(), "vm-101-disk-0", storage.AttachOptions{UID: 200100})
	require.NoError(t, err)
	data, err := os.ReadFile(at.(storage.Block).Path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(make([]byte, 16<<20), data))
	v, err = d.Stat(t.Context(), "vm-101-disk-0")
	require.NoError(t, err)
	require.Equal(t, int64(16<<20), v.SizeBytes)
	require.NoError(t, d.Detach(t.Context(), "vm-101-disk-0"))
	require.NoError(t, d.Delete(t.Context(), "vm-101-disk-0"))
}
