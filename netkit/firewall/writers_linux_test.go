package firewall

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/netkit"
)

// twoRulesets are two states of a node that differ in rules and in a set.
func twoRulesets(tb testing.TB) [2]*Ruleset {
	var out [2]*Ruleset
	for i := range out {
		w := largeWorld(tb, 0, 500+100*i)
		w.Cluster.Rules = append(w.Cluster.Rules, &Rule{Type: "in", Action: "ACCEPT", Enable: true, Proto: "tcp", Dport: fmt.Sprint(1000 + i)})
		out[i] = onlyHost(w.Compile())
	}
	return out
}

// oneOfTwo tells which of the two the kernel holds, -1 for neither.
func oneOfTwo(have *State, rulesets [2]*Ruleset) int {
	for i, rs := range rulesets {
		if len(have.Tables) == 1 && len(Plan(have, rs.Tables, HostTable, GuestTable)) == 0 {
			return i
		}
	}
	return -1
}

// TestThreat49_KilledWhileItApplies kills a program that changes the rules all the time: the kernel holds the old rules or the
// new ones, never none and never a part.
func TestThreat49_KilledWhileItApplies(t *testing.T) {
	const variable = "GPVE_TEST_APPLY_IN"
	if path := os.Getenv(variable); path != "" { // the program that is killed
		ns, err := netkit.OpenNS(path)
		require.NoError(t, err)
		c, err := Dial(t.Context(), ns)
		require.NoError(t, err)
		for n, two := 0, twoRulesets(t); ; n++ {
			_, err := c.Apply(t.Context(), two[n%2])
			require.NoError(t, err)
			fmt.Println("applied")
		}
	}
	c, ns := dialNew(t)
	two := twoRulesets(t)
	_, err := c.Apply(t.Context(), two[0])
	require.NoError(t, err)
	begin := time.Now()
	for _, n := range []int{1, 0} {
		_, err := c.Apply(t.Context(), two[n])
		require.NoError(t, err)
	}
	const rounds = 15
	each := time.Since(begin) * 2 / rounds // kills all over two changes, however fast the machine is
	seen := map[int]int{}
	for round := range rounds {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
		cmd.Env = append(os.Environ(), variable+"="+ns.Path())
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		_, err = out.Read(make([]byte, 64)) // it is at work
		require.NoError(t, err)
		timer := time.NewTimer(time.Duration(round) * each)
		<-timer.C
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait()
		fresh, err := Dial(t.Context(), ns)
		require.NoError(t, err)
		have, err := fresh.Read(t.Context())
		require.NoError(t, err)
		n := oneOfTwo(have, two)
		require.GreaterOrEqual(t, n, 0, "round %d: neither the old rules nor the new ones", round)
		seen[n]++
		require.NoError(t, fresh.Close())
	}
	require.Len(t, seen, 2, "the kills found the first rules and the second ones: %v", seen)
}

// TestTwoWriters: two programs that want different rules take turns, and nobody ever sees a mixture.
func TestTwoWriters(t *testing.T) {
	first, ns := dialNew(t)
	second, err := Dial(t.Context(), ns)
	require.NoError(t, err)
	defer second.Close()
	looker, err := Dial(t.Context(), ns)
	require.NoError(t, err)
	defer looker.Close()
	two := twoRulesets(t)
	_, err = first.Apply(t.Context(), two[0])
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	var writers, reader sync.WaitGroup
	for i, c := range []*Conn{first, second} {
		writers.Go(func() {
			for range 30 {
				if _, err := c.Apply(ctx, two[i]); err != nil && !errors.Is(err, ErrUnverified) && !errors.Is(err, netkit.ErrInterrupted) {
					t.Error(err)
				}
			}
		})
	}
	looks := 0
	reader.Go(func() {
		for ctx.Err() == nil {
			// A list that is made of two moments is no state; current reads again then.
			looker.mu.Lock()
			have, err := looker.current(ctx)
			looker.mu.Unlock()
			switch {
			case errors.Is(err, netkit.ErrInterrupted), errors.Is(err, context.Canceled):
			case err != nil:
				t.Error(err)
			case oneOfTwo(have, two) < 0:
				t.Error("neither the one nor the other")
			default:
				looks++
			}
		}
	})
	writers.Wait()
	stop()
	reader.Wait()
	require.Positive(t, looks)
	_, err = first.Apply(t.Context(), two[0])
	require.NoError(t, err)
	have, err := looker.Read(t.Context())
	require.NoError(t, err)
	require.Zero(t, oneOfTwo(have, two))
}

// TestThreat49_LostElementsAreNoticed takes a part of a large set away, as a message that is lost would.
func TestThreat49_LostElementsAreNoticed(t *testing.T) {
	c, _ := dialNew(t)
	rs := onlyHost(largeWorld(t, 0, 6000).Compile())
	_, err := c.Apply(t.Context(), rs)
	require.NoError(t, err)
	set, ok := rs.Tables[0].Set("v4-dc-many")
	require.True(t, ok)
	step := Step{Change: AddSet, Table: rs.Tables[0], Set: set, Elements: set.Elements}
	require.NoError(t, c.verify(t.Context(), Steps{step}))
	lost := Step{Change: DeleteElements, Table: rs.Tables[0], Set: set, Elements: set.Elements[2000:2300]}
	gen, err := c.generation(t.Context())
	require.NoError(t, err)
	require.NoError(t, c.commit(t.Context(), Steps{lost}, gen))
	require.ErrorIs(t, c.verify(t.Context(), Steps{step}), ErrUnverified)
	rest := *set
	rest.Elements = slices.Concat(set.Elements[1000:2000], set.Elements[2300:])
	step.Change, step.Set, step.Elements = DeleteElements, &rest, set.Elements[2000:2300]
	require.NoError(t, c.verify(t.Context(), Steps{step}))
	step.Elements = set.Elements[:1000]
	require.ErrorIs(t, c.verify(t.Context(), Steps{step}), ErrUnverified)
}

// TestLargeMapsChangeInPlace: the kernel is told of the elements that differ, and holds what was wanted afterwards.
func TestLargeMapsChangeInPlace(t *testing.T) {
	c, _ := dialNew(t)
	host := NewConfig(Host)
	for n := range 6000 {
		host.Rules = append(host.Rules, nodeRule(n))
	}
	w := largeWorld(t, 0, 6000)
	w.Host = host
	var compiler Compiler
	apply := func(edit func(c *Config)) Steps {
		w.Host = w.Host.Clone()
		edit(w.Host)
		want := onlyHost(compiler.Compile(w))
		report, err := c.Apply(t.Context(), want)
		require.NoError(t, err)
		have, err := c.Read(t.Context())
		require.NoError(t, err)
		require.Empty(t, Plan(have, want.Tables, HostTable))
		return report.Steps
	}
	apply(func(*Config) {})
	for name, edit := range map[string]func(c *Config){
		"another verdict": func(c *Config) {
			c.Rules[3000].Action = map[string]string{"ACCEPT": "DROP", "DROP": "ACCEPT"}[c.Rules[3000].Action]
		},
		"a wider range": func(c *Config) { c.Rules[77].Source = strings.Replace(c.Rules[77].Source, "/28", "/27", 1) },
		"another port":  func(c *Config) { c.Rules[5000].Dport = "65000" },
		"one more":      func(c *Config) { c.Rules = append(c.Rules, nodeRule(6000)) },
		"one less":      func(c *Config) { c.Rules = c.Rules[1:] },
	} {
		for _, s := range apply(edit) {
			require.Contains(t, []Change{AddElements, DeleteElements}, s.Change, name)
			require.Len(t, s.Elements, 1, name)
		}
	}
	// The same of a set of the cluster.
	w.Cluster = w.Cluster.Clone()
	many, ok := w.Cluster.Set("many")
	require.True(t, ok)
	many.Entries[4000].CIDR = "203.0.113.0/30"
	steps := apply(func(*Config) {})
	require.Equal(t, "delete elements gpve-host v4-dc-many (1)\nadd elements gpve-host v4-dc-many (1)", steps.String())
}

// TestGuardLeavesNothingToDo: a second Guard, and a Release of what is not closed, are no transactions.
func TestGuardLeavesNothingToDo(t *testing.T) {
	c, _ := dialNew(t)
	require.NoError(t, c.Release(t.Context(), "tap1i0"))
	foreign, err := c.Foreign(t.Context())
	require.NoError(t, err)
	require.False(t, foreign, "it has been looked at")
	require.NoError(t, c.Guard(t.Context(), "tap1i0"))
	gen, err := c.generation(t.Context())
	require.NoError(t, err)
	require.NoError(t, c.Guard(t.Context(), "tap1i0"))
	require.NoError(t, c.Release(t.Context(), "tap2i0"))
	again, err := c.generation(t.Context())
	require.NoError(t, err)
	require.Equal(t, gen, again)
	closed, err := c.Closed(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"tap1i0"}, closed)
}

// TestNothingIsLeft: a firewall that is off has no tables.
func TestNothingIsLeft(t *testing.T) {
	c, _ := dialNew(t)
	require.NoError(t, c.Guard(t.Context(), "tap1i0"))
	_, err := c.Apply(t.Context(), &Ruleset{})
	require.NoError(t, err)
	closed, err := c.Closed(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"tap1i0"}, closed, "nothing is known of it")
	report, err := c.Apply(t.Context(), &Ruleset{Ports: []Port{{Name: "tap1i0"}}})
	require.NoError(t, err)
	require.Equal(t, []string{"tap1i0"}, report.Opened)
	have, err := c.Read(t.Context())
	require.NoError(t, err)
	require.Empty(t, have.Tables)
}
