package lvmthin

import (
	"context"
	"crypto/rand"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
)

// BenchmarkList lists a pool of many volumes and, beside it, runs lvs alone.
func BenchmarkList(b *testing.B) {
	group(b)
	d := newPool(b, "pool", "256M", nil)
	const volumes = 5000
	many(b, volumes)
	var ours, theirs time.Duration
	for b.Loop() {
		n := 0
		begun := time.Now()
		for _, err := range d.List(b.Context(), storage.Filter{}) {
			require.NoError(b, err)
			n++
		}
		ours += time.Since(begun)
		require.Equal(b, volumes, n)
		begun = time.Now()
		out, err := exec.Command("lvs", labGroup).Output()
		require.NoError(b, err)
		require.NotEmpty(b, out)
		theirs += time.Since(begun)
	}
	b.ReportMetric(float64(ours)/float64(theirs), "x-lvs")
}

// BenchmarkClone makes linked clones of two images in turns, one 32 times as large as the other and with 32 times as much data in
// it. x-time is how much longer a clone of the large one takes, blocks how many of the pool's 64 KiB it takes.
func BenchmarkClone(b *testing.B) {
	group(b)
	d := newPool(b, "pool", "1G", nil)
	const small, large, stride, chunk = 1 << 30, 32 << 30, 4 << 20, 64 << 10
	image := func(n int, size int64) storage.VolumeID {
		v, err := d.CreateFilled(b.Context(), storage.VolumeSpec{ID: storage.VolumeID(fmt.Sprintf("vm-100-disk-%d", n)), SizeBytes: size},
			func(_ context.Context, img *storage.Image) error {
				data := make([]byte, chunk)
				rand.Read(data)
				for at := int64(0); at < size; at += stride {
					if _, err := img.File.WriteAt(data, at); err != nil {
						return err
					}
				}
				return nil
			})
		require.NoError(b, err)
		base, err := d.MakeBase(b.Context(), v.ID)
		require.NoError(b, err)
		return base.ID
	}
	bases := []storage.VolumeID{image(0, small), image(1, large)}
	var took [2]time.Duration
	var blocks [2]int
	n := 0
	for b.Loop() {
		for i, base := range bases {
			before, begun := used(b), time.Now()
			_, err := d.Clone(b.Context(), base, storage.VolumeID(fmt.Sprintf("vm-%d-disk-%d", 200+n, i)))
			require.NoError(b, err)
			took[i] += time.Since(begun)
			blocks[i] += used(b) - before
		}
		n++
	}
	b.ReportMetric(took[0].Seconds()/float64(n), "s/small")
	b.ReportMetric(took[1].Seconds()/float64(n), "s/large")
	b.ReportMetric(float64(took[1])/float64(took[0]), "x-time")
	b.ReportMetric(float64(blocks[0])/float64(n), "blocks/small")
	b.ReportMetric(float64(blocks[1])/float64(n), "blocks/large")
}

// used is how many blocks for data the pool has given out. See the kernel's admin-guide/device-mapper/thin-provisioning.rst,
// Status.
func used(b *testing.B) (blocks int) {
	b.Helper()
	fields := strings.Fields(run(b, "dmsetup", "status", "lab--thin-pool-tpool"))
	require.Greater(b, len(fields), 5)
	_, err := fmt.Sscanf(fields[5], "%d/", &blocks)
	require.NoError(b, err)
	return blocks
}

// many writes the metadata of a group with many thin volumes, which to make one by one would take an hour: what lvs reads is
// the same.
func many(b *testing.B, n int) {
	b.Helper()
	run(b, "sh", "-c", fmt.Sprintf(`
vgcfgbackup -f /tmp/many %[1]s && vgchange -an %[1]s &&
awk -v n=%[2]d '{ print } /^\tlogical_volumes \{/ {
	for (i = 0; i < n; i++) printf "vm-%%d-disk-%%d {\nid = \"aaaaaa-0000-0000-0000-0000-0000-%%06d\"\nstatus = [\"READ\", \"WRITE\", \"VISIBLE\"]\nflags = [\"ACTIVATION_SKIP\"]\ncreation_time = 1700000000\ncreation_host = \"lab\"\nsegment_count = 1\nsegment1 {\nstart_extent = 0\nextent_count = 1\ntype = \"thin\"\nthin_pool = \"pool\"\ntransaction_id = 0\ndevice_id = %%d\n}\n}\n", 100 + i / 4, i %% 4, i, i + 1
}' /tmp/many > /tmp/many.new && vgcfgrestore --force -y -f /tmp/many.new %[1]s`, labGroup, n))
	b.Cleanup(func() { run(b, "vgcfgrestore", "--force", "-y", "-f", "/tmp/many", labGroup) })
}
