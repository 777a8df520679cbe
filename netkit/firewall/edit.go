package firewall

import (
	"errors"
	"slices"
)

// ErrNoRule is a position without a rule.
var ErrNoRule = errors.New("no rule at position")

// InsertRule puts a rule at the head of a list, where the API puts new ones.
func InsertRule(rules []*Rule, r *Rule) []*Rule { return slices.Insert(rules, 0, r) }

// MoveRule puts the rule at position from before the rule that is at position to now, or at the end. The list given is not
// changed.
func MoveRule(rules []*Rule, from, to int) ([]*Rule, error) {
	if from < 0 || from >= len(rules) || to < 0 {
		return nil, ErrNoRule
	}
	to = min(to, len(rules))
	out := make([]*Rule, 0, len(rules))
	for i, r := range rules {
		if i == to {
			out = append(out, rules[from])
		}
		if i != from {
			out = append(out, r)
		}
	}
	if to == len(rules) {
		out = append(out, rules[from])
	}
	return out, nil
}

// DeleteRule returns the list without the rule at a position.
func DeleteRule(rules []*Rule, pos int) ([]*Rule, error) {
	if pos < 0 || pos >= len(rules) {
		return nil, ErrNoRule
	}
	return slices.Concat(rules[:pos], rules[pos+1:]), nil
}

// RenameGroup gives the calls of a group in rules its new name, and reports whether there were any.
func RenameGroup(rules []*Rule, from, to string) bool {
	found := false
	for _, r := range rules {
		if r.Type == "group" && r.Action == from {
			r.Action, found = to, true
		}
	}
	return found
}

// Clone returns a deep copy of c: what becomes of the file of a guest that is cloned.
func (c *Config) Clone() *Config {
	out := &Config{Level: c.Level, Options: map[string]string{}, Aliases: slices.Clone(c.Aliases), Rules: cloneRules(c.Rules)}
	for k, v := range c.Options {
		out.Options[k] = v
	}
	for _, s := range c.Sets {
		out.Sets = append(out.Sets, &IPSet{Name: s.Name, Comment: s.Comment, Entries: slices.Clone(s.Entries)})
	}
	for _, g := range c.Groups {
		out.Groups = append(out.Groups, &Group{Name: g.Name, Comment: g.Comment, Rules: cloneRules(g.Rules)})
	}
	return out
}

func cloneRules(rules []*Rule) []*Rule {
	var out []*Rule
	for _, r := range rules {
		c := *r
		c.Faults = nil
		for k, v := range r.Faults {
			if c.Faults == nil {
				c.Faults = map[string]string{}
			}
			c.Faults[k] = v
		}
		out = append(out, &c)
	}
	return out
}
