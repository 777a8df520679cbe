package netkit_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/netkit"
	"github.com/turtacn/go-proxmox/netkit/netkittest"
)

const benchTaps = 500

// BenchmarkTaps makes 500 taps that are up and ports of a bridge, and removes them: in one plan, one by one as guests come
// and go, and with ip(8), which writes its commands itself.
func BenchmarkTaps(b *testing.B) {
	links := []netkit.Link{{Name: "br0", Kind: netkit.KindBridge, Up: true}}
	var names []string
	var add, del strings.Builder
	for i := range benchTaps {
		name := fmt.Sprintf("tap%di0", 100+i)
		names = append(names, name)
		links = append(links, netkit.Link{Name: name, Kind: netkit.KindTap, Up: true, Master: "br0", Tap: netkit.Tap{Owner: 70000, VNetHeader: true}})
		fmt.Fprintf(&add, "tuntap add dev %s mode tap user 70000 vnet_hdr\nlink set %s master br0\nlink set %s up\n", name, name, name)
		fmt.Fprintf(&del, "link del %s\n", name)
	}
	host := func(b *testing.B) *netkittest.Host {
		h := netkittest.NewHost(b)
		h.Apply(links[0])
		return h
	}
	b.Run("plan", func(b *testing.B) {
		h := host(b)
		for b.Loop() {
			h.Apply(links...)
			h.Remove(names...)
		}
	})
	b.Run("one-by-one", func(b *testing.B) {
		h := host(b)
		one := func(want []netkit.Link, gone ...string) {
			have, err := h.Conn.Lookup(b.Context(), append(gone, "br0")...)
			require.NoError(b, err)
			steps, err := netkit.Plan(have, want, gone...)
			require.NoError(b, err)
			require.NoError(b, h.Conn.Apply(b.Context(), steps))
		}
		for b.Loop() {
			for _, l := range links[1:] {
				one([]netkit.Link{l})
			}
			for _, name := range names {
				one(nil, name)
			}
		}
	})
	b.Run("ip-batch", func(b *testing.B) {
		need.Tool(b, "ip", "nsenter")
		h := host(b)
		batch := func(commands string) {
			cmd := exec.Command("nsenter", "--net="+h.NS.Path(), "ip", "-batch", "-")
			cmd.Stdin = strings.NewReader(commands)
			out, err := cmd.CombinedOutput()
			require.NoError(b, err, string(out))
		}
		for b.Loop() {
			batch(add.String())
			batch(del.String())
		}
	})
}
