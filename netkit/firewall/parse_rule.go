package firewall

import (
	"maps"
	"slices"
	"strings"
)

// rule reads a line of a list of rules.
func (p *parser) rule(line string) {
	r, err := parseRule(line)
	if err != "" {
		p.warn("%s", err)
		return
	}
	if p.ruleLine == nil {
		p.ruleLine = map[*Rule]int{}
	}
	p.ruleLine[r] = p.line
	if p.section == "group" {
		p.group.Rules = append(p.group.Rules, r)
	} else {
		p.c.Rules = append(p.c.Rules, r)
	}
}

// parseRule reads `[|]TYPE ACTION [options] [# comment]`. The second result is the warning.
func parseRule(line string) (*Rule, string) {
	rest, comment := cutComment(line)
	r := &Rule{Comment: comment, Enable: true}
	rest, disabled := strings.CutPrefix(rest, "|")
	r.Enable = !disabled
	kind, rest0, _ := cutWord(rest)
	action, rest1, ok := cutWord(rest0)
	if kind == "" || !ok {
		return nil, "unable to parse rule: " + rest
	}
	r.Type, r.Action, rest = lower(kind), action, rest1
	if r.Type != "group" {
		r.Macro, r.Action = splitMacro(action)
	}
	for rest != "" {
		dst, after := r.parameter(rest)
		if dst == nil {
			return nil, "unable to parse rule parameters: " + rest
		}
		word, left, ok := cutWord(after)
		if !ok || dst == &r.Log && !isLogLevel(word) {
			return nil, "unable to parse rule parameters: " + rest
		}
		*dst, rest = word, left
	}
	return r, ""
}

// splitMacro reads `MACRO(ACTION)`.
func splitMacro(v string) (macro, action string) {
	for _, a := range [...]string{"ACCEPT", "DROP", "REJECT"} {
		if name, ok := strings.CutSuffix(v, "("+a+")"); ok && name != "" {
			return name, a
		}
	}
	return "", v
}

// cutWord cuts a word and the blanks behind it off s. Without a word ok is false.
func cutWord(s string) (word, rest string, ok bool) {
	i := strings.IndexAny(s, blanks)
	if i < 0 {
		return s, "", s != ""
	}
	return s[:i], strings.TrimLeft(s[i:], blanks), i > 0
}

// parameter finds where the value of the option that rest begins with goes, and the text behind the one blank.
func (r *Rule) parameter(rest string) (dst *string, after string) {
	name, after, ok := strings.Cut(rest, " ")
	if !ok {
		return nil, ""
	}
	if name == "-i" {
		return &r.Iface, after
	}
	if r.Type == "group" {
		return nil, ""
	}
	switch name {
	case "-p", "-proto", "--proto":
		return &r.Proto, after
	case "-source", "--source":
		return &r.Source, after
	case "-dest", "--dest":
		return &r.Dest, after
	case "-dport", "--dport":
		return &r.Dport, after
	case "-sport", "--sport":
		return &r.Sport, after
	case "-icmp-type", "--icmp-type":
		return &r.ICMPType, after
	case "-log", "--log":
		return &r.Log, after
	}
	return nil, ""
}

// finish checks what was read.
func (p *parser) finish(scope *Scope) {
	s := scope.within(p.c)
	for _, set := range p.c.Sets {
		lines := p.setLines[set]
		s.checkEntries(set)
		for i, e := range set.Entries {
			if e.Fault != "" {
				p.line = lines[i]
				p.warn("%s", e.Fault)
			}
		}
	}
	p.c.Rules = p.checkRules(s, p.c.Rules, false)
	for _, g := range p.c.Groups {
		g.Rules = p.checkRules(s.groups(), g.Rules, true)
	}
	slices.SortStableFunc(p.warnings, func(a, b Warning) int { return a.Line - b.Line })
}

// checkRules notes the faults of rules and drops those that mix families by an alias.
func (p *parser) checkRules(s *Scope, rules []*Rule, inGroup bool) []*Rule {
	var kept []*Rule
	for _, r := range rules {
		p.line = p.ruleLine[r]
		if err := s.Check(r, inGroup); err != nil && err.fatal {
			p.warn("%s", err.Text)
			continue
		}
		if len(r.Faults) > 0 {
			p.warn("errors in rule parameters: %s", ruleLine(r, inGroup))
			for _, key := range slices.Sorted(maps.Keys(r.Faults)) {
				p.warn("  %s: %s", key, r.Faults[key])
			}
		}
		kept = append(kept, r)
	}
	return kept
}
