package pveconf

import (
	"maps"
	"slices"
	"strings"
)

// Texts of errors, as PVE's clients know them.
const (
	textMissing = "property is missing and it is not optional"
	textUnknown = "property is not defined in schema and the schema does not allow additional properties"
)

// Validate checks v, as a form or JSON decoder gives it, against p. v may hold strings, booleans, json.Number and Go
// numbers, []any, []string and map[string]any; a nil member is as one not given.
//
// norm is v with every value in the type that the schema declares: string, bool, int64, float64, []any, map[string]any;
// members that no property describes stay as they are. Defaults are not filled in. errs has one text for each wrong value,
// by its path ("a", "a.b", "a[0]", "oneOf[variant].a"); norm is meaningful only if it is empty. v is not changed.
//
// Of the members of v itself, but not deeper, a scalar is taken for an array of one where an array is declared, and an
// array is joined by ',' where the format is a list.
func Validate(v any, p *Property, f Formats) (norm any, errs map[string]string) {
	if f == nil {
		f = NewRegistry()
	}
	c := &check{formats: f}
	top, isMap := v.(map[string]any)
	if !isMap || !p.isObject() {
		return c.value(v, p, ""), c.errs
	}
	return c.root(top, p, "", true), c.errs
}

// check is one run of Validate.
type check struct {
	formats Formats
	errs    map[string]string
}

// fail notes an error. A second one on the same path is joined with a backslash and an n, two characters.
func (c *check) fail(path, text string) {
	if c.errs == nil {
		c.errs = map[string]string{}
	}
	if path == "" {
		path = "value"
	}
	if old, ok := c.errs[path]; ok {
		texts := append(strings.Split(old, `\n`), text)
		slices.Sort(texts) // members are looked at in no order
		text = strings.Join(texts, `\n`)
	}
	c.errs[path] = text
}

// object is an object under check: its members as given, as normalised, and which of them some schema knows.
type object struct {
	given map[string]any
	norm  map[string]any
	known map[string]bool // only kept where several schemas share the object
	top   bool
	// renamed tells that given is our copy, which aliases may change.
	renamed bool
}

// root checks an object that is not a part of another, and complains about members that nobody knows.
func (c *check) root(given map[string]any, p *Property, path string, top bool) map[string]any {
	o := &object{given: given, norm: make(map[string]any, len(given)), top: top}
	if len(p.AllOf) == 0 && len(p.OneOf) == 0 {
		c.members(o, p, path)
		c.others(o, p, path)
		return o.norm
	}
	o.known = make(map[string]bool, len(given))
	open := c.parts(o, p, path, true)
	for _, name := range slices.Sorted(maps.Keys(o.given)) {
		switch v := o.given[name]; {
		case v == nil || o.known[name]:
		case open:
			o.norm[name] = v
		default:
			c.fail(join(path, name), textUnknown)
		}
	}
	return o.norm
}

// parts checks o against a schema made of several. It reports whether unknown members may pass. whole tells that p is the
// only schema of the object, so that a variant of it answers for all members.
func (c *check) parts(o *object, p *Property, path string, whole bool) (open bool) {
	switch {
	case len(p.AllOf) > 0:
		for _, part := range p.AllOf {
			open = c.parts(o, part, path, false) || open
		}
		return open
	case len(p.OneOf) > 0:
		return c.variant(o, p, path, whole)
	}
	c.members(o, p, path)
	for i := range p.Properties {
		o.known[p.Properties[i].Name] = true
	}
	return p.AdditionalProperties != AdditionalRefused
}

// variant checks o against the variant that its type property chooses.
func (c *check) variant(o *object, p *Property, path string, whole bool) (open bool) {
	o.known[p.TypeProperty] = true
	given := o.given[p.TypeProperty]
	if given == nil {
		if !p.Optional {
			c.fail(join(path, p.TypeProperty), textMissing)
		}
		return false
	}
	before := len(c.errs)
	if s := p.TypePropertySchema; s != nil {
		o.norm[p.TypeProperty] = c.value(given, s, join(path, p.TypeProperty))
	} else {
		o.norm[p.TypeProperty] = given
	}
	if len(c.errs) > before {
		return false
	}
	kind, _ := scalarText(given)
	for _, v := range p.OneOf {
		if !slices.Contains(v.InstanceTypes, kind) {
			continue
		}
		inner := join(path, "oneOf["+kind+"]")
		open = c.parts(o, v, inner, whole)
		if whole && !open && len(v.AllOf) == 0 && len(v.OneOf) == 0 {
			for _, name := range slices.Sorted(maps.Keys(o.given)) {
				if o.given[name] != nil && !o.known[name] {
					o.known[name] = true
					c.fail(join(inner, name), textUnknown)
				}
			}
		}
		return open
	}
	return false
}

// members checks the members that p lists, those missing too.
func (c *check) members(o *object, p *Property, path string) {
	c.aliases(o, p, path)
	for i := range p.Properties {
		m := &p.Properties[i]
		if m.Alias != "" || m.Optional && m.RequiredFor == nil {
			continue
		}
		if o.given[m.Name] == nil {
			c.missing(o, m, path)
		}
	}
	for name, v := range o.given {
		if v == nil {
			continue
		}
		m := p.Property(name)
		if m == nil || m.Alias != "" {
			continue
		}
		if m.Requires != "" && o.given[m.Requires] == nil {
			c.fail(join(path, m.Requires), "missing property required by '"+name+"'")
		}
		at, m := c.applicable(o, p, m, name, path)
		switch {
		case m == nil:
		case m == unchecked:
			o.norm[name] = v
		default:
			if o.top {
				v = coerce(v, m)
			}
			o.norm[name] = c.value(v, m, at)
		}
	}
}

// missing complains about a mandatory member that is not given, unless it belongs to another variant.
func (c *check) missing(o *object, m *NamedProperty, path string) {
	if m.TypeProperty == "" && m.RequiredFor == nil {
		c.fail(join(path, m.Name), textMissing)
		return
	}
	kind, chosen := o.kind(m.Property)
	switch {
	case m.RequiredFor != nil:
		if chosen && slices.Contains(m.RequiredFor, kind) {
			c.fail(join(path, "oneOf["+kind+"]."+m.Name), textMissing)
		}
	case m.InstanceTypes == nil && len(m.OneOf) == 0, chosen && slices.Contains(m.InstanceTypes, kind):
		c.fail(join(path, m.Name), textMissing)
	}
}

// unchecked stands for a property that says nothing about its value.
var unchecked = &Property{}

// applicable returns what the value of a member has to satisfy, which may depend on a type property, and the path under
// which its errors are reported; nil if the member has no place here, which is then reported.
func (c *check) applicable(o *object, p, m *Property, name, path string) (string, *Property) {
	at := join(path, name)
	if m.TypeProperty == "" && m.RequiredFor == nil {
		return at, m
	}
	kind, chosen := o.kind(m)
	if !chosen && m.RequiredFor != nil {
		return at, nil // the missing type is reported
	}
	if m.RequiredFor != nil || p.hasVariants() {
		at = join(path, "oneOf["+kind+"]."+name)
	}
	applies := m.InstanceTypes == nil || slices.Contains(m.InstanceTypes, kind)
	if applies && len(m.OneOf) > 0 {
		i := slices.IndexFunc(m.OneOf, func(v *Property) bool { return slices.Contains(v.InstanceTypes, kind) })
		if applies = i >= 0; applies && m.OneOf[i].Type != "" {
			m = m.OneOf[i]
		}
	}
	switch {
	case applies:
		return at, m
	case p.AdditionalProperties == AdditionalRefused:
		c.fail(at, textUnknown)
		return at, nil
	}
	return at, unchecked
}

// hasVariants tells whether the members of p come from variants, whose errors are reported as such.
func (p *Property) hasVariants() bool {
	return slices.ContainsFunc(p.Properties, func(m NamedProperty) bool { return m.RequiredFor != nil })
}

// kind returns the value of the type property that decides about m, "type" unless it says otherwise.
func (o *object) kind(m *Property) (string, bool) {
	name := m.TypeProperty
	if name == "" {
		name = "type"
	}
	return scalarText(o.given[name])
}

// aliases moves members given under another name to their own.
func (c *check) aliases(o *object, p *Property, path string) {
	for i := range p.Properties {
		m := &p.Properties[i]
		if m.Alias == "" || o.given[m.Name] == nil {
			continue
		}
		if !o.renamed {
			o.given, o.renamed = maps.Clone(o.given), true
		}
		v := o.given[m.Name]
		delete(o.given, m.Name)
		if o.given[m.Alias] != nil {
			c.fail(join(path, m.Name), "cannot set both '"+m.Name+"' and its alias target '"+m.Alias+"'")
			continue
		}
		o.given[m.Alias] = v
	}
}

// others treats the members that p does not list.
func (c *check) others(o *object, p *Property, path string) {
	for name, v := range o.given {
		if v == nil || p.Property(name) != nil {
			continue
		}
		switch {
		case p.AdditionalProperties == AdditionalRefused:
			c.fail(join(path, name), textUnknown)
		case p.AdditionalSchema != nil:
			o.norm[name] = c.value(v, p.AdditionalSchema, join(path, name))
		default:
			o.norm[name] = v
		}
	}
}

// coerce makes up for forms, which know neither arrays of one element nor lists.
func coerce(v any, p *Property) any {
	if p.Type == "array" {
		if _, ok := asList(v); ok {
			return v
		}
		return []any{v}
	}
	if list, ok := asList(v); ok && strings.HasSuffix(p.Format, "-list") {
		parts := make([]string, len(list))
		for i := range list {
			if parts[i], ok = scalarText(list[i]); !ok {
				return v
			}
		}
		return strings.Join(parts, ",")
	}
	return v
}

func (p *Property) isObject() bool {
	return p.Type == "object" || len(p.Properties) > 0 || len(p.AllOf) > 0 || p.TypePropertySchema != nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
