package pveconf

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// FormatError says what is wrong with a property string: either with its form (Reason), or with some of its keys.
type FormatError struct {
	Reason string
	Keys   map[string]string // key → text
}

// Error prints the error with bare keys.
func (e *FormatError) Error() string { return strings.TrimSuffix(e.Text(""), "\n") }

// Text prints the error as PVE does, every line ended, with keys below path: "net0.model: property is missing …".
func (e *FormatError) Text(path string) string {
	if e.Reason != "" {
		return e.Reason + "\n"
	}
	var b strings.Builder
	b.WriteString("format error\n")
	for _, key := range slices.Sorted(maps.Keys(e.Keys)) {
		b.WriteString(join(path, key) + ": " + strings.TrimSuffix(e.Keys[key], "\n") + "\n")
	}
	return b.String()
}

// ParsePropertyString reads "model=virtio,bridge=vmbr0" by the keys that p lists. Values come as they were written, but
// booleans as "1" and "0"; keys given by another name come under their own. f knows the formats of values, nil are the
// rules of this package. The error is a *FormatError.
func ParsePropertyString(s string, p *Property, f Formats) (map[string]string, error) {
	if f == nil {
		f = NewRegistry()
	}
	values, err := splitPropertyString(s, p)
	if err != nil {
		return nil, err
	}
	bad := map[string]string{}
	for name, text := range values {
		m := p.Property(name)
		if m == nil {
			if p.AdditionalProperties == AdditionalRefused {
				bad[name] = textUnknown
			}
			continue
		}
		if m.Requires != "" && values[m.Requires] == "" {
			bad[m.Requires] = "missing property required by '" + name + "'"
		}
		if _, err := scalar(text, m, f); err != nil {
			bad[name] = err.Error()
		}
	}
	for i := range p.Properties {
		m := &p.Properties[i]
		if _, given := values[m.Name]; !given && !m.Optional && m.Alias == "" {
			bad[m.Name] = textMissing
		}
	}
	if len(bad) > 0 {
		return nil, &FormatError{Keys: bad}
	}
	if p.Check != nil {
		if err := p.Check(values); err != nil {
			return nil, &FormatError{Reason: err.Error()}
		}
	}
	return values, nil
}

// splitPropertyString reads keys and values without judging the values.
func splitPropertyString(s string, p *Property) (map[string]string, error) {
	values := map[string]string{}
	put := func(key, value string) error {
		if _, ok := values[key]; ok {
			return &FormatError{Reason: "duplicate key in comma-separated list property: " + key}
		}
		if m := p.Property(key); m != nil && m.Type == "boolean" {
			if b, ok := ParseBool(value); ok {
				value = map[bool]string{true: "1", false: "0"}[b]
			}
		}
		values[key] = value
		return nil
	}
	for part := range strings.SplitSeq(s, ",") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		key, value, hasKey := strings.Cut(part, "=")
		if !hasKey {
			key, value = p.defaultKey(), part
			if key == "" {
				return nil, &FormatError{Reason: "value without key, but schema does not define a default key"}
			}
		}
		if key == "" || value == "" {
			return nil, &FormatError{Reason: "missing key in comma-separated list property"}
		}
		if m := p.Property(key); m != nil && m.Alias != "" {
			if m.KeyAlias != "" {
				if err := put(m.KeyAlias, key); err != nil {
					return nil, err
				}
			}
			key = m.Alias
		}
		if err := put(key, value); err != nil {
			return nil, err
		}
	}
	return values, nil
}

var (
	errComma = errors.New("a value in a property string must not contain ',' or a line break")
	errEmpty = errors.New("a value in a property string must not be empty")
)

// PrintPropertyString writes values: first the default key, without "key=" where its value allows that, then the others
// sorted. A key whose name stands for the default key's value is written with it: model and macaddr of a network
// interface become "virtio=MAC". Values are not checked against the schema, but a value that could not be read back, or
// that p's keys do not list, is an error.
func PrintPropertyString(values map[string]string, p *Property) (string, error) {
	rest := maps.Clone(values)
	var parts []string
	first := p.defaultKey()
	if v, ok := rest[first]; ok && first != "" {
		delete(rest, first)
		m := p.Property(v)
		switch {
		case m != nil && m.KeyAlias == first && rest[m.Alias] != "":
			parts = append(parts, v+"="+rest[m.Alias])
			if err := printable(rest[m.Alias]); err != nil {
				return "", fmt.Errorf("%s: %w", m.Alias, err)
			}
			delete(rest, m.Alias)
		case strings.Contains(v, "=") || strings.TrimSpace(v) == "":
			parts = append(parts, first+"="+v)
		default:
			parts = append(parts, v)
		}
		if err := printable(v); err != nil {
			return "", fmt.Errorf("%s: %w", first, err)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(rest)) {
		m := p.Property(key)
		if m == nil && p.AdditionalProperties == AdditionalRefused || m != nil && m.Alias != "" || strings.ContainsAny(key, ",=\n") {
			return "", fmt.Errorf("%s: %s", key, textUnknown)
		}
		if err := printable(rest[key]); err != nil {
			return "", fmt.Errorf("%s: %w", key, err)
		}
		parts = append(parts, key+"="+rest[key])
	}
	return strings.Join(parts, ","), nil
}

func printable(v string) error {
	switch {
	case v == "":
		return errEmpty
	case strings.ContainsAny(v, ",\n\r\x00"):
		return errComma
	}
	return nil
}
