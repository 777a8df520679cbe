package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// pool turns schema nodes into package-level variables, equal nodes into one. What it writes is laid out by the linker:
// nothing runs and nothing is allocated at start.
type pool struct {
	out     bytes.Buffer
	byText  map[string]string // literal → variable
	numbers map[float64]int
	order   []float64
}

func newPool() *pool { return &pool{byText: map[string]string{}, numbers: map[float64]int{}} }

// property returns the name of the variable that holds p.
func (l *pool) property(p *prop) (string, error) {
	text, err := l.literal(p, "")
	if err != nil {
		return "", err
	}
	return l.variable(text), nil
}

func (l *pool) variable(literal string) string {
	if v, ok := l.byText[literal]; ok {
		return v
	}
	v := "p" + strconv.Itoa(len(l.byText))
	l.byText[literal] = v
	fmt.Fprintf(&l.out, "var %s = pveconf.Property{%s}\n", v, literal)
	return v
}

// literal prints the fields of p; extra are further fields.
func (l *pool) literal(p *prop, extra string) (string, error) {
	var f []string
	add := func(name, value string) { f = append(f, name+": "+value) }
	text := func(name, value string) {
		if value != "" {
			add(name, strconv.Quote(value))
		}
	}
	number := func(name string, v int) {
		if v != 0 {
			add(name, strconv.Itoa(v))
		}
	}
	flag := func(name string, v bool) {
		if v {
			add(name, "true")
		}
	}
	bound := func(name string, v *float64) {
		if v != nil {
			add(name, l.number(*v))
		}
	}
	text("Type", p.Type)
	text("Format", p.Format)
	if len(p.Enum) > 0 {
		values := make([]string, len(p.Enum))
		for i, v := range p.Enum {
			values[i] = fmt.Sprint(v)
		}
		add("Enum", stringSlice(values))
	}
	if value, ok := defaultText(p.Default); ok {
		text("Default", value)
		flag("HasDefault", true)
	}
	bound("Minimum", p.Minimum)
	bound("Maximum", p.Maximum)
	pattern, maxLength := splitRepeat(p.Pattern, p.MaxLength)
	number("MinLength", p.MinLength)
	number("MaxLength", maxLength)
	text("Pattern", pattern)
	flag("Optional", p.Optional != 0)
	text("Requires", p.Requires)
	if p.Items != nil {
		v, err := l.property(p.Items)
		if err != nil {
			return "", err
		}
		add("Items", "&"+v)
	}
	if len(p.Properties) > 0 {
		members, err := l.members(p.Properties)
		if err != nil {
			return "", err
		}
		add("Properties", members)
	}
	mode, schema, err := l.additional(p.AdditionalProperties)
	if err != nil {
		return "", err
	}
	if mode != "" {
		add("AdditionalProperties", mode)
	}
	if schema != "" {
		add("AdditionalSchema", "&"+schema)
	}
	if len(p.OneOf) > 0 {
		variants := make([]string, len(p.OneOf))
		for i, o := range p.OneOf {
			v, err := l.property(o)
			if err != nil {
				return "", err
			}
			variants[i] = "&" + v
		}
		add("OneOf", "[]*pveconf.Property{"+strings.Join(variants, ", ")+"}")
	}
	if len(p.InstanceTypes) > 0 {
		add("InstanceTypes", stringSlice(p.InstanceTypes))
	}
	text("TypeProperty", p.TypeProperty)
	if len(p.RequiredFor) > 0 {
		add("RequiredFor", stringSlice(p.RequiredFor))
	}
	flag("DefaultKey", p.DefaultKey != 0)
	text("Alias", p.Alias)
	text("KeyAlias", p.KeyAlias)
	if extra != "" {
		f = append(f, extra)
	}
	return strings.Join(f, ", "), nil
}

// longRepeat is a pattern of one set of characters, repeated up to a number of times.
var longRepeat = regexp.MustCompile(`^(\[[^\]]+\])\{0,([0-9]+)\}$`)

// splitRepeat turns a repetition that is too long for Go's regular expressions into a maximal length.
func splitRepeat(pattern string, maxLength int) (string, int) {
	m := longRepeat.FindStringSubmatch(pattern)
	if m == nil {
		return pattern, maxLength
	}
	n, err := strconv.Atoi(m[2])
	if err != nil || n <= 1000 {
		return pattern, maxLength
	}
	if maxLength == 0 || n < maxLength {
		maxLength = n
	}
	return m[1] + "*", maxLength
}

// members prints a sorted list of members, families name[n] spelt out.
func (l *pool) members(properties map[string]*prop) (string, error) {
	vars := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		p := properties[name]
		v, err := l.property(p)
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		family, isFamily := strings.CutSuffix(name, "[n]")
		if !isFamily {
			vars[name] = v
			continue
		}
		if p.Count <= 0 || p.Optional == 0 {
			return "", fmt.Errorf("%s: a family needs a count and is optional", name)
		}
		for i := range p.Count {
			vars[family+strconv.Itoa(i)] = v
		}
	}
	var b strings.Builder
	b.WriteString("[]pveconf.NamedProperty{")
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		fmt.Fprintf(&b, "{Name: %q, Property: &%s},", name, vars[name])
	}
	b.WriteString("}")
	return b.String(), nil
}

// additional reads the keyword additionalProperties: 0, 1 or a schema.
func (l *pool) additional(raw json.RawMessage) (mode, schema string, err error) {
	switch strings.TrimSpace(string(raw)) {
	case "":
		return "", "", nil
	case "0":
		return "pveconf.AdditionalRefused", "", nil
	case "1":
		return "pveconf.AdditionalAllowed", "", nil
	}
	p := new(prop)
	if err := json.Unmarshal(raw, p); err != nil {
		return "", "", fmt.Errorf("additionalProperties: %w", err)
	}
	schema, err = l.property(p)
	return "pveconf.AdditionalAllowed", schema, err
}

// number returns an expression for a pointer to v.
func (l *pool) number(v float64) string {
	i, ok := l.numbers[v]
	if !ok {
		i = len(l.order)
		l.numbers[v] = i
		l.order = append(l.order, v)
	}
	return fmt.Sprintf("&numbers[%d]", i)
}

// writeTo prints all variables.
func (l *pool) writeTo(b *bytes.Buffer) {
	b.WriteString("// numbers are the bounds that properties point to.\nvar numbers = [...]float64{")
	for _, v := range l.order {
		b.WriteString(strconv.FormatFloat(v, 'g', -1, 64) + ",")
	}
	b.WriteString("}\n\n")
	b.Write(l.out.Bytes())
}

func stringSlice(values []string) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = strconv.Quote(v)
	}
	return "[]string{" + strings.Join(quoted, ", ") + "}"
}

func defaultText(raw json.RawMessage) (string, bool) {
	if len(raw) == 0 || string(raw) == "null" {
		return "", false
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s, true
	}
	return string(raw), true
}
