package firewall

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// largeWorld has guests with ten rules each, and a set of the cluster with many addresses.
func largeWorld(tb testing.TB, guests, addresses int) *World {
	var b strings.Builder
	b.WriteString("[OPTIONS]\nenable: 1\n[IPSET many]\n")
	for i := range addresses {
		fmt.Fprintf(&b, "10.%d.%d.%d\n", i>>15&255, i>>7&255, i<<1&255) // no two touch
	}
	b.WriteString("[RULES]\nIN ACCEPT -source +many -p tcp -dport 22\n")
	cluster := mustParse(tb, b.String(), Cluster, nil)
	w := &World{Cluster: cluster, Node: Node{LocalNetwork: netip.MustParsePrefix("192.0.2.0/24")}}
	for id := range guests {
		var g strings.Builder
		g.WriteString("[OPTIONS]\nenable: 1\n[RULES]\nIN ACCEPT -source +many\n")
		for n := range 9 {
			fmt.Fprintf(&g, "IN ACCEPT -source 198.51.%d.0/24 -p tcp -dport %d\n", n, 1000+(id*7+n)%5000)
		}
		w.Guests = append(w.Guests, GuestConfig{ID: 1000 + id, Config: mustParse(tb, g.String(), Guest, &Scope{Cluster: cluster}),
			NICs: []NIC{{MAC: net.HardwareAddr{2, 0, 0, 0, byte(id >> 8), byte(id)}, Bridge: "vmbr0", Firewall: true}}})
	}
	return w
}

// nodeRule is one of many rules that share a map.
func nodeRule(n int) *Rule {
	return &Rule{Type: "in", Action: [...]string{"ACCEPT", "DROP"}[n%2], Enable: true, Proto: "tcp",
		Source: fmt.Sprintf("172.%d.%d.0/28", 16+n>>8, n&255), Dport: fmt.Sprint(1 + n%3000)}
}

// BenchmarkCompile has 10,000 rules in 1,000 guests, and 100,000 elements of a set.
func BenchmarkCompile(b *testing.B) {
	w := largeWorld(b, 1000, 100000)
	for b.Loop() {
		w.Compile()
	}
}

// BenchmarkCompileOneGuest has 10,000 rules in one guest.
func BenchmarkCompileOneGuest(b *testing.B) {
	w := denseWorld(b, 10000)
	for b.Loop() {
		w.Compile()
	}
}

func denseWorld(tb testing.TB, rules int) *World {
	var g strings.Builder
	g.WriteString("[OPTIONS]\nenable: 1\n[RULES]\n")
	for n := range rules {
		action := [...]string{"ACCEPT", "DROP"}[n%2]
		fmt.Fprintf(&g, "IN %s -source 10.%d.%d.0/28 -p tcp -dport %d\n", action, n>>8, n&255, 1+n%3000)
	}
	w := largeWorld(tb, 1, 1)
	w.Guests[0].Config = mustParse(tb, g.String(), Guest, &Scope{Cluster: w.Cluster})
	return w
}

// TestMatchingDoesNotGrow: many rules of one kind are one look-up.
func TestMatchingDoesNotGrow(t *testing.T) {
	few, many := denseWorld(t, 10).Compile(), denseWorld(t, 5000).Compile()
	count := func(rs *Ruleset) int {
		table, _ := rs.Table(GuestTable)
		ch, ok := table.Chain("tap1000i0-in")
		require.True(t, ok)
		return len(ch.Rules)
	}
	require.Equal(t, count(few), count(many))
}

func BenchmarkVerdict(b *testing.B) {
	w := largeWorld(b, 1000, 100000)
	e := NewEvaluator(w)
	p := &Packet{From: Outside("vmbr0"), To: GuestNIC(1500, 0), Src: netip.MustParseAddr("203.0.113.1"), Dst: netip.MustParseAddr("10.9.9.9"), Proto: 6, DstPort: 1}
	for b.Loop() {
		e.Verdict(p)
	}
}

func BenchmarkParse(b *testing.B) {
	text, err := largeWorld(b, 0, 100000).Cluster.Text()
	require.NoError(b, err)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		mustParse(b, text, Cluster, nil)
	}
}
