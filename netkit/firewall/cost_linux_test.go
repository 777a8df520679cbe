package firewall

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/netkit"
)

// costWorld has 10,000 rules in 1,000 guests and a set of 100,000 addresses. A kernel without the bridges' modules gets the
// same rules as those of the node.
func costRuleset(tb testing.TB, c *Conn) func(change int) *Ruleset {
	missing, err := c.missing(tb.Context(), largeWorld(tb, 1, 1).Compile())
	require.NoError(tb, err)
	if missing == nil {
		w := largeWorld(tb, 1000, 100000)
		return func(change int) *Ruleset {
			config := w.Guests[500].Config.Clone()
			config.Rules[3].Dport = fmt.Sprint(20000 + change)
			w.Guests[500].Config = config
			return w.Compile()
		}
	}
	w := largeWorld(tb, 0, 100000)
	for n := range 10000 {
		action := [...]string{"ACCEPT", "DROP"}[n%2]
		w.Cluster.Rules = append(w.Cluster.Rules, &Rule{Type: "in", Action: action, Enable: true, Proto: "tcp",
			Source: fmt.Sprintf("172.%d.%d.0/28", 16+n>>8, n&255), Dport: fmt.Sprint(1 + n%3000)})
	}
	return func(change int) *Ruleset {
		w.Cluster.Rules[3] = &Rule{Type: "in", Action: "ACCEPT", Enable: true, Source: "203.0.113.9", Dport: fmt.Sprint(20000 + change), Proto: "tcp"}
		return onlyHost(w.Compile())
	}
}

// nft runs nft in ns with a file of commands.
func nft(tb testing.TB, ns *netkit.NS, text string) {
	file := filepath.Join(tb.TempDir(), "rules.nft")
	require.NoError(tb, os.WriteFile(file, []byte(text), 0o600))
	out, err := exec.Command("nsenter", "--net="+ns.Path(), "nft", "-f", file).CombinedOutput()
	require.NoError(tb, err, "%.500s", out)
}

// deleteAll takes the package's tables away, if they are there.
func deleteAll(tb testing.TB, ns *netkit.NS) { nft(tb, ns, "flush ruleset\n") }

func dialBench(tb testing.TB) (*Conn, *netkit.NS) {
	need.Root(tb)
	need.Tool(tb, "nft", "nsenter")
	ns, err := netkit.NewNS()
	require.NoError(tb, err)
	tb.Cleanup(func() { ns.Close() })
	c, err := Dial(tb.Context(), ns)
	require.NoError(tb, err)
	tb.Cleanup(func() { c.Close() })
	return c, ns
}

// BenchmarkLoad puts everything in, as Apply does and as nft -f does.
func BenchmarkLoad(b *testing.B) {
	c, ns := dialBench(b)
	rs := costRuleset(b, c)(0)
	b.Run("apply", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			deleteAll(b, ns)
			b.StartTimer()
			_, err := c.Apply(b.Context(), rs)
			require.NoError(b, err)
		}
	})
	text := rs.String()
	b.Run("nft", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			deleteAll(b, ns)
			b.StartTimer()
			nft(b, ns, text)
		}
	})
}

// BenchmarkChange changes one rule.
func BenchmarkChange(b *testing.B) {
	c, ns := dialBench(b)
	make := costRuleset(b, c)
	sets := []*Ruleset{make(0), make(1)}
	deleteAll(b, ns)
	_, err := c.Apply(b.Context(), sets[0])
	require.NoError(b, err)
	n := 0
	b.Run("apply", func(b *testing.B) {
		for b.Loop() {
			n++
			report, err := c.Apply(b.Context(), sets[n%2])
			require.NoError(b, err)
			require.NotEmpty(b, report.Steps)
		}
	})
	n = 0
	_, err = c.Apply(b.Context(), sets[0])
	require.NoError(b, err)
	deltas := []string{deltaText(sets[1], sets[0]), deltaText(sets[0], sets[1])}
	b.Run("nft", func(b *testing.B) {
		for b.Loop() {
			n++
			nft(b, ns, deltas[n%2])
		}
	})
	b.Run("compile", func(b *testing.B) {
		for b.Loop() {
			make(n)
		}
	})
}

// BenchmarkPackets sends packets of new connections to a guest among few others, and among many.
func BenchmarkPackets(b *testing.B) {
	for _, guests := range []int{10, 1000, 10, 1000} {
		b.Run(fmt.Sprint(guests), func(b *testing.B) {
			l := newLAN(b)
			w := largeWorld(b, guests, 10)
			last := &w.Guests[guests-1]
			last.NICs[0].MAC = net.HardwareAddr{2, 0, 0, 0, 0, 0x10}
			last.Config = mustParse(b, "[OPTIONS]\nenable: 1\n[RULES]\n"+strings.Repeat("IN DROP -p tcp -dport 7\n", 20)+"IN ACCEPT -p udp\n", Guest, nil)
			for i := range w.Guests {
				w.Guests[i].NICs[0].Bridge = "br0"
			}
			_, err := l.c.Apply(b.Context(), w.Compile())
			require.NoError(b, err)
			l.machine(fmt.Sprintf("tap%di0", last.ID), "02:00:00:00:00:10", "192.0.2.10/24")
			out := l.machine("eth9", "02:00:00:00:00:99", "192.0.2.99/24")
			var sender net.PacketConn
			require.NoError(b, out.Do(b.Context(), func() (err error) {
				sender, err = net.ListenPacket("udp4", "192.0.2.99:0")
				return err
			}))
			defer sender.Close()
			to, n := net.UDPAddr{IP: net.IPv4(192, 0, 2, 10)}, 0
			for b.Loop() {
				n++
				to.Port = 1 + n%4000
				_, _ = sender.WriteTo([]byte("x"), &to)
			}
		})
	}
}

// deltaText is the change from one ruleset to another as somebody would write it for nft.
func deltaText(from, to *Ruleset) string {
	var b strings.Builder
	for i, t := range to.Tables {
		old := from.Tables[i]
		part := &Table{Family: t.Family, Name: t.Name}
		var gone []string
		for _, s := range t.Sets {
			if _, ok := old.Set(s.Name); !ok {
				part.Sets = append(part.Sets, s)
			}
		}
		for _, s := range old.Sets {
			if _, ok := t.Set(s.Name); !ok {
				gone = append(gone, fmt.Sprintf("delete set %s %s %s\n", t.Family, t.Name, s.Name))
			}
		}
		for _, ch := range t.Chains {
			if before, ok := old.Chain(ch.Name); ok && slices.Equal(before.tags(), ch.tags()) {
				continue
			}
			fmt.Fprintf(&b, "flush chain %s %s %s\n", t.Family, t.Name, ch.Name)
			part.Chains = append(part.Chains, ch)
		}
		if len(part.Chains) > 0 {
			b.WriteString((&Ruleset{Tables: []*Table{part}}).String())
			b.WriteString(strings.Join(gone, ""))
		}
	}
	return b.String()
}
