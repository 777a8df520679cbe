package pveconf

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

func (r *SectionRules) write(b *strings.Builder, s *Section) {
	b.WriteString(s.Type + ": " + s.ID + "\n")
	t := r.typ(s.Type)
	done := map[string]bool{}
	for _, key := range r.First {
		if v, ok := s.Values[key]; ok && t != nil {
			done[key] = true
			if on, _ := ParseBool(v); on {
				b.WriteString("\t" + key + "\n")
			}
		}
	}
	keys := slices.Concat(slices.Collect(maps.Keys(s.Values)), slices.Collect(maps.Keys(s.Lists)))
	slices.Sort(keys)
	line := func(key, value string) {
		switch {
		case value != "":
			b.WriteString("\t" + key + " " + value + "\n")
		case t == nil: // a bare word of a type that we do not know
			b.WriteString("\t" + key + "\n")
		}
	}
	write := func(required bool) {
		for _, key := range keys {
			if done[key] || (t != nil && t.required(key)) != required {
				continue
			}
			if v, ok := s.Values[key]; ok {
				line(key, v)
			}
			for _, v := range s.Lists[key] {
				line(key, v)
			}
		}
	}
	write(true)
	write(false)
	b.WriteString("\n")
}

var errUnwritable = errors.New("is not a single line without blanks at its ends")

// writable tells why a section could not be read back.
func writable(s *Section, r *SectionRules) error {
	if r.typ(s.Type) == nil && !(r.KeepUnknown && isSectionType(s.Type)) {
		return fmt.Errorf("unknown section type '%s'", s.Type)
	}
	if err := r.checkID(s.ID); err != nil {
		return err
	}
	for key, v := range s.Values {
		if _, both := s.Lists[key]; both {
			return fmt.Errorf("key '%s' is both a value and a list", key)
		}
		if err := writableLine(key, v); err != nil {
			return err
		}
	}
	for key, list := range s.Lists {
		for _, v := range list {
			if err := writableLine(key, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// isSectionType tells whether a type that no rule knows can stand in a head.
func isSectionType(v string) bool {
	return class(graphic).all(v) && v[0] != '#' && !strings.Contains(v, ":") && strings.ToLower(v) == v
}

func writableLine(key, value string) error {
	if !class(graphic).all(key) || key[0] == '#' {
		return fmt.Errorf("key '%s' has blanks or is a comment", key)
	}
	if strings.ContainsAny(value, "\n\r\x00") || strings.TrimSpace(value) != value {
		return fmt.Errorf("%s: value %w", key, errUnwritable)
	}
	return nil
}

func (r *SectionRules) checkID(id string) error {
	if r.CheckID != nil {
		if err := r.CheckID(id); err != nil {
			return err
		}
		if !class(graphic).all(id) {
			return errors.New("section id has blanks")
		}
		return nil
	}
	return CheckFormat("pve-configid", id)
}
