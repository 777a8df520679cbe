package dir_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/dir"
	"github.com/turtacn/go-proxmox/storage/storagetest"
)

func list(t testing.TB, d *dir.Driver, f storage.Filter) []storage.Volume {
	t.Helper()
	var all []storage.Volume
	for v, err := range d.List(t.Context(), f) {
		require.NoError(t, err)
		all = append(all, v)
	}
	return all
}

// everyCall does all calls of the driver on one id and returns their errors by name.
func everyCall(t *testing.T, d *dir.Driver, id storage.VolumeID) map[string]error {
	errs := map[string]error{}
	_, errs["stat"] = d.Stat(t.Context(), id)
	_, errs["attach"] = d.Attach(t.Context(), id, storage.AttachOptions{})
	_, errs["resize"] = d.Resize(t.Context(), id, 1<<20)
	_, errs["make base"] = d.MakeBase(t.Context(), id)
	_, errs["rename"] = d.Rename(t.Context(), id, "101/vm-101-disk-9.raw")
	img, err := d.Open(t.Context(), id, true)
	if err == nil {
		img.Close()
	}
	errs["open"] = err
	return errs
}

func TestThreat6_LinksAreNeverFollowed(t *testing.T) {
	d, root := open(t, nil)
	outside := filepath.Join(t.TempDir(), "secret.raw")
	require.NoError(t, os.WriteFile(outside, make([]byte, 4096), 0o600))
	guest := filepath.Join(root, "images", "100")
	require.NoError(t, os.MkdirAll(guest, 0o755))
	require.NoError(t, os.Symlink(outside, filepath.Join(guest, "vm-100-disk-0.raw")))
	require.NoError(t, os.Symlink("/nowhere", filepath.Join(guest, "vm-100-disk-1.raw")))
	require.NoError(t, os.WriteFile(filepath.Join(guest, "vm-100-disk-2.raw"), make([]byte, 4096), 0o600))
	require.NoError(t, os.Symlink("vm-100-disk-2.raw", filepath.Join(guest, "vm-100-disk-3.raw")))
	require.NoError(t, os.Symlink(filepath.Dir(outside), filepath.Join(root, "images", "200")))
	require.NoError(t, os.Rename(outside, filepath.Join(filepath.Dir(outside), "vm-200-disk-0.raw")))

	for _, id := range []storage.VolumeID{"100/vm-100-disk-0.raw", "100/vm-100-disk-1.raw", "100/vm-100-disk-3.raw", "200/vm-200-disk-0.raw"} {
		for call, err := range everyCall(t, d, id) {
			require.ErrorIs(t, err, storage.ErrUnsafe, "%s %s", call, id)
		}
	}
	_, err := d.Create(t.Context(), storage.VolumeSpec{ID: "100/vm-100-disk-1.raw", SizeBytes: 4096})
	require.ErrorIs(t, err, storage.ErrExists)
	_, err = d.Create(t.Context(), storage.VolumeSpec{ID: "200/vm-200-disk-1.raw", SizeBytes: 4096})
	require.ErrorIs(t, err, storage.ErrUnsafe)
	volumes := func() []storage.Volume { return list(t, d, storage.Filter{Owner: 100}) }
	require.Len(t, volumes(), 1, "links are no volumes")

	require.NoError(t, d.Delete(t.Context(), "100/vm-100-disk-3.raw"), "a trap can be cleared away")
	require.Len(t, volumes(), 1, "and what it pointed to stays")
}

func TestThreat6_RacingRename(t *testing.T) {
	d, root := open(t, nil)
	secret := filepath.Join(t.TempDir(), "100")
	require.NoError(t, os.MkdirAll(secret, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(secret, "vm-100-disk-0.raw"), []byte("outside"), 0o644))
	images := filepath.Join(root, "images")
	good, spare := filepath.Join(images, "100"), filepath.Join(images, "spare")
	require.NoError(t, os.MkdirAll(good, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(good, "vm-100-disk-0.raw"), []byte("inside!"), 0o644))

	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			os.Rename(good, spare)
			os.Symlink(secret, good)
			os.Remove(good)
			os.Rename(spare, good)
		}
	}()
	defer func() { close(stop); <-stopped }()
	opened := 0
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); {
		img, err := d.Open(t.Context(), "100/vm-100-disk-0.raw", false)
		if err != nil {
			require.True(t, errors.Is(err, storage.ErrUnsafe) || errors.Is(err, storage.ErrNotFound), "%v", err)
			continue
		}
		buf := make([]byte, 7)
		_, err = img.File.ReadAt(buf, 0)
		img.Close()
		require.NoError(t, err)
		require.Equal(t, "inside!", string(buf))
		opened++
	}
	require.Positive(t, opened)
}

func TestThreat7_TrapsNeverBlock(t *testing.T) {
	d, root := open(t, &dir.Options{Contents: []storage.Content{storage.Images, storage.ISO, storage.Backup}})
	guest := filepath.Join(root, "images", "100")
	require.NoError(t, os.MkdirAll(guest, 0o755))
	require.NoError(t, syscall.Mkfifo(filepath.Join(guest, "vm-100-disk-0.raw"), 0o600))
	require.NoError(t, syscall.Mkfifo(filepath.Join(guest, "vm-100-disk-1.qcow2"), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(guest, "vm-100-disk-2.raw"), 0o755))
	file := filepath.Join(guest, "vm-100-disk-3.raw")
	require.NoError(t, os.WriteFile(file, make([]byte, 4096), 0o600))
	require.NoError(t, os.Link(file, filepath.Join(root, "second name")))
	ids := []storage.VolumeID{"100/vm-100-disk-0.raw", "100/vm-100-disk-1.qcow2", "100/vm-100-disk-2.raw", "100/vm-100-disk-3.raw"}
	if os.Geteuid() == 0 && syscall.Mknod(filepath.Join(guest, "vm-100-disk-4.raw"), syscall.S_IFBLK|0o600, 7<<8) == nil {
		ids = append(ids, "100/vm-100-disk-4.raw")
	}
	for _, id := range ids {
		for call, err := range everyCall(t, d, id) {
			require.ErrorIs(t, err, storage.ErrUnsafe, "%s %s", call, id)
		}
	}
	require.NoError(t, syscall.Mkfifo(filepath.Join(root, "dump", "vzdump-qemu-100-2025_01_02-03_04_05.vma"), 0o600))
	require.NoError(t, syscall.Mkfifo(filepath.Join(root, "template", "iso", "x.iso"), 0o600))
	require.Empty(t, list(t, d, storage.Filter{}))

	backup := storage.VolumeID("backup/vzdump-qemu-100-2025_01_02-03_04_06.vma")
	require.NoError(t, os.WriteFile(filepath.Join(root, "dump", "vzdump-qemu-100-2025_01_02-03_04_06.vma"), nil, 0o600))
	require.NoError(t, syscall.Mkfifo(filepath.Join(root, "dump", "vzdump-qemu-100-2025_01_02-03_04_06.vma.notes"), 0o600))
	require.Len(t, list(t, d, storage.Filter{}), 1)
	_, err := d.Notes(t.Context(), backup)
	require.ErrorIs(t, err, storage.ErrUnsafe)
}

func TestThreat1_NamesThatLeadOut(t *testing.T) {
	d, root := open(t, nil)
	require.NoError(t, os.MkdirAll(filepath.Join(root, "images", "100"), 0o755))
	for _, id := range []storage.VolumeID{
		"100/../../../etc/shadow", "100/../101/vm-101-disk-0.raw", "100/..", "iso/../../x.iso", "iso//etc/x.iso", "snippets/../x",
		"snippets/..", "backup/../../vzdump-qemu-100-2025_01_02-03_04_05.vma", "import/../x.qcow2", "../images/100/vm-100-disk-0.raw",
		"100/vm-100-disk-0.raw\x00.qcow2", "100/vm-100-disk-0.raw/../../..", "9000/../100/vm-100-disk-0.qcow2",
	} {
		for call, err := range everyCall(t, d, id) {
			require.ErrorIs(t, err, storage.ErrBadID, "%s %s", call, id)
		}
		_, err := d.Stage(t.Context(), id)
		require.ErrorIs(t, err, storage.ErrBadID)
	}
}

func TestThreat4_ForeignHeadersInAStorage(t *testing.T) {
	need.Tool(t, "qemu-img")
	d, root := open(t, nil)
	guest := filepath.Join(root, "images", "100")
	require.NoError(t, os.MkdirAll(guest, 0o755))
	for _, img := range storagetest.Hostile("/etc/hostname") {
		name := "vm-100-disk-0." + string(img.Format)
		id := storage.VolumeID("100/" + name)
		require.NoError(t, os.WriteFile(filepath.Join(guest, name), img.Data, 0o600))
		_, err := d.Open(t.Context(), id, false)
		if err == nil {
			// What stays are claims that concern the image alone: its size, its encryption.
			require.Contains(t, []string{"qcow2 2^60 bytes", "qcow2 LUKS", "qcow2 AES"}, img.Name)
		} else {
			require.ErrorIs(t, err, storage.ErrUnsafe, img.Name)
			_, err = d.Attach(t.Context(), id, storage.AttachOptions{})
			require.ErrorIs(t, err, storage.ErrUnsafe, img.Name)
			require.ErrorIs(t, d.Snapshot(t.Context(), id, "snap"), storage.ErrUnsafe, img.Name)
		}
		require.Len(t, list(t, d, storage.Filter{}), 1, "listed for what it is: %s", img.Name)
		require.NoError(t, os.Remove(filepath.Join(guest, name)))
	}
}

func TestThreat3_RawWithAForeignHeader(t *testing.T) {
	need.Tool(t, "qemu-img")
	d, _ := open(t, nil)
	id := storage.VolumeID("100/vm-100-disk-0.raw")
	_, err := d.Create(t.Context(), storage.VolumeSpec{ID: id, SizeBytes: 1 << 20})
	require.NoError(t, err)
	img, err := d.Open(t.Context(), id, true)
	require.NoError(t, err)
	_, err = img.File.WriteAt((&storagetest.QCOW2{VirtualBytes: 1 << 40, Backing: "/etc/passwd"}).Bytes(), 0)
	require.NoError(t, err)
	require.NoError(t, img.Close())

	v, err := d.Stat(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, int64(1<<20), v.SizeBytes)
	require.Empty(t, v.Backing)
	v, err = d.Resize(t.Context(), id, 2<<20)
	require.NoError(t, err)
	require.Equal(t, int64(2<<20), v.SizeBytes)
	at, err := d.Attach(t.Context(), id, storage.AttachOptions{})
	require.NoError(t, err)
	require.Equal(t, storage.Raw, at.(storage.File).Format)
	require.Nil(t, at.(storage.File).Backing)
}
