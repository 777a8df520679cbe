package guestfw

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/hostnet"
	"github.com/turtacn/go-proxmox/internal/inventory"
	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/netkit"
	"github.com/turtacn/go-proxmox/netkit/netkittest"
)

const (
	benchPorts = 500
	benchOwner = 70000
	atOnce     = 16 // guests that start at the same time
)

// BenchmarkPortsWithRules makes and removes the ports of 500 guests with ten rules each: many at once, as when a node starts; one
// after the other; and, in a namespace of its own, ip -batch and nft -f with everything in two files.
func BenchmarkPortsWithRules(b *testing.B) {
	need.Root(b)
	need.Tool(b, "ip", "nft", "nsenter")
	need.That(b, "nf_conntrack_bridge", (&lab{t: b, node: netkittest.NewHost(b).NS}).filters(), "connection tracking, names and rejecting on bridges")
	p := newPorts(b)
	sentinel := benchPorts // a guest that stays, whose port tells when the rules of those before it have gone
	p.store(sentinel)
	require.NoError(b, p.CreatePort(b.Context(), p.port(sentinel)))
	peer := netkittest.NewHost(b)
	peer.Apply(netkit.Link{Name: "vmbr0", Kind: netkit.KindBridge, Up: true})
	took := map[string]time.Duration{}
	for b.Loop() {
		var rules string
		for name, limit := range map[string]int{"together": atOnce, "one-by-one": 1} {
			begin := time.Now()
			for n := range benchPorts {
				p.store(n)
			}
			p.each(limit, func(n int) error { return p.CreatePort(b.Context(), p.port(n)) })
			took[name] += time.Since(begin)
			rules = p.last.Load().String()
			begin = time.Now()
			p.each(limit, func(n int) error { return p.DeletePort(b.Context(), p.port(n).Name) })
			for n := range benchPorts {
				_, err := p.lab.store.Txn(b.Context(), append(DropParts(id(n)), cluster.Delete(inventory.Key(id(n))))...)
				require.NoError(b, err)
			}
			p.settle(sentinel)
			took[name] += time.Since(begin)
		}
		var add, del strings.Builder
		for n := range benchPorts {
			name := p.port(n).Name
			fmt.Fprintf(&add, "tuntap add dev %s mode tap user %d vnet_hdr\nlink set %s master vmbr0\nlink set %s up\n", name, benchOwner, name, name)
			fmt.Fprintf(&del, "link del %s\n", name)
		}
		begin := time.Now()
		for _, step := range [][]string{{rules, "nft", "-f", "-"}, {add.String(), "ip", "-batch", "-"},
			{"delete table inet gpve-host\ndelete table bridge gpve-guests\n", "nft", "-f", "-"}, {del.String(), "ip", "-batch", "-"}} {
			cmd := exec.CommandContext(b.Context(), "nsenter", append([]string{"--net=" + peer.NS.Path()}, step[1:]...)...)
			cmd.Stdin = strings.NewReader(step[0])
			out, err := cmd.CombinedOutput()
			require.NoError(b, err, "%.500s", out)
		}
		took["peer"] += time.Since(begin)
	}
	b.ReportMetric(0, "ns/op")
	for name, d := range took {
		b.ReportMetric(d.Seconds()/float64(b.N), name+"-s")
	}
	b.ReportMetric(float64(took["together"])/float64(took["peer"]), "together-of-peer")
}

func id(n int) int { return 1000 + n }

func (p *ports) port(n int) hostnet.Port {
	return hostnet.Port{Name: portName(id(n), 0), Bridge: "vmbr0", Owner: benchOwner, Firewall: true}
}

// store writes a guest's record and rules.
func (p *ports) store(n int) {
	p.lab.put(inventory.Key(id(n)), string(inventory.Encode(node, fmt.Sprintf("net0: virtio=02:00:00:00:%02x:%02x,bridge=vmbr0,firewall=1\n", n>>8, n&255))))
	var rules strings.Builder
	for i := range 10 {
		fmt.Fprintf(&rules, "IN ACCEPT -source 198.51.%d.0/24 -p tcp -dport %d\n", i, 1000+(n*7+i)%5000)
	}
	p.lab.put(GuestKey(id(n)), "[OPTIONS]\nenable: 1\n\n[RULES]\n"+rules.String())
}

// each does something for all guests, some at once.
func (p *ports) each(limit int, do func(n int) error) {
	var g errgroup.Group
	g.SetLimit(limit)
	for n := range benchPorts {
		g.Go(func() error { return do(n) })
	}
	require.NoError(p.lab.t, g.Wait())
}

// settle waits until the kernel holds the rules of nobody but one guest.
func (p *ports) settle(only int) {
	require.Eventually(p.lab.t, func() bool {
		for n := range benchPorts {
			if p.fw.view.rev(inventory.Key(id(n))) != 0 {
				return false
			}
		}
		return true
	}, time.Minute, time.Millisecond)
	require.NoError(p.lab.t, p.fw.Open(p.lab.t.Context(), p.port(only).Name))
	require.NotContains(p.lab.t, p.last.Load().String(), p.port(0).Name)
}
