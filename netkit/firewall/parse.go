package firewall

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/turtacn/go-proxmox/internal/pveconf"
)

// MaxFileBytes bounds a firewall file, as the cluster file system does.
const MaxFileBytes = 1 << 20 * 16

const (
	maxGroupName = 18
	maxSetName   = 64 // of sets and aliases
)

// Parse reads a firewall file of level l. scope is what its rules may name besides the file's own aliases and sets; for
// cluster.fw it may be nil. No line stops the file: what is not understood is left out with a warning, and rules and entries
// that break a rule are kept with their faults. The only error is a file of more than [MaxFileBytes].
func Parse(text string, l Level, scope *Scope) (*Config, []Warning, error) {
	if len(text) > MaxFileBytes {
		return nil, nil, fmt.Errorf("firewall: %s file of %d bytes, at most %d are read", l, len(text), MaxFileBytes)
	}
	p := parser{c: NewConfig(l), aliases: map[string]int{}}
	for line := range strings.Lines(text) {
		p.line++
		p.read(trim(line))
	}
	p.finish(scope)
	return p.c, p.warnings, nil
}

// parser reads lines. Rules and entries are checked at the end, so that the order of the sections does not matter.
type parser struct {
	c        *Config
	line     int
	warnings []Warning

	section  string // "", options, aliases, ipset, rules, group
	set      *IPSet
	group    *Group
	aliases  map[string]int   // index by lower-case name
	ruleLine map[*Rule]int    // where rules came from
	setLines map[*IPSet][]int // where entries came from
}

func (p *parser) warn(format string, args ...any) {
	p.warnings = append(p.warnings, Warning{p.line, fmt.Sprintf(format, args...)})
}

func (p *parser) read(line string) {
	if line == "" || line[0] == '#' {
		return
	}
	if line[0] == '[' && p.header(line) {
		return
	}
	switch p.section {
	case "options":
		p.option(line)
	case "aliases":
		p.alias(line)
	case "ipset":
		p.entry(line)
	case "rules", "group":
		p.rule(line)
	default:
		p.warn("skip line - no section")
	}
}

// knows tells whether files of a level have a section.
func (l Level) knows(section string) bool {
	switch section {
	case "options", "rules":
		return true
	case "aliases", "ipset":
		return l == Cluster || l == Guest
	case "group":
		return l == Cluster
	}
	return false
}

// header reads the head of a section; false is a line that is none.
func (p *parser) header(line string) bool {
	head, comment, hasComment := strings.Cut(line, "#")
	head = trim(head)
	if !strings.HasSuffix(head, "]") {
		return false
	}
	words := strings.FieldsFunc(head[1:len(head)-1], func(c rune) bool { return strings.ContainsRune(blanks, c) })
	if len(words) == 0 || len(words) > 2 || !strings.HasPrefix(head, "["+words[0]) || !strings.HasSuffix(head, words[len(words)-1]+"]") {
		return false
	}
	kind := lower(words[0])
	named := kind == "ipset" || kind == "group"
	if !p.c.Level.knows(kind) || named != (len(words) == 2) || hasComment && !named {
		return false
	}
	p.section = kind
	if !named {
		return true
	}
	name := lower(words[1])
	comment = trim(comment)
	if kind == "ipset" {
		p.openSet(name, comment)
	} else {
		p.openGroup(name, comment)
	}
	return true
}

// opens reports whether a section of a kind may have that name; without it, what follows belongs to none.
func (p *parser) opens(kind, name string, limit int) bool {
	switch {
	case len(name) > limit:
		p.warn("%s name too long", kind)
	case !isName(name):
		p.warn("invalid %s name '%s'", kind, name)
	default:
		return true
	}
	p.section = ""
	return false
}

func (p *parser) openSet(name, comment string) {
	if !p.opens("ipset", name, maxSetName) {
		return
	}
	set, ok := p.c.Set(name)
	if !ok {
		set = &IPSet{Name: name}
		p.c.Sets = append(p.c.Sets, set)
	}
	set.Comment, set.Entries = comment, nil
	delete(p.setLines, set)
	p.set = set
}

func (p *parser) openGroup(name, comment string) {
	if !p.opens("security group", name, maxGroupName) {
		return
	}
	group, ok := p.c.Group(name)
	if !ok {
		group = &Group{Name: name}
		p.c.Groups = append(p.c.Groups, group)
	}
	group.Comment, group.Rules = comment, nil
	p.group = group
}

func (p *parser) option(line string) {
	key, value, ok := strings.Cut(line, ":")
	key, value = lower(key), trim(value)
	if !ok || optionKindOf(p.c.Level, key) == noOption || strings.ContainsAny(value, blanks) {
		p.warn("can't parse option '%s'", line)
		return
	}
	norm, text, ok := normalOption(p.c.Level, key, value)
	switch {
	case text != "":
		p.warn("%s", text)
	case !ok:
		p.warn("can't parse option '%s'", line)
	default:
		p.c.Options[key] = norm
	}
}

func (p *parser) alias(line string) {
	body, comment := cutComment(line)
	i := max(strings.IndexAny(body, blanks), 0)
	name, addr := body[:i], body[min(i+1, len(body)):]
	if addr == "" || strings.ContainsAny(addr, blanks) || !isName(name) || len(name) > maxSetName {
		p.warn("can't parse alias '%s'", line)
		return
	}
	if err := pveconf.CheckFormat("IPorCIDR", addr); err != nil {
		p.warn("%s", err.Error())
		return
	}
	a := Alias{Name: name, CIDR: cutHostLength(addr), Comment: comment}
	key := lower(name)
	if i, ok := p.aliases[key]; ok {
		p.c.Aliases[i] = a
		return
	}
	p.aliases[key] = len(p.c.Aliases)
	p.c.Aliases = append(p.c.Aliases, a)
}

func (p *parser) entry(line string) {
	body, comment := cutComment(line)
	body, noMatch := strings.CutPrefix(body, "!")
	body = strings.TrimLeft(body, blanks)
	if body == "" || strings.ContainsAny(body, blanks) {
		p.warn("can't parse ipset entry '%s'", line)
		return
	}
	if p.setLines == nil {
		p.setLines = map[*IPSet][]int{}
	}
	p.setLines[p.set] = append(p.setLines[p.set], p.line)
	p.set.Entries = append(p.set.Entries, Entry{CIDR: cutHostLength(body), NoMatch: noMatch, Comment: comment})
}

// blanks separate words. Letters are lowered and raised in ASCII only: other alphabets have pairs that do not come back.
const blanks = " \t\r\v\f\n"

func trim(s string) string { return strings.Trim(s, blanks) }

func lower(s string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'A' && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return c
	}, s)
}

// cutComment splits a line at its first #.
func cutComment(line string) (body, comment string) {
	body, comment, _ = strings.Cut(line, "#")
	return strings.TrimRight(body, blanks), trim(comment)
}

// cutHostLength takes the length off an address that has all bits; host bits of networks stay.
func cutHostLength(v string) string {
	if p, err := netip.ParsePrefix(v); err == nil && p.IsSingleIP() {
		return strings.TrimSuffix(strings.TrimSuffix(v, "/32"), "/128")
	}
	return v
}

// isName tells whether v may name a group, set or alias.
func isName(v string) bool {
	for i := range len(v) {
		c := v[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || !(c >= '0' && c <= '9' || c == '_' || c == '-')) {
			return false
		}
	}
	return len(v) >= 2
}
