package firewall

import (
	"math/rand/v2"
	"net"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCompilerAgrees goes from world to world by changes of all kinds: whatever a Compiler takes over from before, the ruleset is
// the one that is made from nothing.
func TestCompilerAgrees(t *testing.T) {
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 1))
		var worlds []*World
		for i := range uint64(4) {
			worlds = append(worlds, newRandom(10*seed+i).world(t))
		}
		pick := func() *World { return worlds[r.IntN(len(worlds))] }
		var c Compiler
		w := *pick()
		for step := range 60 {
			w.Guests = slices.Clone(w.Guests)
			g := &w.Guests[r.IntN(len(w.Guests))]
			g.NICs = slices.Clone(g.NICs)
			switch r.IntN(12) {
			case 0:
				w.Host = pick().Host
			case 1:
				w.Cluster = pick().Cluster
			case 2:
				w.Node = pick().Node
				w.Node.AltNames = map[string]string{"up": []string{"eth0", "eth1"}[r.IntN(2)]}
			case 3:
				w.SDN = []*IPSet{{Name: "lan-all", Entries: []Entry{{CIDR: []string{"10.1.0.0/24", "10.2.0.0/24"}[r.IntN(2)]}}}}
			case 4:
				w.Guests = pick().Guests
			case 5:
				g.NICs[r.IntN(2)].Firewall = r.IntN(2) == 0
			case 6:
				g.NICs[r.IntN(2)].MAC = net.HardwareAddr{2, 0x11, 0x22, 0x33, 0x44, byte(r.IntN(4))} // two may have the same
			case 7:
				g.NICs[0].Bridge = []string{"vmbr0", "vmbr7"}[r.IntN(2)]
			case 8: // the rules of a host change, its options do not
				w.Host = w.Host.Clone()
				w.Host.Rules = append(w.Host.Rules, nodeRule(step))
			default:
				o := pick().Guests
				g.Config = o[r.IntN(len(o))].Config
			}
			got, want := c.Compile(&w), w.Compile()
			require.Equal(t, want.String(), got.String(), "seed %d step %d", seed, step)
			require.Equal(t, want.Warnings, got.Warnings, "seed %d step %d", seed, step)
			require.Equal(t, want.Ports, got.Ports)
		}
	}
}

// TestCompilerKeepsWhatIsTheSame: one guest's rules change, and the plan looks at nothing else.
func TestCompilerKeepsWhatIsTheSame(t *testing.T) {
	w := largeWorld(t, 20, 5000)
	var c Compiler
	before := c.Compile(w)
	w.Guests[7].Config = w.Guests[7].Config.Clone()
	w.Guests[7].Config.Rules[3].Dport = "65000"
	after := c.Compile(w)
	old, _ := before.Table(GuestTable)
	now, _ := after.Table(GuestTable)
	require.Same(t, before.Tables[0], after.Tables[0])
	changed := 0
	for _, ch := range now.Chains {
		if had, ok := old.Chain(ch.Name); (!ok || had != ch) && ch.Hook == "" {
			changed++
			require.Contains(t, ch.Name, "tap1007i0-")
		}
	}
	require.Equal(t, 3, changed)
	many, ok := now.Set("v4-dc-many")
	require.True(t, ok)
	had, _ := old.Set("v4-dc-many")
	require.Same(t, had, many)
	c.Compile(&World{})
	require.Nil(t, c.last, "nothing is kept of a firewall that is off")
}

// TestPlanGoesByIdentity: what is recognised is not compared again, and what was changed behind is.
func TestPlanGoesByIdentity(t *testing.T) {
	rs := largeWorld(t, 3, 10).Compile()
	have := stateOf(rs.Tables...)
	have.recognise(rs.Tables)
	chain := have.Tables[GuestTable].Chains["tap1001i0-in"]
	require.Same(t, chain.made, mustChain(t, rs, "tap1001i0-in"))
	chain.Tags = nil // a comparison would see it
	have.Tables[GuestTable].Chains["tap1001i0-in"] = chain
	require.Empty(t, Plan(have, rs.Tables, HostTable, GuestTable))
	again := largeWorld(t, 3, 10).Compile()
	require.Equal(t, "set rules gpve-guests tap1001i0-in (11)", Plan(have, again.Tables, HostTable, GuestTable).String())
}

func mustChain(t *testing.T, rs *Ruleset, name string) *Chain {
	table, _ := rs.Table(GuestTable)
	ch, ok := table.Chain(name)
	require.True(t, ok)
	return ch
}
