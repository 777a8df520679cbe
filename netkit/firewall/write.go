package firewall

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ErrUnwritable is a value that would not come back from the file as it went in: a line break, a blank or a # where the
// grammar has no place for it.
var ErrUnwritable = errors.New("value cannot be written to a firewall file")

// Text writes the file of c in Proxmox's order and spelling; the same configuration gives the same bytes. An empty
// configuration gives an empty text: such a file is not kept. Errors: [ErrUnwritable].
func (c *Config) Text() (string, error) {
	var w writer
	if len(c.Options) > 0 {
		w.head("[OPTIONS]")
		for _, key := range slices.Sorted(maps.Keys(c.Options)) {
			value := c.Options[key]
			if norm, _, ok := normalOption(c.Level, key, value); !ok || norm != value {
				w.fail("option "+key, value)
			}
			w.line(trim(key+": "+w.word("option "+key, value)), "")
		}
		w.end()
	}
	if len(c.Aliases) > 0 {
		w.head("[ALIASES]")
		byName := slices.SortedFunc(slices.Values(c.Aliases), func(a, b Alias) int { return cmp.Compare(lower(a.Name), lower(b.Name)) })
		for _, a := range byName {
			w.line(w.name("alias", a.Name)+" "+w.word("address of alias "+a.Name, a.CIDR), a.Comment)
		}
		w.end()
	}
	for _, s := range slices.SortedFunc(slices.Values(c.Sets), func(a, b *IPSet) int { return cmp.Compare(a.Name, b.Name) }) {
		w.section("[IPSET "+w.name("ipset", s.Name)+"]", s.Comment)
		w.entries(s)
		w.end()
	}
	if len(c.Rules) > 0 {
		w.head("[RULES]")
		w.rules(c.Rules, false)
		w.end()
	}
	for _, g := range slices.SortedFunc(slices.Values(c.Groups), func(a, b *Group) int { return cmp.Compare(a.Name, b.Name) }) {
		w.section("[group "+w.name("group", g.Name)+"]", g.Comment)
		w.rules(g.Rules, true)
		w.end()
	}
	return w.b.String(), w.err
}

type writer struct {
	b   strings.Builder
	err error // the first
}

func (w *writer) fail(what, value string) {
	if w.err == nil {
		w.err = fmt.Errorf("firewall: %s: %q: %w", what, value, ErrUnwritable)
	}
}

// word checks a value that the grammar takes for one word.
func (w *writer) word(what, value string) string {
	if strings.ContainsAny(value, blanks+"#") {
		w.fail(what, value)
	}
	return value
}

func (w *writer) name(what, value string) string {
	if !isName(value) {
		w.fail("name of "+what, value)
	}
	return value
}

func (w *writer) section(head, comment string) {
	w.line(head, comment)
	w.b.WriteByte('\n')
}

func (w *writer) head(head string) { w.section(head, "") }
func (w *writer) end()             { w.b.WriteByte('\n') }

func (w *writer) line(body, comment string) {
	w.b.WriteString(body)
	if comment = trim(comment); comment != "" {
		if strings.ContainsRune(comment, '\n') {
			w.fail("comment", comment)
		}
		w.b.WriteString(" # ")
		w.b.WriteString(comment)
	}
	w.b.WriteByte('\n')
}

// entries writes the lines of a set sorted as text, without doubles.
func (w *writer) entries(s *IPSet) {
	type row struct{ text, comment string }
	rows := make([]row, 0, len(s.Entries))
	for _, e := range s.Entries {
		text := w.word("entry of ipset "+s.Name, e.CIDR)
		if text == "" {
			w.fail("entry of ipset "+s.Name, text)
		}
		if e.NoMatch {
			text = "!" + text
		}
		rows = append(rows, row{text, e.Comment})
	}
	slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(a.text, b.text) })
	rows = slices.CompactFunc(rows, func(a, b row) bool { return a.text == b.text })
	for _, r := range rows {
		w.line(r.text, r.comment)
	}
}

func (w *writer) rules(rules []*Rule, inGroup bool) {
	for _, r := range rules {
		text := ruleLine(r, inGroup)
		if back, fault := parseRule(text); fault != "" || !back.sameText(r, inGroup) {
			w.fail("rule", text)
		}
		w.line(text, r.Comment)
	}
}

// ruleLine prints a rule without its comment. Rules of groups have no interface in the file.
func ruleLine(r *Rule, inGroup bool) string {
	var b strings.Builder
	if !r.Enable {
		b.WriteByte('|')
	}
	b.WriteString(upper(r.Type))
	b.WriteByte(' ')
	if r.Macro != "" {
		b.WriteString(r.Macro + "(" + r.Action + ")")
	} else {
		b.WriteString(r.Action)
	}
	put := func(option, value string) {
		if value != "" {
			b.WriteString(" " + option + " " + value)
		}
	}
	if !inGroup {
		put("-i", r.Iface)
	}
	if r.Type == "group" {
		return b.String()
	}
	put("-source", r.Source)
	put("-dest", r.Dest)
	put("-p", r.Proto)
	put("-dport", r.Dport)
	put("-sport", r.Sport)
	put("-log", r.Log)
	put("-icmp-type", r.ICMPType)
	return b.String()
}

// sameText tells whether r reads as o was written.
func (r *Rule) sameText(o *Rule, inGroup bool) bool {
	return r.Type == o.Type && r.Action == o.Action && r.Macro == o.Macro && (inGroup || r.Iface == o.Iface) && r.Source == o.Source &&
		r.Dest == o.Dest && r.Proto == o.Proto && r.Dport == o.Dport && r.Sport == o.Sport && r.ICMPType == o.ICMPType &&
		r.Log == o.Log && r.Enable == o.Enable
}

func upper(s string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' {
			return c - 'a' + 'A'
		}
		return c
	}, s)
}
