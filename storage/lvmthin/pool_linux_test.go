package lvmthin

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
)

// TestPoolNearlyFull: alarms come once, and what would take more is refused while guests still have room.
func TestPoolNearlyFull(t *testing.T) {
	group(t)
	var told []Level
	d := newPool(t, "pool", "64M", &Options{RefuseDataPercent: 70, WarnPercent: 40, WatchInterval: 50 * time.Millisecond, Alarm: func(p Pool) { told = append(told, p.Level) }})
	fill := func(d *Driver, id storage.VolumeID, size int64) error {
		_, err := d.CreateFilled(t.Context(), storage.VolumeSpec{ID: id, SizeBytes: size}, func(_ context.Context, img *storage.Image) error {
			data := make([]byte, size)
			rand.Read(data)
			if _, err := img.File.WriteAt(data, 0); err != nil {
				return err
			}
			return img.File.Sync()
		})
		return err
	}
	require.NoError(t, fill(d, "vm-100-disk-0", 28<<20))
	u, err := d.Usage(t.Context())
	require.NoError(t, err)
	require.InDelta(t, 28<<20, u.UsedBytes, 1<<20)
	_, err = d.Usage(t.Context())
	require.NoError(t, err)
	require.Equal(t, []Level{Warn}, told, "said once")

	// A fill that goes on and on is given up while there is still room.
	_, err = d.CreateFilled(t.Context(), storage.VolumeSpec{ID: "vm-100-disk-1", SizeBytes: 1 << 30}, func(ctx context.Context, img *storage.Image) error {
		data := make([]byte, 20<<20)
		rand.Read(data)
		if _, err := img.File.WriteAt(data, 0); err != nil {
			return err
		}
		if err := img.File.Sync(); err != nil {
			return err
		}
		<-ctx.Done()
		return context.Cause(ctx)
	})
	require.ErrorIs(t, err, storage.ErrNoSpace)
	require.Equal(t, []Level{Warn, Full}, told)
	require.Empty(t, residue(t, d))

	bold, err := New(labGroup, "pool", nil) // would go on up to 95 %
	require.NoError(t, err)
	require.NoError(t, fill(bold, "vm-101-disk-0", 20<<20))
	for what, call := range map[string]func() error{
		"create": func() error {
			_, err := d.Create(t.Context(), storage.VolumeSpec{ID: "vm-100-disk-9", SizeBytes: 4 << 20})
			return err
		},
		"snapshot": func() error { return d.Snapshot(t.Context(), "vm-100-disk-0", "one") },
		"resize":   func() error { _, err := d.Resize(t.Context(), "vm-100-disk-0", 64<<20); return err },
	} {
		require.ErrorIs(t, call(), storage.ErrNoSpace, what)
	}
	require.NoError(t, d.Delete(t.Context(), "vm-101-disk-0"), "making room is always allowed")
	require.NoError(t, d.Snapshot(t.Context(), "vm-100-disk-0", "one"))
}

// TestThreat10_StaleBlocks: a pool that does not zero what it gives out is refused.
func TestThreat10_StaleBlocks(t *testing.T) {
	group(t)
	d := newPool(t, "pool", "32M", nil, "-Zn")
	_, err := d.Create(t.Context(), storage.VolumeSpec{ID: "vm-100-disk-0", SizeBytes: 4 << 20})
	require.ErrorIs(t, err, storage.ErrUnsafe)
	d.opt.AllowStale = true
	_, err = d.Create(t.Context(), storage.VolumeSpec{ID: "vm-100-disk-0", SizeBytes: 4 << 20})
	require.NoError(t, err)
}

// TestThreat3_GuestsVolumeGroups: a guest makes a physical volume of its disk. Even on a machine that is told to look into
// logical volumes, nothing here sees what is on it.
func TestThreat3_GuestsVolumeGroups(t *testing.T) {
	group(t)
	d := newPool(t, "pool", "128M", nil)
	const local, guests = "/etc/lvm/lvmlocal.conf", "lab-guest"
	old, _ := os.ReadFile(local)
	require.NoError(t, os.WriteFile(local, append(old, "\ndevices/scan_lvs=1\n"...), 0o600))
	t.Cleanup(func() { require.NoError(t, os.WriteFile(local, old, 0o600)) })

	_, err := d.Create(t.Context(), storage.VolumeSpec{ID: "vm-100-disk-0", SizeBytes: 32 << 20})
	require.NoError(t, err)
	at, err := d.Attach(t.Context(), "vm-100-disk-0", storage.AttachOptions{UID: 200100})
	require.NoError(t, err)
	run(t, "vgcreate", "-y", guests, at.(storage.Block).Path)
	run(t, "lvcreate", "-y", "-an", "-Zn", "-Wn", "--setautoactivation", "n", "-L", "4M", "-n", "vm-666-disk-0", guests)
	require.Contains(t, run(t, "lvs", guests), "vm-666-disk-0", "the machine sees it")

	other, err := New(guests, "pool", nil)
	require.NoError(t, err)
	require.ErrorIs(t, other.Activate(t.Context()), storage.ErrUnavailable)
	_, err = other.group.Volumes(t.Context())
	require.ErrorIs(t, err, storage.ErrUnavailable)
	require.ErrorContains(t, err, "not found")
	require.NoError(t, d.Detach(t.Context(), "vm-100-disk-0"))
	require.NoError(t, d.Delete(t.Context(), "vm-100-disk-0"))
}

// TestOwnerOutlivesEvents: udev sets group and mode of a device whenever it changes, and not its owner.
func TestOwnerOutlivesEvents(t *testing.T) {
	group(t)
	d := newPool(t, "pool", "64M", nil)
	_, err := d.Create(t.Context(), storage.VolumeSpec{ID: "vm-100-disk-0", SizeBytes: 8 << 20})
	require.NoError(t, err)
	at, err := d.Attach(t.Context(), "vm-100-disk-0", storage.AttachOptions{UID: 200100})
	require.NoError(t, err)
	path := at.(storage.Block).Path
	owner := func() int {
		fi, err := os.Stat(path)
		require.NoError(t, err)
		require.Zero(t, fi.Mode().Perm()&7)
		return int(fi.Sys().(*syscall.Stat_t).Uid)
	}
	node, err := filepath.EvalSymlinks(path)
	require.NoError(t, err)
	if _, err := exec.LookPath("udevadm"); err == nil {
		run(t, "udevadm", "trigger", "--settle", "-c", "change", node)
	}
	require.Equal(t, 200100, owner())
	_, err = d.Resize(t.Context(), "vm-100-disk-0", 16<<20)
	require.NoError(t, err)
	require.Equal(t, 200100, owner())
	require.NoError(t, d.Snapshot(t.Context(), "vm-100-disk-0", "one"))
	require.Equal(t, 200100, owner())
	require.NoError(t, d.Rollback(t.Context(), "vm-100-disk-0", "one"))
	require.Equal(t, 200100, owner(), "the device is another one, and the same user's")

	img, err := d.Open(t.Context(), "vm-100-disk-0", false)
	require.NoError(t, err)
	require.NoError(t, img.Close())
	require.Equal(t, 200100, owner(), "closing an image leaves what is attached alone")
	require.NoError(t, d.Detach(t.Context(), "vm-100-disk-0"))
	require.NoFileExists(t, path)
}

// TestSnapshotsOfNamesThatRunTogether: snapshot a_b of x and snapshot b of x_a would be one volume.
func TestSnapshotsOfNamesThatRunTogether(t *testing.T) {
	group(t)
	d := newPool(t, "pool", "64M", nil)
	for _, id := range []storage.VolumeID{"vm-100-disk-0", "vm-100-disk-0_a"} {
		_, err := d.Create(t.Context(), storage.VolumeSpec{ID: id, SizeBytes: 4 << 20})
		require.NoError(t, err)
	}
	require.NoError(t, d.Snapshot(t.Context(), "vm-100-disk-0", "a_b"))
	err := d.Snapshot(t.Context(), "vm-100-disk-0_a", "b")
	require.ErrorIs(t, err, storage.ErrExists)
	list, err := d.Snapshots(t.Context(), "vm-100-disk-0_a")
	require.NoError(t, err)
	require.Empty(t, list)
	require.NoError(t, d.Delete(t.Context(), "vm-100-disk-0_a"), "which leaves the other's snapshot")
	list, err = d.Snapshots(t.Context(), "vm-100-disk-0")
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.ErrorIs(t, d.Rollback(t.Context(), "vm-100-disk-0_a", "b"), storage.ErrNotFound)

	// One that another program made says nothing of whose it is, but for its name.
	run(t, "lvcreate", "-y", "-s", "-pr", "-n", "snap_vm-100-disk-0_other", labGroup+"/vm-100-disk-0")
	list, err = d.Snapshots(t.Context(), "vm-100-disk-0")
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, "other", list[1].Name)
	require.True(t, errors.Is(d.DeleteSnapshot(t.Context(), "vm-100-disk-0", "none"), storage.ErrNotFound))
}
