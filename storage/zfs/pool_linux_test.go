package zfs_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gozfs "github.com/mistifyio/go-zfs/v4"
	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/zfs"
)

// deadPool is a pool whose disk dies.
const deadPool = "gpvedead"

func sh(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, "%s %q: %s", name, args, out)
	return strings.TrimSpace(string(out))
}

func create(t testing.TB, d *zfs.Driver, id storage.VolumeID, size int64) storage.Volume {
	t.Helper()
	v, err := d.Create(t.Context(), storage.VolumeSpec{ID: id, SizeBytes: size})
	require.NoError(t, err)
	return v
}

func TestRollbackNamesWhatIsNewer(t *testing.T) {
	d, dataset := open(t, &zfs.Options{Sparse: true})
	v := create(t, d, "vm-100-disk-0", 1<<20)
	require.NoError(t, d.Snapshot(t.Context(), v.ID, "one"))
	require.NoError(t, d.Snapshot(t.Context(), v.ID, "two"))
	sh(t, "zfs", "snapshot", dataset+"/vm-100-disk-0@__replicate_x__")
	err := d.Rollback(t.Context(), v.ID, "one")
	require.ErrorIs(t, err, storage.ErrInUse)
	require.ErrorContains(t, err, "two, __replicate_x__")
	require.ErrorIs(t, d.Rollback(t.Context(), v.ID, "two"), storage.ErrInUse, "what is not listed stands in the way as well")
	list, err := d.Snapshots(t.Context(), v.ID)
	require.NoError(t, err)
	require.Len(t, list, 2)
}

func TestQuotaComesBackWithARollback(t *testing.T) {
	d, _ := open(t, nil)
	v := create(t, d, "subvol-100-disk-0", 8<<20)
	require.NoError(t, d.Snapshot(t.Context(), v.ID, "one"))
	_, err := d.Resize(t.Context(), v.ID, 16<<20)
	require.NoError(t, err)
	require.NoError(t, d.Rollback(t.Context(), v.ID, "one"))
	back, err := d.Stat(t.Context(), v.ID)
	require.NoError(t, err)
	require.Equal(t, int64(8<<20), back.SizeBytes)
	whole := create(t, d, "subvol-100-disk-1", 0)
	require.Zero(t, whole.SizeBytes, "no quota")
	_, err = d.Resize(t.Context(), whole.ID, 1<<20)
	require.Error(t, err, "a quota would take something away")
}

func TestReservations(t *testing.T) {
	d, dataset := open(t, &zfs.Options{BlockSizeBytes: 16 << 10})
	create(t, d, "vm-100-disk-0", 64<<20)
	thick, err := gozfs.GetDataset(dataset + "/vm-100-disk-0")
	require.NoError(t, err)
	require.GreaterOrEqual(t, thick.Used, uint64(64<<20), "reserved")
	block, err := thick.GetProperty("volblocksize")
	require.NoError(t, err)
	require.Equal(t, "16384", block)
	_, err = d.CopyFrom(t.Context(), storage.VolumeSpec{ID: "vm-101-disk-0"}, d, "vm-100-disk-0", storage.CopyOptions{})
	require.NoError(t, err)
	copied, err := gozfs.GetDataset(dataset + "/vm-101-disk-0")
	require.NoError(t, err)
	require.GreaterOrEqual(t, copied.Used, uint64(64<<20), "a copy is reserved like any other volume")
	_, err = d.Create(t.Context(), storage.VolumeSpec{ID: "vm-100-disk-1", SizeBytes: 1 << 40})
	require.ErrorIs(t, err, storage.ErrNoSpace)

	thin, dataset := open(t, &zfs.Options{Sparse: true})
	create(t, thin, "vm-100-disk-0", 1<<40)
	s, err := gozfs.GetDataset(dataset + "/vm-100-disk-0")
	require.NoError(t, err)
	require.Equal(t, uint64(1<<40), s.Volsize)
	require.Less(t, s.Used, uint64(1<<20))
}

// The link of a zvol is udev's, and may be late: what is opened must be the volume that was asked for.
func TestADeviceOfAnotherVolumeIsNotOpened(t *testing.T) {
	d, dataset := open(t, &zfs.Options{Sparse: true})
	for _, id := range []storage.VolumeID{"vm-100-disk-0", "vm-100-disk-1"} {
		create(t, d, id, 1<<20)
		_, err := d.Attach(t.Context(), id, storage.AttachOptions{})
		require.NoError(t, err)
	}
	link, other := zfs.DevicePath(dataset+"/vm-100-disk-0"), zfs.DevicePath(dataset+"/vm-100-disk-1")
	right, err := os.Readlink(link)
	require.NoError(t, err)
	wrong, err := os.Readlink(other)
	require.NoError(t, err)
	require.NoError(t, os.Remove(link))
	require.NoError(t, os.Symlink(wrong, link))
	_, err = zfs.OpenDevice(dataset+"/vm-100-disk-0", true)
	require.ErrorIs(t, err, zfs.ErrNoDevice)
	hasty, err := zfs.New(dataset, &zfs.Options{DeviceTimeout: 100 * time.Millisecond})
	require.NoError(t, err)
	_, err = hasty.Open(t.Context(), "vm-100-disk-0", true)
	require.ErrorIs(t, err, storage.ErrUnavailable)
	require.NoError(t, os.Remove(link))
	require.NoError(t, os.Symlink("/dev/null", link))
	_, err = d.Open(t.Context(), "vm-100-disk-0", true)
	require.ErrorIs(t, err, storage.ErrUnsafe)
	require.NoError(t, os.Remove(link))
	require.NoError(t, os.Symlink(right, link))
	img, err := d.Open(t.Context(), "vm-100-disk-0", true)
	require.NoError(t, err)
	require.NoError(t, img.Close())
}

func TestSweepLeavesWhatIsAlive(t *testing.T) {
	d, dataset := open(t, &zfs.Options{Sparse: true})
	create(t, d, "vm-100-disk-0", 1<<20)
	dead := zfs.TempPrefix + "00000000.1.1.x" // of another boot
	sh(t, "zfs", "create", "-s", "-V", "1M", dataset+"/"+dead)
	sh(t, "zfs", "snapshot", dataset+"/"+dead+"@"+dead)
	sh(t, "zfs", "snapshot", dataset+"/vm-100-disk-0@"+dead)
	sh(t, "zfs", "snapshot", dataset+"/vm-100-disk-0@keep")
	_, err := d.CreateFilled(t.Context(), storage.VolumeSpec{ID: "vm-101-disk-0", SizeBytes: 1 << 20}, func(ctx context.Context, _ *storage.Image) error {
		n, err := d.Sweep(ctx)
		require.NoError(t, err)
		require.Equal(t, 2, n)
		return nil
	})
	require.NoError(t, err)
	require.Empty(t, residue(t, dataset))
	list, err := d.Snapshots(t.Context(), "vm-100-disk-0")
	require.NoError(t, err)
	require.Len(t, list, 1)
}

// A stream of ZFS can say where its data is mounted, hold more than one dataset, or another kind than its name promises.
func TestThreat12_HostileStreams(t *testing.T) {
	d, dataset := open(t, nil)
	src := dataset + "/src"
	sh(t, "zfs", "create", "-o", "mountpoint="+filepath.Join(t.TempDir(), "m"), "-o", "setuid=off", src)
	sh(t, "zfs", "create", src+"/inner")
	sh(t, "zfs", "snapshot", "-r", src+"@one")
	stream := func(args ...string) []byte {
		out, err := exec.Command("zfs", append([]string{"send"}, args...)...).Output()
		require.NoError(t, err)
		return out
	}
	o := storage.StreamOptions{Snapshot: "one"}
	v, err := d.Import(t.Context(), bytes.NewReader(stream("-p", src+"@one")), "subvol-100-disk-0", storage.StreamZFS, o)
	require.NoError(t, err)
	for property, want := range map[string]string{"mountpoint": filepath.Join("/tmp", dataset, "subvol-100-disk-0"), "setuid": "on"} {
		require.Equal(t, want, sh(t, "zfs", "get", "-H", "-o", "value", property, dataset+"/"+string(v.ID)), "not believed")
	}
	_, err = d.Import(t.Context(), bytes.NewReader(stream("-R", src+"@one")), "subvol-100-disk-1", storage.StreamZFS, storage.StreamOptions{Snapshot: "one", Snapshots: true})
	require.ErrorIs(t, err, storage.ErrUnsafe, "two datasets")
	_, err = d.Import(t.Context(), bytes.NewReader(stream(src+"@one")), "vm-100-disk-1", storage.StreamZFS, o)
	require.ErrorIs(t, err, storage.ErrUnsafe, "a file system as a zvol")
	_, err = d.Import(t.Context(), bytes.NewReader(stream(src+"@one")), "subvol-100-disk-2", storage.StreamZFS, storage.StreamOptions{Snapshot: "two"})
	require.ErrorIs(t, err, storage.ErrUnsafe, "another snapshot than promised")
	for v, err := range d.List(t.Context(), storage.Filter{}) {
		require.NoError(t, err)
		require.Equal(t, storage.VolumeID("subvol-100-disk-0"), v.ID)
	}
	sh(t, "zfs", "destroy", "-r", src)
	require.Empty(t, residue(t, dataset))
}

// The list agrees with another reader of the same pool.
func TestListAgreesWithGoZFS(t *testing.T) {
	d, dataset := open(t, &zfs.Options{Sparse: true})
	for _, id := range []storage.VolumeID{"vm-100-disk-0", "vm-100-disk-1", "vm-101-cloudinit"} {
		create(t, d, id, 4<<20)
	}
	_, err := d.MakeBase(t.Context(), "vm-100-disk-1")
	require.NoError(t, err)
	_, err = d.Clone(t.Context(), "base-100-disk-1", "base-100-disk-1/vm-102-disk-0")
	require.NoError(t, err)
	want, err := gozfs.Volumes(dataset)
	require.NoError(t, err)
	got := map[string]storage.Volume{}
	for v, err := range d.List(t.Context(), storage.Filter{}) {
		require.NoError(t, err)
		got[dataset+"/"+filepath.Base(string(v.ID))] = v
	}
	require.Len(t, got, len(want))
	for _, w := range want {
		v := got[w.Name]
		require.Equal(t, w.Volsize, uint64(v.SizeBytes), w.Name)
		require.Equal(t, w.Usedbydataset, uint64(v.UsedBytes), w.Name)
		require.Equal(t, w.Origin, v.Backing, w.Name)
	}
}

// A pool whose disk is gone answers at once that it does, and works again when the disk is back.
func TestDeadPool(t *testing.T) {
	zpool(t)
	need.Tool(t, "dmsetup")
	need.Module(t, "dm_mod")
	disk := need.LabDisk(t, 1)
	const size = "262144" // sectors
	sh(t, "dmsetup", "create", deadPool, "--table", "0 "+size+" linear "+disk+" 0")
	t.Cleanup(func() { sh(t, "dmsetup", "remove", "--retry", deadPool) })
	sh(t, "zpool", "create", "-f", "-m", "none", deadPool, "/dev/mapper/"+deadPool)
	t.Cleanup(func() { sh(t, "zpool", "destroy", "-f", deadPool) })
	d, err := zfs.New(deadPool, &zfs.Options{Sparse: true})
	require.NoError(t, err)
	create(t, d, "vm-100-disk-0", 1<<20)
	table := func(line string) {
		sh(t, "dmsetup", "suspend", "--noflush", deadPool)
		sh(t, "dmsetup", "load", deadPool, "--table", line)
		sh(t, "dmsetup", "resume", deadPool)
	}
	table("0 " + size + " error")
	dying, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err = d.Create(dying, storage.VolumeSpec{ID: "vm-100-disk-1", SizeBytes: 1 << 20})
	require.Error(t, err)
	state := filepath.Join("/proc/spl/kstat/zfs", deadPool, "state")
	require.Eventually(t, func() bool {
		text, err := os.ReadFile(state)
		return err == nil && strings.Contains(string(text), "SUSPENDED")
	}, time.Minute, 100*time.Millisecond)
	start := time.Now()
	_, err = d.Usage(t.Context())
	require.ErrorIs(t, err, storage.ErrUnavailable)
	_, err = d.Attach(t.Context(), "vm-100-disk-0", storage.AttachOptions{})
	require.ErrorIs(t, err, storage.ErrUnavailable)
	require.Less(t, time.Since(start), time.Second)
	table("0 " + size + " linear " + disk + " 0")
	sh(t, "zpool", "clear", deadPool)
	_, err = d.Stat(t.Context(), "vm-100-disk-0")
	require.NoError(t, err)
}

func TestActivateImportsThePool(t *testing.T) {
	zpool(t)
	disk := need.LabDisk(t, 2)
	sh(t, "zpool", "create", "-f", "-m", "none", smallPool, disk)
	sh(t, "zpool", "export", smallPool)
	t.Cleanup(func() { sh(t, "zpool", "destroy", "-f", smallPool) })
	d, err := zfs.New(smallPool, &zfs.Options{ImportDir: "/dev"})
	require.NoError(t, err)
	_, err = d.Usage(t.Context())
	require.ErrorIs(t, err, storage.ErrUnavailable)
	_, err = d.Stat(t.Context(), "vm-100-disk-0")
	require.ErrorIs(t, err, storage.ErrUnavailable, "not ErrNotFound: it may well be there")
	require.NoError(t, d.Activate(t.Context()))
	require.NoError(t, d.Activate(t.Context()))
	_, err = d.Usage(t.Context())
	require.NoError(t, err)
	missing, err := zfs.New(smallPool+"/none", nil)
	require.NoError(t, err)
	require.ErrorIs(t, missing.Activate(t.Context()), storage.ErrUnavailable)
}
