package firewall

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// State is what the kernel holds of the package's tables.
type State struct {
	Tables map[string]*TableState // by name
}

// TableState is one table as it was read.
type TableState struct {
	Family  string
	Helpers []string // objects, sorted
	Chains  map[string]ChainState
	Sets    map[string]SetState
}

// ChainState is a chain as it was read: its rules by their tags. A rule that the package did not make has the tag "".
type ChainState struct {
	Hook     string
	Priority int
	Tags     []string

	made *Chain // that it was made from; nil if it was read
}

// SetState is a set as it was read.
type SetState struct {
	Kind     string    // what the set said of itself when it was made: see [Set.Kind]
	Elements []Element // sorted; nil for meters

	made *Set // that it was made from; nil if it was read
}

// Tag names the content of a statement. It is written beside the rule, so that what the kernel holds can be told.
func (s *Statement) Tag() string { return hash(s.String()) }

// Kind names all of a set but its elements. Sets of different kinds cannot take each other's place.
func (s *Set) Kind() string {
	return hash(fmt.Sprintf("%v %v %v %v %d", s.Key, s.Interval, s.Verdicts, s.Meter, s.MeterSeconds))
}

// Change is what a step does to the kernel.
type Change string

// The changes, in the order in which a table goes through them.
const (
	DeleteTable    Change = "delete table"
	AddTable       Change = "add table"
	AddHelper      Change = "add helper"
	AddChain       Change = "add chain"
	AddSet         Change = "add set"
	SetRules       Change = "set rules"
	DeleteElements Change = "delete elements"
	AddElements    Change = "add elements"
	DeleteChain    Change = "delete chain"
	DeleteSet      Change = "delete set"
	DeleteHelper   Change = "delete helper"
)

// Step is one change. Steps of one plan are one transaction.
type Step struct {
	Change   Change
	Table    *Table // for what is to be gone, its family and name alone
	Chain    *Chain
	Set      *Set
	Helper   string
	Elements []Element // of DeleteElements and AddElements
}

func (s Step) String() string {
	text := fmt.Sprintf("%s %s", s.Change, s.Table.Name)
	switch {
	case s.Chain != nil:
		text += " " + s.Chain.Name
		if s.Change == SetRules {
			text += fmt.Sprintf(" (%d)", len(s.Chain.Rules))
		}
	case s.Set != nil:
		text += " " + s.Set.Name
		if n := len(s.Elements); n > 0 {
			text += fmt.Sprintf(" (%d)", n)
		}
	case s.Helper != "":
		text += " " + s.Helper
	}
	return text
}

// Steps is a plan.
type Steps []Step

func (s Steps) String() string {
	lines := make([]string, len(s))
	for i, step := range s {
		lines[i] = step.String()
	}
	return strings.Join(lines, "\n")
}

// Plan returns what makes the named tables of have those of want. Tables with these names that want lacks are deleted; what
// is the same already is left alone.
func Plan(have *State, want []*Table, names ...string) Steps {
	var out Steps
	for _, name := range names {
		i := slices.IndexFunc(want, func(t *Table) bool { return t.Name == name })
		old, exists := have.Tables[name]
		if i < 0 {
			if exists {
				out = append(out, Step{Change: DeleteTable, Table: &Table{Family: old.Family, Name: name}})
			}
			continue
		}
		out = append(out, planTable(old, want[i])...)
	}
	return out
}

// rebuild plans tables as if nothing of them could be kept.
func rebuild(have *State, want []*Table, names ...string) Steps {
	var out Steps
	for _, name := range names {
		if old, ok := have.Tables[name]; ok {
			out = append(out, Step{Change: DeleteTable, Table: &Table{Family: old.Family, Name: name}})
		}
	}
	return append(out, Plan(&State{}, want, names...)...)
}

// planTable plans one table. Where a set or a base chain is of another kind than wanted, the table is made anew.
func planTable(old *TableState, want *Table) Steps {
	var out Steps
	if old == nil || !old.compatible(want) {
		if old != nil {
			out = append(out, Step{Change: DeleteTable, Table: &Table{Family: old.Family, Name: want.Name}})
		}
		out = append(out, Step{Change: AddTable, Table: want})
		old = &TableState{}
	}
	for _, h := range want.Helpers {
		if !slices.Contains(old.Helpers, h.Object()) {
			out = append(out, Step{Change: AddHelper, Table: want, Helper: h.Object()})
		}
	}
	for _, c := range want.Chains {
		if _, ok := old.Chains[c.Name]; !ok {
			out = append(out, Step{Change: AddChain, Table: want, Chain: c})
		}
	}
	for _, s := range want.Sets {
		if _, ok := old.Sets[s.Name]; !ok {
			out = append(out, Step{Change: AddSet, Table: want, Set: s, Elements: s.Elements})
		}
	}
	for _, c := range want.Chains {
		if have := old.Chains[c.Name]; have.made != c && !slices.Equal(have.Tags, c.tags()) {
			out = append(out, Step{Change: SetRules, Table: want, Chain: c})
		}
	}
	for _, s := range want.Sets {
		if have, ok := old.Sets[s.Name]; ok && have.made != s && !s.Meter {
			out = append(out, planElements(have.Elements, want, s)...)
		}
	}
	return append(out, old.leftovers(want)...)
}

func (c *Chain) tags() []string {
	var tags []string
	for i := range c.Rules {
		tags = append(tags, c.Rules[i].Tag())
	}
	return tags
}

func (t *TableState) compatible(want *Table) bool {
	if t.Family != want.Family {
		return false
	}
	for _, c := range want.Chains {
		if have, ok := t.Chains[c.Name]; ok && (have.Hook != c.Hook || have.Priority != c.Priority) {
			return false
		}
	}
	for _, s := range want.Sets {
		if have, ok := t.Sets[s.Name]; ok && have.made != s && have.Kind != s.Kind() {
			return false
		}
	}
	return true
}

// planElements takes out what is not wanted before it puts in what is: elements must not overlap in between. Both lists are
// sorted.
func planElements(have []Element, t *Table, s *Set) Steps {
	var gone, fresh []Element
	want := s.Elements
	for len(have) > 0 || len(want) > 0 {
		order := 0
		switch {
		case len(have) == 0:
			order = 1
		case len(want) == 0:
			order = -1
		default:
			order = compareKeys(have[0].Key, want[0].Key)
		}
		if order == 0 && have[0].Verdict == want[0].Verdict {
			have, want = have[1:], want[1:]
			continue
		}
		if order <= 0 {
			gone, have = append(gone, have[0]), have[1:]
		}
		if order >= 0 {
			fresh, want = append(fresh, want[0]), want[1:]
		}
	}
	var out Steps
	if gone != nil {
		out = append(out, Step{Change: DeleteElements, Table: t, Set: s, Elements: gone})
	}
	if fresh != nil {
		out = append(out, Step{Change: AddElements, Table: t, Set: s, Elements: fresh})
	}
	return out
}

// leftovers deletes what nothing refers to any more.
func (t *TableState) leftovers(want *Table) Steps {
	bare := &Table{Family: want.Family, Name: want.Name}
	chains, sets := make(map[string]bool, len(want.Chains)), make(map[string]bool, len(want.Sets))
	for _, c := range want.Chains {
		chains[c.Name] = true
	}
	for _, s := range want.Sets {
		sets[s.Name] = true
	}
	var out Steps
	for _, name := range sortedKeys(t.Chains) {
		if !chains[name] { // emptied first: chains call each other
			out = append(out, Step{Change: SetRules, Table: bare, Chain: &Chain{Name: name}})
		}
	}
	for _, name := range sortedKeys(t.Sets) {
		if !sets[name] {
			out = append(out, Step{Change: DeleteSet, Table: bare, Set: &Set{Name: name}})
		}
	}
	for _, name := range sortedKeys(t.Chains) {
		if !chains[name] {
			out = append(out, Step{Change: DeleteChain, Table: bare, Chain: &Chain{Name: name}})
		}
	}
	for _, name := range t.Helpers {
		if !slices.ContainsFunc(want.Helpers, func(h Helper) bool { return h.Object() == name }) {
			out = append(out, Step{Change: DeleteHelper, Table: bare, Helper: name})
		}
	}
	return out
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// after is the state when steps of a plan for s have been carried out. s stays as it is.
func (s *State) after(steps Steps) *State {
	out := &State{Tables: maps.Clone(s.Tables)}
	if out.Tables == nil {
		out.Tables = map[string]*TableState{}
	}
	fresh := map[string]bool{}
	for _, step := range steps {
		name := step.Table.Name
		switch step.Change {
		case DeleteTable:
			delete(out.Tables, name)
			continue
		case AddTable:
			out.Tables[name], fresh[name] = &TableState{Family: step.Table.Family, Chains: map[string]ChainState{}, Sets: map[string]SetState{}}, true
			continue
		}
		if !fresh[name] {
			old := out.Tables[name]
			out.Tables[name], fresh[name] = &TableState{Family: old.Family, Helpers: slices.Clone(old.Helpers), Chains: maps.Clone(old.Chains), Sets: maps.Clone(old.Sets)}, true
		}
		out.Tables[name].take(step)
	}
	return out
}

// take carries a step out.
func (t *TableState) take(s Step) {
	switch s.Change {
	case AddChain:
		t.Chains[s.Chain.Name] = ChainState{Hook: s.Chain.Hook, Priority: s.Chain.Priority}
	case SetRules:
		ch := t.Chains[s.Chain.Name]
		ch.Tags, ch.made = s.Chain.tags(), s.Chain
		t.Chains[s.Chain.Name] = ch
	case DeleteChain:
		delete(t.Chains, s.Chain.Name)
	case AddSet, AddElements, DeleteElements:
		state := SetState{Kind: s.Set.Kind(), made: s.Set}
		if !s.Set.Meter {
			state.Elements = s.Set.Elements
		}
		t.Sets[s.Set.Name] = state
	case DeleteSet:
		delete(t.Sets, s.Set.Name)
	case AddHelper:
		t.Helpers = append(t.Helpers, s.Helper)
		slices.Sort(t.Helpers)
	case DeleteHelper:
		t.Helpers = slices.DeleteFunc(t.Helpers, func(name string) bool { return name == s.Helper })
	}
}

// recognise notes that s holds what tables say, so that the next plan need not compare their content.
func (s *State) recognise(tables []*Table) {
	for _, t := range tables {
		have := s.Tables[t.Name]
		for _, c := range t.Chains {
			if state := have.Chains[c.Name]; state.made != c {
				state.made = c
				have.Chains[c.Name] = state
			}
		}
		for _, set := range t.Sets {
			if state := have.Sets[set.Name]; state.made != set {
				state.made = set
				have.Sets[set.Name] = state
			}
		}
	}
}
