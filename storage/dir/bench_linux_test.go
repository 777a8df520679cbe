package dir_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/dir"
	"github.com/turtacn/go-proxmox/storage/qimg"
	"github.com/turtacn/go-proxmox/storage/storagetest"
)

// BenchmarkList5000 lists 5000 images of 2500 guests, beside reading the folders and asking for the state of each file. Of raw
// images that is all that there is to know; qcow2 images have their size in their header.
func BenchmarkList5000(b *testing.B) {
	image := (&storagetest.QCOW2{VirtualBytes: 32 << 30, Backing: "../9000/base-9000-disk-0.qcow2", BackingFormat: "qcow2"}).Bytes()[:1<<16]
	for name, formats := range map[string][]storage.Format{
		"raw": {storage.Raw, storage.Raw}, "half qcow2": {storage.QCOW2, storage.Raw}, "qcow2": {storage.QCOW2, storage.QCOW2},
	} {
		b.Run(name, func(b *testing.B) {
			d, root := open(b, nil)
			for n := range 2500 {
				guest := filepath.Join(root, "images", fmt.Sprint(1000+n))
				require.NoError(b, os.MkdirAll(guest, 0o711))
				for i, format := range formats {
					data := image
					if format == storage.Raw {
						data = nil
					}
					require.NoError(b, os.WriteFile(filepath.Join(guest, fmt.Sprintf("vm-%d-disk-%d.%s", 1000+n, i, format)), data, 0o640))
				}
			}
			storagetest.Turns(b, storagetest.Way{Name: "lstat", Do: func() {
				require.Equal(b, 5000, lstatAll(b, filepath.Join(root, "images")))
			}}, storagetest.Way{Name: "driver", Do: func() {
				require.Len(b, list(b, d, storage.Filter{}), 5000)
			}})
		})
	}
}

func lstatAll(b *testing.B, folder string) (n int) {
	guests, err := os.ReadDir(folder)
	require.NoError(b, err)
	for _, g := range guests {
		files, err := os.ReadDir(filepath.Join(folder, g.Name()))
		require.NoError(b, err)
		for _, f := range files {
			fi, err := os.Lstat(filepath.Join(folder, g.Name(), f.Name()))
			require.NoError(b, err)
			if fi.Mode().IsRegular() {
				n++
			}
		}
	}
	return n
}

// BenchmarkCopy makes a full copy of an image of 4 GiB, of which a quarter is data, beside the bare tools. Unlike them the
// driver has its copy on the disk when it returns; so do those here whose names end in sync.
func BenchmarkCopy(b *testing.B) {
	const size = 4 << 30
	need.Tool(b, "qemu-img", "cp", "sync")
	for _, format := range []storage.Format{storage.Raw, storage.QCOW2} {
		b.Run(string(format), func(b *testing.B) {
			d, root := open(b, nil)
			tool, err := qimg.New(nil)
			require.NoError(b, err)
			name := func(guest int) storage.VolumeID {
				return storage.VolumeID(fmt.Sprintf("%d/vm-%d-disk-0.%s", guest, guest, format))
			}
			_, err = d.CreateFilled(b.Context(), storage.VolumeSpec{ID: name(100), SizeBytes: size}, func(ctx context.Context, img *storage.Image) error {
				return tool.Convert(ctx, img, &storage.Image{File: quarter(b, size), Format: storage.Raw}, qimg.CopyOptions{TargetIsZero: true})
			})
			require.NoError(b, err)
			from, to := filepath.Join(root, "images", string(name(100))), filepath.Join(root, "bare")
			bare := func(argv ...string) func() {
				return func() {
					out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
					require.NoError(b, err, "%s", out)
				}
			}
			convert := bare("qemu-img", "convert", "-f", string(format), "-O", string(format), from, to)
			reflink := bare("cp", "--reflink=auto", from, to)
			syncBare := bare("sync", to)
			remove := func() { require.NoError(b, os.Remove(to)) }
			b.SetBytes(size / 4)
			storagetest.Turns(b,
				storagetest.Way{Name: "convert+sync", Do: func() { convert(); syncBare() }, Undo: remove},
				storagetest.Way{Name: "cp+sync", Do: func() { reflink(); syncBare() }, Undo: remove},
				storagetest.Way{Name: "convert", Do: convert, Undo: remove},
				storagetest.Way{Name: "driver", Do: func() {
					v := filled(b, d, tool, name(100), storage.VolumeSpec{ID: name(101), SizeBytes: size})
					require.Equal(b, int64(size), v.SizeBytes)
				}, Undo: func() { require.NoError(b, d.Delete(b.Context(), name(101))) }})
		})
	}
}

// quarter is a file of a size whose every fourth MiB is data.
func quarter(b *testing.B, size int64) *os.File {
	f, err := os.Create(filepath.Join(b.TempDir(), "data"))
	require.NoError(b, err)
	b.Cleanup(func() { f.Close() })
	for off := int64(0); off < size; off += 4 << 20 {
		_, err := f.Seek(off, io.SeekStart)
		require.NoError(b, err)
		_, err = io.CopyN(f, rand.Reader, 1<<20)
		require.NoError(b, err)
	}
	require.NoError(b, f.Truncate(size))
	return f
}

// filled copies a volume by its bytes, as is done where nothing can be shared.
func filled(b *testing.B, d *dir.Driver, tool *qimg.Tool, from storage.VolumeID, spec storage.VolumeSpec) storage.Volume {
	src, err := d.Open(b.Context(), from, false)
	require.NoError(b, err)
	defer src.Close()
	v, err := d.CreateFilled(b.Context(), spec, func(ctx context.Context, dst *storage.Image) error {
		return tool.Copy(ctx, dst, src, qimg.CopyOptions{TargetIsZero: true})
	})
	require.NoError(b, err)
	return v
}

// BenchmarkClone makes linked clones of a small and of a large image, and says how much space one takes.
func BenchmarkClone(b *testing.B) {
	need.Tool(b, "qemu-img")
	d, root := open(b, nil)
	var bases []storage.VolumeID
	for i, gib := range []int64{1, 32} {
		v, err := d.Create(b.Context(), storage.VolumeSpec{ID: storage.VolumeID(fmt.Sprintf("%d/vm-%d-disk-0.qcow2", 100+i, 100+i)), SizeBytes: gib << 30})
		require.NoError(b, err)
		base, err := d.MakeBase(b.Context(), v.ID)
		require.NoError(b, err)
		b.Cleanup(func() { require.NoError(b, d.Delete(context.Background(), base.ID)) }) // no other way to remove a base image
		bases = append(bases, base.ID)
	}
	n := 0
	b.Cleanup(func() { require.NoError(b, os.RemoveAll(filepath.Join(root, "images/200"))) })
	clone := func(base storage.VolumeID) func() {
		return func() {
			n++
			v, err := d.Clone(b.Context(), base, storage.VolumeID(fmt.Sprintf("%s/200/vm-200-disk-%d.qcow2", base, n)))
			require.NoError(b, err)
			require.Less(b, v.UsedBytes, int64(1<<20))
		}
	}
	storagetest.Turns(b, storagetest.Way{Name: "1GiB", Do: clone(bases[0])}, storagetest.Way{Name: "32GiB", Do: clone(bases[1])})
	var bytes int64
	require.NoError(b, filepath.WalkDir(filepath.Join(root, "images/200"), func(path string, e fs.DirEntry, err error) error {
		if fi, e := os.Lstat(path); e == nil && fi.Mode().IsRegular() {
			bytes += fi.Size()
		}
		return err
	}))
	b.ReportMetric(float64(bytes)/float64(n), "file-bytes")
}
