package interfaces

import (
	"cmp"
	"maps"
	"slices"
)

// Live is what the kernel knows.
type Live struct {
	Links []Link
	Up    []string // names of links that are administratively up
}

// Link is a network device of the kernel.
type Link struct {
	Name     string
	AltNames []string
	Physical bool // an Ethernet device that no software made: no bridge, bond, VLAN, tap, …
}

// named reports whether the link goes by that name.
func (l Link) named(name string) bool { return l.Name == name || slices.Contains(l.AltNames, name) }

// complete adds the kernel's links and what follows from the options.
func (f *File) complete(live Live) {
	for _, l := range live.Links {
		if l.Physical {
			f.entryOf(l)["exists"] = 1
		}
	}
	for _, name := range live.Up {
		if e := f.Ifaces[name]; e != nil {
			e["active"] = 1
		}
	}
	if f.Ifaces["lo"] == nil {
		f.Ifaces["lo"] = Entry{"priority": firstPriority - 1, "method": "loopback", "autostart": 1}
	}
	for _, name := range slices.Sorted(maps.Keys(f.Ifaces)) {
		e := f.Ifaces[name]
		f.setType(name, e, live)
		setCIDR(e, "", Inet)
		setCIDR(e, "6", Inet6)
		for _, key := range []string{"method", "method6"} {
			e[key] = cmp.Or(e.Text(key), "manual")
		}
		if len(e.Families()) == 0 {
			e["families"] = []Family{Inet}
		}
		if c := e.Text("comments6"); c != "" {
			e["comments"] = e.Text("comments") + c
		}
		delete(e, "comments6")
		f.setAltNames(name, e, live)
	}
}

// entryOf returns the entry of a physical link, which may be named by one of its other names; a new one if it has none.
func (f *File) entryOf(l Link) Entry {
	for _, name := range l.AltNames {
		if e := f.Ifaces[name]; e != nil {
			return e
		}
	}
	if f.Ifaces[l.Name] == nil {
		f.Ifaces[l.Name] = Entry{}
	}
	return f.Ifaces[l.Name]
}

// setAltNames shows the other names of the entry's link.
func (f *File) setAltNames(name string, e Entry, live Live) {
	for _, l := range live.Links {
		if !l.named(name) {
			continue
		}
		others := slices.DeleteFunc(append([]string{l.Name}, l.AltNames...), func(n string) bool { return n == name })
		if slices.Sort(others); len(others) > 0 {
			e["altnames"] = others
		}
		return
	}
}
