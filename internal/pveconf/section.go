package pveconf

import (
	"maps"
	"slices"
	"strings"
)

// SectionType describes the sections of one type.
type SectionType struct {
	Name       string
	Properties map[string]*Property // an array is written as one line an element
	Fixed      []string             // names of those that never change once set; for the code that updates sections
}

// required tells whether a section of this type always has the key.
func (t *SectionType) required(key string) bool {
	p := t.Properties[key]
	return p != nil && !p.Optional
}

// SectionRules are the rules of one configuration file.
type SectionRules struct {
	Types []*SectionType
	// CheckID checks ids of sections; nil is the rule pve-configid.
	CheckID func(id string) error
	// KeepUnknown keeps sections of types that Types does not list, as they are. Else they are dropped.
	KeepUnknown bool
	// First are boolean keys that are written first, as a bare word and only if true.
	First []string
	// Formats are known to the properties; nil are the rules of this package.
	Formats Formats
}

func (r *SectionRules) typ(name string) *SectionType {
	for _, t := range r.Types {
		if t.Name == name {
			return t
		}
	}
	return nil
}

// Section is one section: what is between a line "TYPE: ID" and the next blank line.
type Section struct {
	Type, ID string
	// Values are the keys with one value. Booleans are "1" and "0".
	Values map[string]string
	// Lists are the keys that may have several, in order.
	Lists map[string][]string
}

// clone returns a copy that shares nothing.
func (s *Section) clone() *Section {
	c := &Section{Type: s.Type, ID: s.ID, Values: maps.Clone(s.Values)}
	if c.Values == nil {
		c.Values = map[string]string{}
	}
	if len(s.Lists) > 0 {
		c.Lists = make(map[string][]string, len(s.Lists))
		for k, v := range s.Lists {
			c.Lists[k] = slices.Clone(v)
		}
	}
	return c
}

// Warning says what a parser passed over.
type Warning struct {
	Line          int // from 1
	Type, ID, Key string
	Text          string
}

// SectionFile is a configuration file of sections, such as storage.cfg and domains.cfg. It is not safe for concurrent
// changes.
type SectionFile struct {
	rules    *SectionRules
	sections []*Section
	digest   string
}

// NewSectionFile returns a file without sections.
func NewSectionFile(rules *SectionRules) *SectionFile {
	return &SectionFile{rules: rules, digest: Digest("")}
}

// Digest returns the digest of the text that the file was parsed from.
func (f *SectionFile) Digest() string { return f.digest }

// Sections returns the sections in the order of the file. They are copies.
func (f *SectionFile) Sections() []*Section {
	all := make([]*Section, len(f.sections))
	for i, s := range f.sections {
		all[i] = s.clone()
	}
	return all
}

// Get returns a copy of the section with that id, nil if there is none. Ids are unique over all types.
func (f *SectionFile) Get(id string) *Section {
	if i := f.index(id); i >= 0 {
		return f.sections[i].clone()
	}
	return nil
}

// Set stores a copy of a section, in the place of the one with the same id, or at the end. A section that the text could
// not carry is an error: values are single lines without blanks at the ends, keys have no blanks.
func (f *SectionFile) Set(s *Section) error {
	if err := writable(s, f.rules); err != nil {
		return err
	}
	f.put(s.clone())
	return nil
}

// Delete removes a section and reports whether there was one.
func (f *SectionFile) Delete(id string) bool {
	i := f.index(id)
	if i >= 0 {
		f.sections = slices.Delete(f.sections, i, i+1)
	}
	return i >= 0
}

func (f *SectionFile) put(s *Section) {
	if i := f.index(s.ID); i >= 0 {
		f.sections[i] = s
		return
	}
	f.sections = append(f.sections, s)
}

func (f *SectionFile) index(id string) int {
	return slices.IndexFunc(f.sections, func(s *Section) bool { return s.ID == id })
}

// String returns the text of the file: sections in order, each ended by an empty line; in a section the bare words of
// SectionRules.First, then the keys that its type always has, then the others, each sorted, lists last of theirs.
func (f *SectionFile) String() string {
	var b strings.Builder
	for _, s := range f.sections {
		f.rules.write(&b, s)
	}
	return b.String()
}
