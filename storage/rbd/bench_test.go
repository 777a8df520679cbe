package rbd

import (
	stdflag "flag"
	"fmt"
	"os/exec"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/storagetest"
)

// benchImages is how many images BenchmarkList lists. Each takes some 50 ms to make.
var benchImages = stdflag.Int("rbd.images", 1000, "images that BenchmarkList makes")

// BenchmarkList lists many images with the driver and with rbd alone.
func BenchmarkList(b *testing.B) {
	d := newDriver(b)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for n := w; n < *benchImages; n += 4 {
				_, err := d.tool.rbd(b.Context(), call{args: append([]string{"create", "--size", "1M"}, d.tool.image(fmt.Sprintf("vm-%d-disk-0", 100+n), "")...)})
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	storagetest.Turns(b, storagetest.Way{Name: "rbd", Do: func() {
		_, err := d.tool.rbd(b.Context(), call{args: append([]string{"ls", "--long", "--format", "json"}, d.tool.pool()...)})
		require.NoError(b, err)
	}}, storagetest.Way{Name: "driver", Do: func() {
		n := 0
		for _, err := range d.List(b.Context(), storage.Filter{}) {
			require.NoError(b, err)
			n++
		}
		require.Equal(b, *benchImages, n)
	}})
}

// BenchmarkCopy compares a copy with rbd cp alone: 1 GiB, a quarter of it data.
func BenchmarkCopy(b *testing.B) {
	d := newDriver(b)
	_, err := d.Create(b.Context(), storage.VolumeSpec{ID: "vm-100-disk-0", SizeBytes: 1 << 30})
	require.NoError(b, err)
	out, err := exec.Command("rbd", append([]string{"--conf", d.opt.RunDir + "/ceph.conf", "bench", "--io-type", "write", "--io-size", "4M", "--io-total", "256M"}, d.tool.image("vm-100-disk-0", "")...)...).CombinedOutput()
	require.NoError(b, err, "%s", out)
	storagetest.Turns(b, storagetest.Way{Name: "rbd-cp", Do: func() {
		_, err := d.tool.rbd(b.Context(), call{args: append(append([]string{"cp"}, d.tool.image("vm-100-disk-0", "")...), d.tool.dest("vm-102-disk-0")...)})
		require.NoError(b, err)
	}, Undo: func() { require.NoError(b, d.drop(b.Context(), "vm-102-disk-0")) }}, storagetest.Way{Name: "driver", Do: func() {
		_, err := d.CopyFrom(b.Context(), storage.VolumeSpec{ID: "vm-101-disk-0"}, d, "vm-100-disk-0", storage.CopyOptions{})
		require.NoError(b, err)
	}, Undo: func() { require.NoError(b, d.Delete(b.Context(), "vm-101-disk-0")) }})
}

// BenchmarkClone makes linked clones of a small and of a large image.
func BenchmarkClone(b *testing.B) {
	d := newDriver(b)
	n := 0
	clone := func(owner int, size int64) func() {
		v, err := d.Create(b.Context(), storage.VolumeSpec{ID: storage.VolumeID(fmt.Sprintf("vm-%d-disk-0", owner)), SizeBytes: size})
		require.NoError(b, err)
		base, err := d.MakeBase(b.Context(), v.ID)
		require.NoError(b, err)
		return func() {
			n++
			v, err := d.Clone(b.Context(), base.ID, storage.VolumeID(fmt.Sprintf("%s/vm-200-disk-%d", base.ID, n)))
			require.NoError(b, err)
			require.Zero(b, v.UsedBytes)
		}
	}
	storagetest.Turns(b, storagetest.Way{Name: "1GiB", Do: clone(100, 1<<30)}, storagetest.Way{Name: "32GiB", Do: clone(101, 32<<30)})
}
