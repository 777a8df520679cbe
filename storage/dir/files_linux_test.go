package dir_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/dir"
	"github.com/turtacn/go-proxmox/storage/qimg"
	"github.com/turtacn/go-proxmox/storage/storagetest"
)

func mode(t *testing.T, parts ...string) (os.FileMode, uint32) {
	fi, err := os.Lstat(filepath.Join(parts...))
	require.NoError(t, err)
	return fi.Mode().Perm(), fi.Sys().(*syscall.Stat_t).Uid
}

func TestModesAndOwners(t *testing.T) {
	need.Root(t)
	need.Tool(t, "qemu-img")
	d, root := open(t, nil)
	id := storage.VolumeID("100/vm-100-disk-0.qcow2")
	_, err := d.Create(t.Context(), storage.VolumeSpec{ID: id, SizeBytes: 1 << 20})
	require.NoError(t, err)
	perm, uid := mode(t, root, "images/100/vm-100-disk-0.qcow2")
	require.Equal(t, os.FileMode(0o640), perm)
	require.Zero(t, uid)
	perm, _ = mode(t, root, "images/100")
	require.Equal(t, os.FileMode(0o711), perm)
	perm, _ = mode(t, root, "images")
	require.Equal(t, os.FileMode(0o711), perm)

	require.NoError(t, os.Chmod(filepath.Join(root, "images/100"), 0o740)) // as Proxmox VE makes it
	_, err = d.Attach(t.Context(), id, storage.AttachOptions{UID: 200100})
	require.NoError(t, err)
	_, uid = mode(t, root, "images/100/vm-100-disk-0.qcow2")
	require.Equal(t, uint32(200100), uid)
	perm, _ = mode(t, root, "images/100")
	require.Equal(t, os.FileMode(0o751), perm)
	require.NoError(t, d.Detach(t.Context(), id))
	_, uid = mode(t, root, "images/100/vm-100-disk-0.qcow2")
	require.Zero(t, uid)

	base, err := d.MakeBase(t.Context(), id)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Delete(context.Background(), base.ID)) })
	perm, _ = mode(t, root, "images/100/base-100-disk-0.qcow2")
	require.Equal(t, os.FileMode(0o444), perm)
	clone, err := d.CloneID(base.ID, 101, "vm-101-disk-0.qcow2")
	require.NoError(t, err)
	_, err = d.Clone(t.Context(), base.ID, clone)
	require.NoError(t, err)
	at, err := d.Attach(t.Context(), clone, storage.AttachOptions{UID: 200101})
	require.NoError(t, err)
	require.Equal(t, storage.File{
		Path: filepath.Join(root, "images/101/vm-101-disk-0.qcow2"), Format: storage.QCOW2,
		Backing: &storage.File{Path: filepath.Join(root, "images/100/base-100-disk-0.qcow2"), Format: storage.QCOW2, ReadOnly: true},
	}, at)
	_, uid = mode(t, root, "images/101/vm-101-disk-0.qcow2")
	require.Equal(t, uint32(200101), uid)
	_, uid = mode(t, root, "images/100/base-100-disk-0.qcow2")
	require.Zero(t, uid, "bases are shared, never given away")
	try := func(uid uint32, script string) error {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", script, "sh", at.(storage.File).Path, at.(storage.File).Backing.Path)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		return cmd.Run()
	}
	require.NoError(t, os.Chmod(filepath.Dir(root), 0o755)) // the test's own folder
	require.NoError(t, try(200101, `exec 3<>"$1" 4<"$2"`), "the guest's uid reads, writes, and reads what is behind")
	require.Error(t, try(200101, `exec 3<>"$2"`), "but never writes to a base")
	require.Error(t, try(200102, `exec 3<"$1"`), "another guest's uid reads nothing")
	require.Error(t, try(200102, `ls "${1%/*}"`), "nor sees what there is")
	require.NoError(t, d.Delete(t.Context(), clone))
	require.NoDirExists(t, filepath.Join(root, "images/101"), "an empty folder goes with its last image")
}

func TestInUseIsAskedOfTheLocksOfQEMU(t *testing.T) {
	need.Tool(t, "qemu-img")
	d, root := open(t, nil)
	id := storage.VolumeID("100/vm-100-disk-0.qcow2")
	_, err := d.Create(t.Context(), storage.VolumeSpec{ID: id, SizeBytes: 1 << 20})
	require.NoError(t, err)
	f, err := os.OpenFile(filepath.Join(root, "images/100/vm-100-disk-0.qcow2"), os.O_RDWR, 0)
	require.NoError(t, err)
	lk := unix.Flock_t{Type: unix.F_RDLCK, Start: 100, Len: 1} // "somebody reads consistently"
	require.NoError(t, unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &lk))

	require.ErrorIs(t, d.Delete(t.Context(), id), storage.ErrInUse)
	_, err = d.Resize(t.Context(), id, 2<<20)
	require.ErrorIs(t, err, storage.ErrInUse)
	_, err = d.MakeBase(t.Context(), id)
	require.ErrorIs(t, err, storage.ErrInUse)
	require.ErrorIs(t, d.Snapshot(t.Context(), id, "one"), storage.ErrInUse)
	_, err = d.Stat(t.Context(), id)
	require.NoError(t, err, "looking is always possible")
	require.NoError(t, f.Close())
	require.NoError(t, d.Delete(t.Context(), id))
}

func TestInUseByARealProgram(t *testing.T) {
	need.Tool(t, "qemu-img", "qemu-io")
	d, root := open(t, nil)
	for _, format := range []storage.Format{storage.Raw, storage.QCOW2} {
		id := storage.VolumeID("100/vm-100-disk-0." + format)
		_, err := d.Create(t.Context(), storage.VolumeSpec{ID: id, SizeBytes: 1 << 20})
		require.NoError(t, err)
		cmd := exec.CommandContext(t.Context(), "qemu-io", "-f", string(format), filepath.Join(root, "images", string(id)))
		in, err := cmd.StdinPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		img, err := d.Open(t.Context(), id, false)
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			busy, err := qimg.OpenedForWriting(img.File)
			return err == nil && busy
		}, 10*time.Second, 5*time.Millisecond)

		require.ErrorIs(t, d.Delete(t.Context(), id), storage.ErrInUse)
		tool, err := qimg.New(nil)
		require.NoError(t, err)
		_, err = d.CreateFilled(t.Context(), storage.VolumeSpec{ID: "101/vm-101-disk-0.raw", SizeBytes: 1 << 20}, func(ctx context.Context, to *storage.Image) error {
			return tool.Copy(ctx, to, img, qimg.CopyOptions{TargetIsZero: true})
		})
		require.ErrorIs(t, err, storage.ErrInUse, "what a guest is writing to is not copied behind its back")
		require.NoError(t, img.Close())
		require.NoError(t, in.Close())
		require.NoError(t, cmd.Wait())
		require.NoError(t, d.Delete(t.Context(), id))
	}
}

func TestStage(t *testing.T) {
	d, root := open(t, nil)
	put := func(id storage.VolumeID, text string, replace bool) error {
		s, err := d.Stage(t.Context(), id)
		require.NoError(t, err)
		defer s.Discard()
		_, err = io.WriteString(s, text)
		require.NoError(t, err)
		back := make([]byte, len(text))
		_, err = s.File().ReadAt(back, 0)
		require.NoError(t, err)
		require.Equal(t, text, string(back))
		require.Empty(t, list(t, d, storage.Filter{Content: storage.Snippets}), "snippets may have any name")
		return s.Commit(t.Context(), replace)
	}
	require.NoError(t, put("iso/debian.iso", "first", false))
	require.ErrorIs(t, put("iso/debian.iso", "second", false), storage.ErrExists)
	require.NoError(t, put("iso/debian.iso", "third", true))
	data, err := os.ReadFile(filepath.Join(root, "template/iso/debian.iso"))
	require.NoError(t, err)
	require.Equal(t, "third", string(data))
	perm, _ := mode(t, root, "template/iso/debian.iso")
	require.Equal(t, os.FileMode(0o644), perm)
	require.NoError(t, put("vztmpl/alpine.tar.xz", "t", false))
	require.NoError(t, put("import/disk.qcow2", "q", false))
	var got []string
	for _, v := range list(t, d, storage.Filter{}) {
		got = append(got, fmt.Sprintf("%s %s %d", v.ID, v.Format, v.SizeBytes))
	}
	require.ElementsMatch(t, []string{"iso/debian.iso raw 5", "vztmpl/alpine.tar.xz raw 1", "import/disk.qcow2 qcow2 1"}, got)
	entries, err := os.ReadDir(filepath.Join(root, "template/iso"))
	require.NoError(t, err)
	require.Len(t, entries, 1, "no temporary file is left")

	_, err = d.Stage(t.Context(), "100/vm-100-disk-0.raw")
	require.ErrorIs(t, err, storage.ErrBadID)
}

func TestSweepKnowsTheLivingFromTheDead(t *testing.T) {
	d, root := open(t, nil)
	s, err := d.Stage(t.Context(), "iso/slow.iso")
	require.NoError(t, err)
	for _, dead := range []string{"template/iso/.gpve-DEAD.tmp", "images/100/.gpve-DEAD.tmp", "images/100/.gpve-not-ours"} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(root, dead)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(root, dead), nil, 0o600))
	}
	other, err := dir.New(root, nil) // another process, for all that the locks know
	require.NoError(t, err)
	n, err := other.Sweep(t.Context())
	require.ErrorIs(t, err, storage.ErrInUse, "a later sweep may find more")
	require.Equal(t, 2, n)
	require.FileExists(t, filepath.Join(root, "images/100/.gpve-not-ours"))
	require.NoError(t, s.Commit(t.Context(), false))
	require.Len(t, list(t, d, storage.Filter{}), 1)
	n, err = other.Sweep(t.Context())
	require.NoError(t, err)
	require.Zero(t, n)
}

func TestBackupsKeepNotesAndProtection(t *testing.T) {
	d, root := open(t, &dir.Options{Contents: []storage.Content{storage.Backup}})
	id := storage.VolumeID("backup/vzdump-qemu-100-2025_01_02-03_04_05.vma.zst")
	name := filepath.Join(root, "dump", "vzdump-qemu-100-2025_01_02-03_04_05")
	require.NoError(t, os.WriteFile(name+".vma.zst", []byte("data"), 0o644))
	require.NoError(t, os.WriteFile(name+".log", []byte("log"), 0o644))
	require.NoError(t, d.SetNotes(t.Context(), id, "first line\nsecond"))
	require.NoError(t, d.SetProtected(t.Context(), id, true))
	require.NoError(t, d.SetProtected(t.Context(), id, true))

	all := list(t, d, storage.Filter{Owner: 100})
	require.Len(t, all, 1)
	require.Equal(t, "first line", all[0].Notes)
	require.True(t, all[0].Protected)
	require.Equal(t, time.Date(2025, 1, 2, 3, 4, 5, 0, time.Local), all[0].Created)
	text, err := d.Notes(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, "first line\nsecond", text)

	require.ErrorIs(t, d.Delete(t.Context(), id), storage.ErrProtected)
	require.NoError(t, d.SetProtected(t.Context(), id, false))
	require.NoError(t, d.Delete(t.Context(), id))
	entries, err := os.ReadDir(filepath.Join(root, "dump"))
	require.NoError(t, err)
	require.Empty(t, entries, "log and notes go with the backup")
	require.ErrorIs(t, d.SetNotes(t.Context(), id, "x"), storage.ErrNotFound)
	require.Error(t, d.SetNotes(t.Context(), "iso/x.iso", "x"))
}

func TestOptions(t *testing.T) {
	root := t.TempDir()
	b := dir.Backend(nil)
	drv, err := b.Open(storage.Config{ID: "x", Type: "dir", Options: map[string]string{
		"path": root + "//sub/", "content": "iso,images", "content-dirs": "iso=isos/here", "create-base-path": "0",
	}})
	require.NoError(t, err)
	act, ok := storage.As[storage.Activator](drv)
	require.True(t, ok)
	require.ErrorIs(t, act.Activate(t.Context()), storage.ErrUnavailable)
	require.NoError(t, os.Mkdir(filepath.Join(root, "sub"), 0o755))
	require.NoError(t, act.Activate(t.Context()))
	require.DirExists(t, filepath.Join(root, "sub", "isos", "here"))
	p, err := drv.(storage.Pather).Path("iso/a.iso")
	require.NoError(t, err)
	require.Equal(t, filepath.Join(root, "sub/isos/here/a.iso"), p)

	for name, o := range map[string]*dir.Options{
		"out of the root": {ContentDirs: map[storage.Content]string{storage.ISO: "../iso"}},
		"unknown content": {ContentDirs: map[storage.Content]string{"music": "mp3"}},
		"preallocation":   {Preallocation: "some"},
	} {
		_, err := dir.New(root, o)
		require.Error(t, err, name)
	}
	_, err = dir.New("relative", nil)
	require.Error(t, err)

	same, err := dir.New(root, &dir.Options{
		Contents: []storage.Content{storage.ISO, storage.Template}, ContentDirs: map[storage.Content]string{storage.ISO: "template/cache"}})
	require.NoError(t, err)
	require.ErrorContains(t, same.Activate(t.Context()), "folder template/cache is for iso and for vztmpl")

	unmounted, err := dir.New(root, &dir.Options{MountPoint: root})
	require.NoError(t, err)
	require.ErrorIs(t, unmounted.Activate(t.Context()), storage.ErrUnavailable)
	_, err = unmounted.Usage(t.Context())
	require.ErrorIs(t, err, storage.ErrUnavailable)
	mounted, err := dir.New(root, &dir.Options{MountPoint: "/proc"})
	require.NoError(t, err)
	require.NoError(t, mounted.Activate(t.Context()))
}

func TestPreallocation(t *testing.T) {
	need.Tool(t, "qemu-img")
	for mode, least := range map[qimg.Preallocation]int64{qimg.PreallocOff: 0, qimg.PreallocFalloc: 8 << 20, qimg.PreallocFull: 8 << 20} {
		d, _ := open(t, &dir.Options{Preallocation: mode})
		for _, format := range []storage.Format{storage.Raw, storage.QCOW2} {
			v, err := d.Create(t.Context(), storage.VolumeSpec{ID: storage.VolumeID("100/vm-100-disk-0." + format), SizeBytes: 8 << 20})
			require.NoError(t, err)
			require.GreaterOrEqual(t, v.UsedBytes, least, "%s %s", mode, format)
			if mode == qimg.PreallocOff {
				require.Less(t, v.UsedBytes, int64(1<<20))
			}
		}
	}
}

func TestFullDisk(t *testing.T) {
	need.Root(t)
	need.Tool(t, "qemu-img")
	root := t.TempDir()
	require.NoError(t, unix.Mount("tmpfs", root, "tmpfs", 0, "size=8m"))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(root, 0)) })
	d, err := dir.New(root, &dir.Options{Preallocation: qimg.PreallocFalloc})
	require.NoError(t, err)
	require.NoError(t, d.Activate(t.Context()))
	for _, format := range []storage.Format{storage.Raw, storage.QCOW2} {
		_, err := d.Create(t.Context(), storage.VolumeSpec{ID: storage.VolumeID("100/vm-100-disk-0." + format), SizeBytes: 64 << 20})
		require.ErrorIs(t, err, storage.ErrNoSpace, format)
		require.Empty(t, list(t, d, storage.Filter{}))
	}
	s, err := d.Stage(t.Context(), "iso/big.iso")
	require.NoError(t, err)
	_, err = io.Copy(s, bytes.NewReader(make([]byte, 16<<20)))
	require.ErrorIs(t, err, storage.ErrNoSpace)
	require.NoError(t, s.Discard())
	u, err := d.Usage(t.Context())
	require.NoError(t, err)
	require.Less(t, u.UsedBytes, int64(1<<20), "nothing is left behind")
}

func TestVMDKIsRead(t *testing.T) {
	d, root := open(t, nil)
	guest := filepath.Join(root, "images", "100")
	require.NoError(t, os.MkdirAll(guest, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(guest, "vm-100-disk-0.vmdk"), storagetest.SparseVMDK(4096, "# Disk DescriptorFile\nversion=1\n"), 0o600))
	v, err := d.Stat(t.Context(), "100/vm-100-disk-0.vmdk")
	require.NoError(t, err)
	require.Equal(t, int64(2<<20), v.SizeBytes)
	require.True(t, v.Features.Has(storage.FeatureCopy))
	require.False(t, v.Features.Has(storage.FeatureResize))
}

func TestCreateBesideSweep(t *testing.T) {
	d, _ := open(t, nil)
	var sweeping sync.WaitGroup
	over := make(chan struct{})
	for range 2 { // they remove folders that are empty, as that of a new guest is for a moment
		sweeping.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
					if _, err := d.Sweep(context.Background()); err != nil && !errors.Is(err, storage.ErrInUse) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	defer sweeping.Wait()
	defer close(over)
	for range 300 {
		id := storage.VolumeID("100/vm-100-disk-0.raw")
		_, err := d.Create(t.Context(), storage.VolumeSpec{ID: id, SizeBytes: 1 << 20})
		require.NoError(t, err)
		require.NoError(t, d.Delete(t.Context(), id))
	}
}

// A list of many guests is read by several at once; it is in the same order, and ends when its reader has seen enough.
func TestListOfManyGuests(t *testing.T) {
	d, root := open(t, nil)
	for n := range 300 {
		guest := filepath.Join(root, "images", fmt.Sprint(1000+n))
		require.NoError(t, os.Mkdir(guest, 0o711))
		require.NoError(t, os.WriteFile(filepath.Join(guest, fmt.Sprintf("vm-%d-disk-0.raw", 1000+n)), nil, 0o640))
	}
	first := list(t, d, storage.Filter{})
	require.Len(t, first, 300)
	require.Equal(t, first, list(t, d, storage.Filter{}))
	require.Len(t, list(t, d, storage.Filter{Owner: 1299}), 1)
	n := 0
	for _, err := range d.List(t.Context(), storage.Filter{}) {
		require.NoError(t, err)
		if n++; n == 100 {
			break
		}
	}
	require.Equal(t, 100, n)
	reason := errors.New("page closed")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	for _, err := range d.List(ctx, storage.Filter{}) {
		require.ErrorIs(t, err, reason)
	}
}
