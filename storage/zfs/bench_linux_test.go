package zfs_test

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/zfs"
)

// benchVolumes is how many volumes BenchmarkList lists. Under emulation each takes a quarter of a second to make.
var benchVolumes = flag.Int("zfs.volumes", 5000, "volumes that BenchmarkList makes")

// BenchmarkList lists many volumes with the driver and with zfs list itself, in turn: "driver/zfs" is what the driver costs.
func BenchmarkList(b *testing.B) {
	const makers = 8
	volumes := *benchVolumes
	d, dataset := open(b, &zfs.Options{Sparse: true})
	work := make(chan int)
	var wg sync.WaitGroup
	for range makers {
		wg.Go(func() {
			for i := range work {
				sh(b, "zfs", "create", "-s", "-o", "volmode=none", "-V", "1M", fmt.Sprintf("%s/vm-%d-disk-%d", dataset, 100+i/10, i%10))
			}
		})
	}
	for i := range volumes {
		work <- i
	}
	close(work)
	wg.Wait()
	var ours, bare time.Duration
	for b.Loop() {
		start := time.Now()
		out, err := exec.Command("zfs", "list", "-Hp", "-d", "1", "-t", "filesystem,volume", "-o", "name,volsize,refquota,used,origin", dataset).Output()
		bare += time.Since(start)
		require.NoError(b, err)
		require.NotEmpty(b, out)
		start = time.Now()
		n := 0
		for _, err := range d.List(b.Context(), storage.Filter{}) {
			require.NoError(b, err)
			n++
		}
		ours += time.Since(start)
		require.Equal(b, volumes, n)
	}
	b.ReportMetric(ours.Seconds()/bare.Seconds(), "driver/zfs")
}

// BenchmarkCopy copies a volume with the driver and with zfs send | zfs recv, in turn.
func BenchmarkCopy(b *testing.B) {
	const size = 128 << 20
	d, dataset := open(b, &zfs.Options{Sparse: true})
	_, err := d.CreateFilled(b.Context(), storage.VolumeSpec{ID: "vm-100-disk-0", SizeBytes: size}, func(_ context.Context, img *storage.Image) error {
		buf := make([]byte, 1<<20)
		for off := int64(0); off < size; off += int64(len(buf)) {
			rand.Read(buf)
			if _, err := img.File.WriteAt(buf, off); err != nil {
				return err
			}
		}
		return nil
	})
	require.NoError(b, err)
	require.NoError(b, d.Snapshot(b.Context(), "vm-100-disk-0", "one"))
	b.SetBytes(size)
	var ours, bare time.Duration
	for b.Loop() {
		start := time.Now()
		sh(b, "bash", "-c", fmt.Sprintf("zfs send -Lec %s/vm-100-disk-0@one | zfs recv -u %s/bare", dataset, dataset))
		bare += time.Since(start)
		require.Eventually(b, func() bool { // udev looks at the new device
			return exec.Command("zfs", "destroy", "-r", dataset+"/bare").Run() == nil
		}, time.Minute, 100*time.Millisecond)
		start = time.Now()
		_, err := d.CopyFrom(b.Context(), storage.VolumeSpec{ID: "vm-101-disk-0"}, d, "vm-100-disk-0", storage.CopyOptions{Snapshot: "one"})
		ours += time.Since(start)
		require.NoError(b, err)
		require.NoError(b, d.Delete(b.Context(), "vm-101-disk-0"))
	}
	b.ReportMetric(bare.Seconds()/ours.Seconds(), "zfs/driver")
}

// BenchmarkClone makes linked clones of a small and of a large base volume.
func BenchmarkClone(b *testing.B) {
	for _, gib := range []int64{1, 32} {
		b.Run(fmt.Sprintf("%dGiB", gib), func(b *testing.B) {
			d, _ := open(b, &zfs.Options{Sparse: true})
			create(b, d, "vm-100-disk-0", gib<<30)
			base, err := d.MakeBase(b.Context(), "vm-100-disk-0")
			require.NoError(b, err)
			n := 0
			for b.Loop() {
				v, err := d.Clone(b.Context(), base.ID, storage.VolumeID(fmt.Sprintf("%s/vm-101-disk-%d", base.ID, n)))
				require.NoError(b, err)
				require.Less(b, v.UsedBytes, int64(1<<20))
				n++
			}
		})
	}
}
