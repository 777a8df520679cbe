package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/qmp/qapi/internal/facts"
)

// only tells which of the two releases has something.
type only int

const (
	both only = iota
	onlyOld
	onlyNew
)

// field is a member, argument, value or branch as the two releases together have it.
type field struct {
	facts.Member
	only only
	note string // what to know of it: versions, deprecation
	tag  string // of a union's common member: see union.go of package qapi
}

// definition is a type, command or event as the two releases together have it.
type definition struct {
	name          string
	kind          facts.Kind // of a type
	module        string
	discriminator string
	fields        []field // all members of a struct or union, bases first; arguments; values of an enum
	branches      []field
	argumentType  string
	returns       *facts.Ref
	notes         []string // sentences
	deprecated    bool
}

// merged is the schema of both releases.
type merged struct {
	types, commands, events []definition // by name
	kinds                   map[string]facts.Kind
	fields                  map[string][]field // of structs and unions
}

func merge(old, new *facts.Schema) *merged {
	m := &merged{kinds: map[string]facts.Kind{}, fields: map[string][]field{}}
	for _, name := range names(old.Types, new.Types) {
		d := mergeType(name, old, new)
		m.types = append(m.types, d)
		m.kinds[name], m.fields[name] = d.kind, d.fields
	}
	for _, name := range names(old.Commands, new.Commands) {
		m.commands = append(m.commands, mergeCommand(name, old.Commands, new.Commands, old, new))
	}
	for _, name := range names(old.Events, new.Events) {
		m.events = append(m.events, mergeCommand(name, old.Events, new.Events, old, new))
	}
	return m
}

func names[T any](a, b map[string]T) []string {
	return slices.Compact(slices.Sorted(func(yield func(string) bool) {
		for _, keys := range []map[string]T{a, b} {
			for name := range keys {
				if !yield(name) {
					return
				}
			}
		}
	}))
}

func where[T any](name string, old, new map[string]T) only {
	_, inOld := old[name]
	_, inNew := new[name]
	switch {
	case !inOld:
		return onlyNew
	case !inNew:
		return onlyOld
	}
	return both
}

func mergeType(name string, old, new *facts.Schema) definition {
	o := where(name, old.Types, new.Types)
	a, b := old.Types[name], new.Types[name]
	t := b
	if o == onlyOld {
		t = a
	}
	d := definition{name: name, kind: t.Kind, discriminator: t.Discriminator}
	d.describe(t.Common, o)
	members, oldMembers := new.All(name), old.All(name)
	if t.Kind == facts.Enum {
		members, oldMembers = b.Values, a.Values
	}
	d.fields = mergeFields(oldMembers, members, o)
	d.branches = mergeFields(a.Branches, b.Branches, o)
	if o == both && a.Kind != b.Kind {
		d.notes = append(d.notes, fmt.Sprintf("QEMU %s has a %s of this name.", facts.Old, a.Kind))
	}
	return d
}

func mergeCommand(name string, olds, news map[string]facts.Command, old, new *facts.Schema) definition {
	o := where(name, olds, news)
	c := news[name]
	if o == onlyOld {
		c = olds[name]
	}
	d := definition{name: name, argumentType: c.ArgumentType, returns: c.Returns}
	d.describe(c.Common, o)
	if c.ArgumentType == "" {
		d.fields = mergeFields(old.Args(olds[name]), new.Args(news[name]), o)
	}
	return d
}

func (d *definition) describe(c facts.Common, o only) {
	d.module = c.Module
	switch {
	case o == onlyOld:
		d.notes = append(d.notes, "Of QEMU "+facts.Old+"; "+facts.New+" does not have it.")
	case o == onlyNew && !newerThanOld(c.Since):
		d.notes = append(d.notes, "Of QEMU "+facts.New+"; "+facts.Old+" does not have it.")
	case c.Since != "":
		d.notes = append(d.notes, "Since QEMU "+c.Since+".")
	}
	d.deprecated = facts.Has(c.Features, "deprecated")
	if facts.Has(c.Features, "unstable") {
		d.notes = append(d.notes, "QEMU calls it unstable.")
	}
}

// mergeFields keeps the order of the newer release and puts what only the older one has behind. What one release does
// not have, or has as optional, is optional.
func mergeFields(old, new []facts.Member, o only) []field {
	var list []field
	find := func(in []facts.Member, name string) (facts.Member, bool) {
		i := slices.IndexFunc(in, func(m facts.Member) bool { return m.Name == name })
		if i < 0 {
			return facts.Member{}, false
		}
		return in[i], true
	}
	for _, m := range new {
		f := field{Member: m}
		before, ok := find(old, m.Name)
		switch {
		case o != both:
		case !ok:
			f.only, f.Optional = onlyNew, true
		default:
			f.Optional = m.Optional || before.Optional
		}
		f.describe()
		list = append(list, f)
	}
	for _, m := range old {
		if _, ok := find(new, m.Name); ok {
			continue
		}
		f := field{Member: m}
		if o == both {
			f.only, f.Optional = onlyOld, true
		}
		f.describe()
		list = append(list, f)
	}
	return list
}

func (f *field) describe() {
	var notes []string
	switch {
	case f.only == onlyOld:
		notes = append(notes, facts.Old+" only, not in "+facts.New)
	case f.only == onlyNew && !newerThanOld(f.Since):
		notes = append(notes, facts.New+" only, not in "+facts.Old)
	case f.Since != "":
		notes = append(notes, "since "+f.Since)
	}
	for _, feature := range []string{"deprecated", "unstable"} {
		if facts.Has(f.Features, feature) {
			notes = append(notes, feature)
		}
	}
	f.note = strings.Join(notes, "; ")
}

// newerThanOld tells whether the version is one that explains why the older release lacks something.
func newerThanOld(since string) bool {
	return since != "" && slices.Compare(numbers(since), numbers(facts.Old)) > 0
}

func numbers(version string) []int {
	var list []int
	for part := range strings.SplitSeq(version, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			n = 0 // no version has letters; one that had would sort first
		}
		list = append(list, n)
	}
	return list
}
