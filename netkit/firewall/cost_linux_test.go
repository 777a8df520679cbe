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
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/netkit"
)

// cost is a large configuration of which one rule of one file changes again and again.
type cost struct {
	w        *World
	compiler Compiler
	text     func(change int) string // of the file that changes
	take     func(c *Config)         // puts what was read in its place
	level    Level
	only     func(*Ruleset) *Ruleset
}

// ruleset goes from the text of the changed file to the ruleset.
func (c *cost) ruleset(tb testing.TB, change int) *Ruleset {
	c.take(mustParse(tb, c.text(change), c.level, &Scope{Cluster: c.w.Cluster}))
	return c.only(c.compiler.Compile(c.w))
}

// costs are 10,000 rules and a set of 100,000 addresses: in the file of the node, and, where the kernel has what bridges are
// filtered with, in the files of 1,000 guests.
func costs(b *testing.B, run func(b *testing.B, c *cost)) {
	c, _ := dialNew(b)
	missing, err := c.missing(b.Context(), largeWorld(b, 1, 1).Compile())
	require.NoError(b, err)
	b.Run("node", func(b *testing.B) {
		w := largeWorld(b, 0, 100000)
		host := NewConfig(Host)
		for n := range 10000 {
			host.Rules = append(host.Rules, nodeRule(n))
		}
		text, err := host.Text()
		require.NoError(b, err)
		run(b, &cost{w: w, level: Host, only: onlyHost, take: func(c *Config) { w.Host = c },
			text: func(n int) string {
				return strings.Replace(text, "-dport 4\n", fmt.Sprintf("-dport %d\n", 20000+n), 1)
			}})
	})
	b.Run("guests", func(b *testing.B) {
		need.That(b, "nf_conntrack_bridge", missing == nil, "connection tracking, names and rejecting on bridges")
		w := largeWorld(b, 1000, 100000)
		text, err := w.Guests[500].Config.Text()
		require.NoError(b, err)
		run(b, &cost{w: w, level: Guest, only: func(rs *Ruleset) *Ruleset { return rs }, take: func(c *Config) { w.Guests[500].Config = c },
			text: func(n int) string {
				return text + fmt.Sprintf("IN ACCEPT -source 198.51.100.9 -p tcp -dport %d\n", 20000+n)
			}})
	})
}

// turns takes the time of things done in turns, and reports the medians in milliseconds.
type turns struct{ took map[string][]time.Duration }

func (t *turns) take(name string, do func()) {
	begin := time.Now()
	do()
	if t.took == nil {
		t.took = map[string][]time.Duration{}
	}
	t.took[name] = append(t.took[name], time.Since(begin))
}

func (t *turns) median(name string) float64 {
	all := slices.Sorted(slices.Values(t.took[name]))
	return all[len(all)/2].Seconds() * 1000
}

// report tells the medians, and what the first is to the others.
func (t *turns) report(b *testing.B, ours string, peers ...string) {
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(t.median(ours), ours+"-ms")
	for _, peer := range peers {
		b.ReportMetric(t.median(peer), peer+"-ms")
		b.ReportMetric(t.median(ours)/t.median(peer), "of-"+peer)
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

// BenchmarkLoad puts everything into an empty namespace: as Apply does, with what reads it back, and as nft -f does.
func BenchmarkLoad(b *testing.B) {
	costs(b, func(b *testing.B, cost *cost) {
		c, ns := dialBench(b)
		rs := cost.ruleset(b, 0)
		text := rs.String()
		var t turns
		for b.Loop() {
			deleteAll(b, ns)
			t.take("apply", func() {
				_, err := c.Apply(b.Context(), rs)
				require.NoError(b, err)
			})
			deleteAll(b, ns)
			t.take("nft", func() { nft(b, ns, text) })
		}
		t.report(b, "apply", "nft")
	})
}

// BenchmarkChange changes one rule. Ours is everything from the text of the changed file to the kernel's answer that it holds
// what is wanted. Its peers get their text for nothing: the whole ruleset for nft -f, in the place of the old one, as who does
// not track changes loads it; and the commands for exactly what differs.
func BenchmarkChange(b *testing.B) {
	costs(b, func(b *testing.B, cost *cost) {
		c, _ := dialBench(b)
		_, whole := dialBench(b)
		_, delta := dialBench(b)
		have := cost.ruleset(b, 0)
		_, err := c.Apply(b.Context(), have)
		require.NoError(b, err)
		nft(b, whole, have.String())
		nft(b, delta, have.String())
		var t turns
		for n := 1; b.Loop(); n++ {
			var want *Ruleset
			t.take("change", func() {
				t.take("compile", func() { want = cost.ruleset(b, n) })
				report, err := c.Apply(b.Context(), want)
				require.NoError(b, err)
				require.NotEmpty(b, report.Steps)
			})
			hand := deltaText(have, want)
			t.take("delta", func() { nft(b, delta, hand) })
			if n%4 == 1 { // it takes long
				text := replaceText(want)
				t.take("whole", func() { nft(b, whole, text) })
			}
			have = want
		}
		t.report(b, "change", "whole", "delta")
		b.ReportMetric(t.median("compile"), "compile-ms")
	})
}

// replaceText puts a ruleset in the place of the one that is there, in one transaction.
func replaceText(rs *Ruleset) string {
	var b strings.Builder
	for _, t := range rs.Tables {
		fmt.Fprintf(&b, "delete table %s %s\n", t.Family, t.Name)
	}
	return b.String() + rs.String()
}

// BenchmarkPackets sends packets of new connections to a guest among few others and to one among many, in turns.
func BenchmarkPackets(b *testing.B) {
	const few, many, burst = 10, 1000, 4000
	send := map[int]func(){few: packetsTo(b, few, burst), many: packetsTo(b, many, burst)}
	var t turns
	for b.Loop() {
		t.take("few", send[few])
		t.take("many", send[many])
	}
	b.ReportMetric(0, "ns/op")
	for _, name := range []string{"few", "many"} {
		b.ReportMetric(burst/t.median(name)*1000, name+"-packets/s")
	}
	b.ReportMetric(t.median("few")/t.median("many"), "many-of-few")
}

// packetsTo makes a bridge with rules for a number of guests, and returns what sends a burst of packets to the last of them.
func packetsTo(b *testing.B, guests, burst int) func() {
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
	b.Cleanup(func() { sender.Close() })
	return func() {
		for n := range burst {
			_, _ = sender.WriteTo([]byte("x"), &net.UDPAddr{IP: net.IPv4(192, 0, 2, 10), Port: 1 + n})
		}
	}
}

// deltaText is the change from one ruleset to another as somebody would write it for nft.
func deltaText(from, to *Ruleset) string {
	var b, gone strings.Builder
	for i, t := range to.Tables {
		old := from.Tables[i]
		part := &Table{Family: t.Family, Name: t.Name}
		for _, s := range t.Sets {
			had, ok := old.Set(s.Name)
			if !ok {
				part.Sets = append(part.Sets, s)
				continue
			}
			for _, step := range planElements(had.Elements, t, s) {
				command := map[Change]string{AddElements: "add", DeleteElements: "delete"}[step.Change]
				for _, e := range step.Elements {
					fmt.Fprintf(&b, "%s element %s %s %s { %s }\n", command, t.Family, t.Name, s.Name, s.printElement(e))
				}
			}
		}
		for _, s := range old.Sets {
			if _, ok := t.Set(s.Name); !ok {
				fmt.Fprintf(&gone, "delete set %s %s %s\n", t.Family, t.Name, s.Name)
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
		}
	}
	return b.String() + gone.String()
}
