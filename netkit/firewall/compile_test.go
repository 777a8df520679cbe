package firewall

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// expected is the verdict that the ruleset must come to. Two rejections towards guests cannot be answered from where their
// packets are seen: those of packets that the node sends or routes, and those of whois by guests that reject nothing else.
func expected(w *World, d Decision, p *Packet) Action {
	if d.Action != Reject || len(d.Stages) == 0 {
		return d.Action
	}
	last := d.Stages[len(d.Stages)-1]
	if !strings.HasPrefix(last.Name, "guest") || !strings.HasSuffix(last.Name, " in") {
		return d.Action
	}
	if p.From.IsNode() || w.bridgeOf(p.From) != w.bridgeOf(p.To) {
		return Drop
	}
	if last.By == "noise: whois" {
		return ""
	}
	return d.Action
}

func compare(t *testing.T, seed uint64, packets int) {
	r := newRandom(seed)
	w := r.world(t)
	rs := w.Compile()
	e := NewEvaluator(w)
	for range packets {
		p := r.packet()
		d := e.Verdict(p)
		m := &machine{rs: rs, w: w, p: p}
		got, want := m.verdict(), expected(w, d, p)
		if want == "" {
			want = d.Action
			if got == Drop {
				got = want
			}
		}
		if got != want {
			t.Fatalf("seed %d: packet %+v\nverdict %v\nruleset %v\n%s", seed, *p, d, got, describe(w))
		}
	}
}

func describe(w *World) string {
	var b strings.Builder
	text := func(name string, c *Config) {
		s, err := c.Text()
		fmt.Fprintf(&b, "--- %s (%v)\n%s", name, err, s)
	}
	text("cluster", w.Cluster)
	text("host", w.Host)
	for _, g := range w.Guests {
		text(fmt.Sprint(g.ID, g.NICs), g.Config)
	}
	b.WriteString(w.Compile().String())
	return b.String()
}

// TestRulesetAgreesWithVerdict compares two readings of random configurations.
func TestRulesetAgreesWithVerdict(t *testing.T) {
	for seed := range uint64(400) {
		compare(t, seed, 60)
	}
}

func FuzzRulesetAgreesWithVerdict(f *testing.F) {
	f.Add(uint64(1000))
	f.Fuzz(func(t *testing.T, seed uint64) { compare(t, seed, 40) })
}

func TestCompileIsDeterministic(t *testing.T) {
	for seed := range uint64(20) {
		w := newRandom(seed).world(t)
		require.Equal(t, w.Compile(), w.Compile())
	}
}

// TestAnswersOnTheBridgeOfAVLAN: a card with a tag may be a port of either bridge.
func TestAnswersOnTheBridgeOfAVLAN(t *testing.T) {
	w := largeWorld(t, 1, 1)
	w.Guests[0].Config = mustParse(t, "[OPTIONS]\nenable: 1\npolicy_in: REJECT\n", Guest, nil)
	w.Guests[0].NICs[0].VLAN = 5
	table, ok := w.Compile().Table(GuestTable)
	require.True(t, ok)
	answers, ok := table.Set("answers")
	require.True(t, ok)
	require.Len(t, answers.Elements, 2)
	require.Equal(t, "vmbr0", ifaceName(answers.Elements[0].Key[0].Lo))
	require.Equal(t, "vmbr0v5", ifaceName(answers.Elements[1].Key[0].Lo))
}
