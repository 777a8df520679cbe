package interfaces

import (
	"slices"
	"strings"
)

// firstPriority is the place of the first line that counts; a loopback interface that the file lacks has the one before.
const firstPriority = 2

// Parse reads a file and completes it with what the kernel knows. It never fails: what it does not understand is kept as
// global lines or as options of the interface.
func Parse(text string, live Live) *File {
	p := &parser{file: &File{Ifaces: map[string]Entry{}}, next: firstPriority}
	for line := range strings.Lines(text) {
		p.line(strings.TrimSuffix(line, "\n"))
	}
	p.endStanza()
	p.file.dropAllowPorts()
	p.file.complete(live)
	return p.file
}

// parser reads line by line. entry is the interface of the open stanza, nil outside.
type parser struct {
	file *File
	next int // priority

	entry    Entry
	family   Family
	comments string
	options  []string
}

func (p *parser) priority() int {
	p.next++
	return p.next - 1
}

func (p *parser) iface(name string) Entry {
	e := p.file.Ifaces[name]
	if e == nil {
		e = Entry{}
		p.file.Ifaces[name] = e
	}
	return e
}

func (p *parser) line(line string) {
	if p.entry != nil {
		line = strings.TrimRight(line, " \t\r\v\f")
		if p.inside(line) {
			return
		}
		p.endStanza()
	}
	p.outside(line)
}

// outside reads a line that belongs to no stanza.
func (p *parser) outside(line string) {
	f := strings.Fields(line)
	switch {
	case len(f) == 0 || f[0][0] == '#' || !strings.ContainsFunc(line, isWord):
	case len(f) > 1 && slices.Contains([]string{"auto", "allow-auto", "allow-ovs", "allow-hotplug"}, f[0]):
		for _, name := range f[1:] {
			p.iface(name)["autostart"] = 1
		}
	case f[0] == "iface" && len(f) == 2:
		p.open(f[1], "", "")
	case f[0] == "iface" && len(f) == 4 && (f[2] == string(Inet) || f[2] == string(Inet6)):
		p.open(f[1], Family(f[2]), f[3])
	default:
		p.file.Global = append(p.file.Global, Line{p.priority(), line})
	}
}

func isWord(r rune) bool {
	return r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}

// open begins a stanza.
func (p *parser) open(name string, family Family, method string) {
	e := p.iface(name)
	if !e.defined("priority") {
		e["priority"] = p.priority()
	}
	e["families"] = append(e.Families(), family)
	if method != "" {
		e["method"+suffix(family)] = method
	}
	p.entry, p.family = e, family
}

// suffix is what the names of a family's own properties end in.
func suffix(f Family) string {
	if f == Inet6 {
		return "6"
	}
	return ""
}

// endStanza keeps what the stanza gathered. Of two stanzas of one family the later one counts.
func (p *parser) endStanza() {
	if p.entry == nil {
		return
	}
	set := func(key string, value any, some bool) {
		delete(p.entry, key)
		if some {
			p.entry[key] = value
		}
	}
	set("comments"+suffix(p.family), p.comments, p.comments != "")
	set("options"+suffix(p.family), p.options, len(p.options) > 0)
	p.entry, p.comments, p.options = nil, "", nil
}

// inside reads a line of the open stanza; false if the line ends it.
func (p *parser) inside(line string) bool {
	line = strings.TrimLeft(line, " \t")
	if text, ok := strings.CutPrefix(line, "#"); ok {
		p.comments += text + "\n"
		return true
	}
	i := strings.IndexAny(line, " \t")
	if i < 0 || strings.HasPrefix(line, "allow-") {
		return false
	}
	key, value := line[:i], strings.Trim(line[i:], " \t")
	if slices.Contains([]string{"iface", "mapping", "auto", "source", "source-directory"}, key) {
		return false
	}
	if name, ok := aliases[key]; ok {
		key = name
	}
	if !p.option(key, value) {
		p.options = append(p.options, line)
	}
	return true
}

// option keeps a known option; false if it is none.
func (p *parser) option(key, value string) bool {
	e := p.entry
	switch {
	case key == "slaves" || key == "bridge_ports":
		list := nameList(value)
		if old := e.Text(key); old != "" {
			list = strings.TrimRight(old+" "+list, " ")
		}
		e[key] = list
	case key == "bridge_stp":
		e[key] = "off"
		if v := strings.ToLower(value); v == "on" || v == "yes" {
			e[key] = "on"
		}
	case key == "bridge_vlan_aware":
		e[key] = 1
	case key == "bond_mode":
		e[key] = value
		if name, ok := bondModes[value]; ok {
			e[key] = name
		}
	case key == "vxlan-remoteip":
		e.addString(key, value)
	case textKeys[key]:
		e[key+p.suffixOf(key, value)] = value
	default:
		return false
	}
	return true
}

// suffixOf tells which family an option is about.
func (p *parser) suffixOf(key, value string) string {
	switch {
	case !familyKeys[key]:
		return ""
	case p.family == "" && key != "netmask" && strings.Contains(value, ":"):
		return "6"
	}
	return suffix(p.family)
}

// nameList brings a list of interfaces into its canonical form.
func nameList(value string) string {
	names := slices.DeleteFunc(strings.Fields(value), func(n string) bool { return n == "none" })
	slices.Sort(names)
	return strings.Join(slices.Compact(names), " ")
}

// dropAllowPorts removes from lines like `allow-vmbr0 eth0` the ports that the bridge lists itself.
func (f *File) dropAllowPorts() {
	kept := f.Global[:0]
	for _, l := range f.Global {
		rest, ok := strings.CutPrefix(l.Text, "allow-")
		fields := strings.Fields(rest)
		if !ok || len(fields) < 2 || f.Ifaces[fields[0]] == nil {
			kept = append(kept, l)
			continue
		}
		listed := f.Ifaces[fields[0]].names("ovs_ports")
		others := slices.DeleteFunc(fields[1:], func(p string) bool { return slices.Contains(listed, p) })
		if len(others) > 0 {
			l.Text = "allow-" + fields[0] + " " + strings.Join(others, " ")
			kept = append(kept, l)
		}
	}
	f.Global = kept
}
