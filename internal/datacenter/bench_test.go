package datacenter_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/inventory"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// BenchmarkResources lists 1000 guests: warm from the cache, cold after a change of a guest each time (both with the
// compressed body, which is made together with the plain one).
func BenchmarkResources(b *testing.B) {
	w := newWorld(b)
	w.crowd(1000)
	for _, user := range []string{call.Root, "all@pve", "some@pve", "none@pve"} {
		ctx := w.as(user)
		get := func() {
			v, err := w.GetClusterResources(ctx, &schema.GetClusterResources{})
			require.NoError(b, err)
			b.ReportMetric(float64(len(v.(*call.Encoded).Body())), "bytes")
			b.ReportMetric(float64(len(v.(*call.Encoded).Gzip())), "gzip-bytes")
		}
		b.Run("warm/"+user, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				get()
			}
		})
		b.Run("cold/"+user, func(b *testing.B) {
			b.ReportAllocs()
			i := int64(0)
			for b.Loop() {
				i++
				w.inv.SetLive(map[int]inventory.Live{100: {Status: "running", Mem: i}})
				get()
			}
		})
	}
}
