package firewall

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// stateOf is what the kernel would hold after tables were applied.
func stateOf(tables ...*Table) *State {
	s := &State{Tables: map[string]*TableState{}}
	for _, t := range tables {
		ts := &TableState{Family: t.Family, Chains: map[string]ChainState{}, Sets: map[string]SetState{}}
		for _, h := range t.Helpers {
			ts.Helpers = append(ts.Helpers, h.Object())
		}
		for _, c := range t.Chains {
			ts.Chains[c.Name] = ChainState{Hook: c.Hook, Priority: c.Priority, Tags: c.tags()}
		}
		for _, set := range t.Sets {
			ts.Sets[set.Name] = SetState{Kind: set.Kind(), Elements: set.Elements}
		}
		s.Tables[t.Name] = ts
	}
	return s
}

func TestPlanTouchesWhatDiffers(t *testing.T) {
	w := goldenWorlds(t)["full"]
	before := w.Compile()
	names := []string{HostTable, GuestTable}
	require.Empty(t, Plan(stateOf(before.Tables...), before.Tables, names...))

	web := w.Guests[0].Config
	web.Sets[0].Entries = append(web.Sets[0].Entries, Entry{CIDR: "192.0.2.11"})
	require.Equal(t, "delete elements gpve-guests v4-arp-tap10i0 (1)\nadd elements gpve-guests v4-arp-tap10i0 (1)\n"+
		"delete elements gpve-guests v4-ipfilter-tap10i0 (1)\nadd elements gpve-guests v4-ipfilter-tap10i0 (1)",
		Plan(stateOf(before.Tables...), w.Compile().Tables, names...).String())

	web.Sets[0].Entries = web.Sets[0].Entries[:1]
	web.Rules = append([]*Rule{{Type: "out", Action: "DROP", Dest: "10.0.0.1", Enable: true}}, web.Rules...)
	require.Equal(t, "set rules gpve-guests tap10i0-out (11)", Plan(stateOf(before.Tables...), w.Compile().Tables, names...).String())

	web.Rules = web.Rules[1:]
	w.Guests = w.Guests[:1]
	require.Equal(t, "delete elements gpve-guests ports-in (1)\ndelete elements gpve-guests ports-layer2 (1)\ndelete elements gpve-guests ports-out (1)",
		trimPlan(Plan(stateOf(before.Tables...), w.Compile().Tables, names...), DeleteElements))
}

// trimPlan keeps the steps of one kind.
func trimPlan(s Steps, c Change) string {
	var out Steps
	for _, step := range s {
		if step.Change == c {
			out = append(out, step)
		}
	}
	return out.String()
}

func TestPlanOfTables(t *testing.T) {
	w := goldenWorlds(t)["plain"]
	rs := w.Compile()
	require.Equal(t, "delete table gpve-host\ndelete table gpve-guests", Plan(stateOf(rs.Tables...), nil, HostTable, GuestTable).String())
	require.Equal(t, "add table gpve-host", Plan(&State{}, rs.Tables, HostTable)[0].String())
	have := stateOf(rs.Tables...)
	chain := have.Tables[HostTable].Chains["input"]
	chain.Tags = append(chain.Tags[1:], "") // somebody else's rule in the place of one of ours
	have.Tables[HostTable].Chains["input"] = chain
	require.Equal(t, SetRules, Plan(have, rs.Tables, HostTable, GuestTable)[0].Change)
	chain.Priority = 7
	have.Tables[HostTable].Chains["input"] = chain
	require.Equal(t, "delete table gpve-host\nadd table gpve-host", Plan(have, rs.Tables, HostTable, GuestTable)[:2].String())
}

func TestGuardTable(t *testing.T) {
	g := guardTable([]string{"tap1i0", "tap0i0"})
	require.Equal(t, []string{"tap0i0", "tap1i0"}, stateOf(g).closedPorts())
	require.Nil(t, (&State{}).closedPorts())
	require.Contains(t, (&Ruleset{Tables: []*Table{g}}).String(), "iifname @closed drop")
}

func TestNeeds(t *testing.T) {
	worlds := goldenWorlds(t)
	require.Equal(t, []Feature{FeatureConntrack, FeatureMeta, FeatureReject, FeatureLog, FeatureQueue}, worlds["full"].Compile().Needs())
	require.Empty(t, worlds["off"].Compile().Needs())
}

func TestKindsOfSets(t *testing.T) {
	s := &Set{Name: "x", Key: []Field{FieldSrc4}, Interval: true}
	require.Equal(t, s.Kind(), (&Set{Name: "y", Key: []Field{FieldSrc4}, Interval: true, Elements: []Element{{}}}).Kind())
	require.NotEqual(t, s.Kind(), (&Set{Key: []Field{FieldSrc4}}).Kind())
}

func TestRebuild(t *testing.T) {
	rs := goldenWorlds(t)["plain"].Compile()
	steps := rebuild(stateOf(rs.Tables...), rs.Tables, HostTable, GuestTable)
	require.Equal(t, "delete table gpve-host\ndelete table gpve-guests\nadd table gpve-host", steps[:3].String())
}

func TestSysctls(t *testing.T) {
	require.Equal(t, "262144", Sysctls(nil)["net/netfilter/nf_conntrack_max"])
	host := mustParse(t, "[OPTIONS]\nnf_conntrack_max: 300000\nnf_conntrack_tcp_timeout_established: 7875\n", Host, nil)
	require.Equal(t, map[string]string{"net/netfilter/nf_conntrack_max": "303104", "net/netfilter/nf_conntrack_tcp_timeout_established": "7875",
		"net/netfilter/nf_conntrack_tcp_timeout_syn_recv": "60"}, Sysctls(host))
}

// BenchmarkPlanNothing compares a large ruleset with itself.
func BenchmarkPlanNothing(b *testing.B) {
	rs := largeWorld(b, 1000, 100000).Compile()
	have := (&State{}).after(Plan(&State{}, rs.Tables, HostTable, GuestTable))
	for b.Loop() {
		if steps := Plan(have, rs.Tables, HostTable, GuestTable); len(steps) > 0 {
			b.Fatal(steps)
		}
	}
}

// TestAfter: what a plan makes of a state is what it was made for.
func TestAfter(t *testing.T) {
	have := &State{}
	for seed := range uint64(20) {
		want := newRandom(seed).world(t).Compile()
		steps := Plan(have, want.Tables, HostTable, GuestTable)
		have = have.after(steps)
		require.Empty(t, Plan(have, want.Tables, HostTable, GuestTable), "seed %d", seed)
	}
	have = have.after(Plan(have, nil, HostTable, GuestTable))
	require.Empty(t, have.Tables)
}
