package pveconf

import "strings"

// ParseSections reads a configuration file. What cannot be used is passed over with a warning: lines that are no section,
// sections of unknown type or with a bad id (whole, up to the next blank line), keys that the type does not have, values
// against the schema, second values of a key that has one. What a section lacks is not looked at. The last of several
// sections with the same id counts.
func ParseSections(text string, rules *SectionRules) (*SectionFile, []Warning) {
	p := &sectionParser{rules: rules, file: &SectionFile{rules: rules, digest: Digest(text)}, formats: rules.Formats}
	if p.formats == nil {
		p.formats = NewRegistry()
	}
	for line := range strings.Lines(text) {
		p.number++
		p.line(strings.TrimRight(line, "\r\n"))
	}
	p.end()
	return p.file, p.warnings
}

// sectionParser reads line by line. Between sections current is nil and skipping is false.
type sectionParser struct {
	rules    *SectionRules
	formats  Formats
	file     *SectionFile
	warnings []Warning
	number   int
	current  *Section
	typ      *SectionType // of current; nil if unknown
	skipping bool         // in a section that is passed over
}

func (p *sectionParser) warn(key, text string) {
	w := Warning{Line: p.number, Key: key, Text: text}
	if p.current != nil {
		w.Type, w.ID = p.current.Type, p.current.ID
	}
	p.warnings = append(p.warnings, w)
}

func (p *sectionParser) line(line string) {
	trimmed := trimBlank(line)
	switch {
	case strings.HasPrefix(trimmed, "#"):
	case trimmed == "":
		p.end()
	case p.skipping:
	case p.current == nil:
		p.head(line)
	case trimmed == strings.TrimRight(line, blanks): // begins at column 0
		p.warn("", "ignore config line: "+trimmed)
	default:
		key, value := trimmed, ""
		if i := strings.IndexAny(trimmed, blanks); i >= 0 {
			key, value = trimmed[:i], strings.TrimLeft(trimmed[i:], blanks)
		}
		p.entry(key, value)
	}
}

// blanks part words; other than strings.TrimSpace, a non-breaking space is a letter.
const blanks = " \t\r\v\f"

func trimBlank(s string) string { return strings.Trim(s, blanks) }

// head reads "TYPE: ID".
func (p *sectionParser) head(line string) {
	kind, id, ok := strings.Cut(line, ":")
	id = trimBlank(id)
	if !ok || !isSectionType(strings.ToLower(kind)) || id == "" || strings.ContainsAny(id, blanks) {
		p.warn("", "ignore config line: "+trimBlank(line))
		return
	}
	kind = strings.ToLower(kind)
	t := p.rules.typ(kind)
	if t == nil && !p.rules.KeepUnknown {
		p.skip(kind, id, "unknown section type '"+kind+"'")
		return
	}
	if err := p.rules.checkID(id); err != nil {
		p.skip(kind, id, err.Error())
		return
	}
	p.current, p.typ = &Section{Type: kind, ID: id, Values: map[string]string{}}, t
}

func (p *sectionParser) skip(kind, id, text string) {
	p.warnings = append(p.warnings, Warning{Line: p.number, Type: kind, ID: id, Text: text})
	p.skipping = true
}

// end closes the section.
func (p *sectionParser) end() {
	if p.current != nil {
		if p.file.index(p.current.ID) >= 0 {
			p.warn("", "duplicate section, the earlier one is dropped")
		}
		p.file.put(p.current)
	}
	p.current, p.typ, p.skipping = nil, nil, false
}

// entry reads a key and its value.
func (p *sectionParser) entry(key, value string) {
	s := p.current
	if p.typ == nil {
		p.unknownEntry(key, value)
		return
	}
	prop := p.typ.Properties[key]
	if prop == nil {
		p.warn(key, "unexpected property '"+key+"'")
		return
	}
	if prop.Type == "array" {
		if prop.Items != nil {
			if _, err := scalar(value, prop.Items, p.formats); err != nil {
				p.warn(key, "invalid value for '"+key+"': "+p.text(err))
				return
			}
		}
		s.addList(key, value)
		return
	}
	if _, twice := s.Values[key]; twice {
		p.warn(key, "duplicate attribute '"+key+"'")
		return
	}
	if prop.Type == "boolean" {
		if value == "" {
			value = "1"
		} else if b, ok := ParseBool(value); ok {
			value = map[bool]string{true: "1", false: "0"}[b]
		}
	}
	if value == "" {
		p.warn(key, "property '"+key+"' without a value")
		return
	}
	if _, err := scalar(value, prop, p.formats); err != nil {
		p.warn(key, "invalid value for '"+key+"': "+p.text(err))
		return
	}
	s.Values[key] = value
}

func (p *sectionParser) text(err error) string { return strings.TrimSuffix(err.Error(), "\n") }

// unknownEntry keeps what is there; a key that comes twice is a list.
func (p *sectionParser) unknownEntry(key, value string) {
	s := p.current
	first, twice := s.Values[key]
	switch {
	case s.Lists[key] != nil:
		s.addList(key, value)
	case twice:
		delete(s.Values, key)
		s.addList(key, first)
		s.addList(key, value)
	default:
		s.Values[key] = value
	}
}

func (s *Section) addList(key, value string) {
	if s.Lists == nil {
		s.Lists = map[string][]string{}
	}
	s.Lists[key] = append(s.Lists[key], value)
}
