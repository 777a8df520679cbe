package lvmthin

import (
	"fmt"
	"os/exec"
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
	for b.Loop() {
		n := 0
		begun := time.Now()
		for _, err := range d.List(b.Context(), storage.Filter{}) {
			require.NoError(b, err)
			n++
		}
		ours := time.Since(begun)
		require.Equal(b, volumes, n)
		begun = time.Now()
		out, err := exec.Command("lvs", labGroup).Output()
		require.NoError(b, err)
		require.NotEmpty(b, out)
		b.ReportMetric(float64(ours)/float64(time.Since(begun)), "x-lvs")
	}
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
