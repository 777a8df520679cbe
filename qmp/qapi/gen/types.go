package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/turtacn/go-proxmox/qmp/qapi/internal/facts"
)

// builtins are the Go types of QAPI's own. A value that may be anything stays as it came.
var builtins = map[string]string{
	"str": "string", "bool": "bool", "number": "float64", "any": "json.RawMessage",
	"int": "int64", "int8": "int8", "int16": "int16", "int32": "int32", "int64": "int64",
	"size": "uint64", "uint8": "uint8", "uint16": "uint16", "uint32": "uint32", "uint64": "uint64",
}

// typeName returns the Go name of a type of the schema. A type that is called like a command is its arguments.
func (g *generator) typeName(name string) string {
	if g.commandNames[name] {
		return name + "Args"
	}
	return name
}

// goType returns the Go type that stands for a reference.
func (g *generator) goType(r facts.Ref) (string, error) {
	t, ok := builtins[r.Name]
	if _, defined := g.schema.kinds[r.Name]; !ok && !defined {
		return "", fmt.Errorf("no type %q", r.Name)
	}
	if !ok {
		t = g.typeName(r.Name)
	}
	if r.List {
		return "[]" + t, nil
	}
	return t, nil
}

// memberType returns the Go type of a member and the option of its tag. What is optional can be told from its zero value:
// a pointer, except for lists, for values that stay as they came, and for alternates, whose zero value is none of them.
// An alternate could not be a pointer: encoding/json would take its null for no pointer.
func (g *generator) memberType(f field) (typ, option string, err error) {
	typ, err = g.goType(f.Type)
	if err != nil || !f.Optional {
		return typ, "", err
	}
	if f.Type.List || f.Type.Name == "any" || g.schema.kinds[f.Type.Name] == facts.Alternate {
		return typ, ",omitzero", nil
	}
	return "*" + typ, ",omitzero", nil
}

// members writes the fields of a struct and returns their names.
func (g *generator) members(b *strings.Builder, owner string, fields []field) (identifiers, error) {
	taken := identifiers{}
	for _, f := range fields {
		if err := taken.take(goName(f.Name), owner+"."+f.Name); err != nil {
			return nil, err
		}
		typ, option, err := g.memberType(f)
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", owner, f.Name, err)
		}
		tag := fmt.Sprintf("json:%q", f.Name+option)
		if f.tag != "" {
			tag += fmt.Sprintf(" qapi:%q", f.tag)
		}
		fmt.Fprintf(b, "\t%s %s `%s`%s\n", goName(f.Name), typ, tag, comment(f.note))
	}
	return taken, nil
}

func comment(text string) string {
	if text == "" {
		return ""
	}
	return " // " + text
}

// doc writes the comment of a definition.
func (d *definition) doc(b *strings.Builder, goName, what string) {
	fmt.Fprintf(b, "\n// %s %s. See qapi/%s.json: %s.", goName, what, d.module, d.name)
	for _, note := range d.notes {
		b.WriteString(" " + note)
	}
	b.WriteByte('\n')
	if d.deprecated {
		b.WriteString("//\n// Deprecated: QEMU has marked it so.\n")
	}
}

func (g *generator) writeType(d definition) error {
	name := g.typeName(d.name)
	if err := g.taken.take(name, "type "+d.name); err != nil {
		return err
	}
	b := g.file(d.module)
	var err error
	switch d.kind {
	case facts.Enum:
		err = g.writeEnum(b, d, name)
	case facts.Struct:
		d.doc(b, name, "is a struct")
		fmt.Fprintf(b, "type %s struct {\n", name)
		_, err = g.members(b, d.name, d.fields)
		b.WriteString("}\n")
	case facts.Union:
		err = g.writeUnion(b, d, name)
	case facts.Alternate:
		err = g.writeAlternate(b, d, name)
	default:
		err = fmt.Errorf("%s: unknown kind %q", d.name, d.kind)
	}
	if d.kind != facts.Enum {
		g.constructors = append(g.constructors, name)
	}
	return err
}

func (g *generator) writeEnum(b *strings.Builder, d definition, name string) error {
	d.doc(b, name, "is an enum")
	fmt.Fprintf(b, "type %s string\n\n// The values of %s.\nconst (\n", name, name)
	for _, v := range d.fields {
		constant := name + goName(v.Name)
		if err := g.taken.take(constant, d.name+"."+v.Name); err != nil {
			return err
		}
		fmt.Fprintf(b, "\t%s %s = %q%s\n", constant, name, v.Name, comment(v.note))
	}
	b.WriteString(")\n")
	return nil
}

// writeUnion writes a struct of the common members and one pointer for each branch. See union.go of package qapi.
func (g *generator) writeUnion(b *strings.Builder, d definition, name string) error {
	d.doc(b, name, "is a union by "+goName(d.discriminator))
	if !slices.ContainsFunc(d.fields, func(f field) bool { return f.Name == d.discriminator }) {
		return fmt.Errorf("%s: no member %s", d.name, d.discriminator)
	}
	for i, f := range d.fields {
		switch inBranch := g.inBranch(d, f.Name); {
		case f.Name == d.discriminator:
			d.fields[i].tag = ",discriminator"
		case inBranch && f.only == onlyOld: // it has moved from here to the branch
			d.fields[i].tag = ",moved"
		case inBranch:
			return fmt.Errorf("%s: %s is also in a branch", d.name, f.Name)
		}
	}
	fmt.Fprintf(b, "type %s struct {\n", name)
	taken, err := g.members(b, d.name, d.fields)
	if err != nil {
		return err
	}
	for _, br := range d.branches {
		if err := taken.take(goName(br.Name), d.name+": branch "+br.Name); err != nil {
			return err
		}
		typ, err := g.goType(br.Type)
		if err != nil {
			return fmt.Errorf("%s: branch %s: %w", d.name, br.Name, err)
		}
		fmt.Fprintf(b, "\t%s *%s `json:\"-\" qapi:\"%s\"`%s\n", goName(br.Name), typ, br.Name, comment(br.note))
	}
	b.WriteString("}\n")
	methods(b, name, "Union")
	return nil
}

func (g *generator) inBranch(d definition, member string) bool {
	return slices.ContainsFunc(d.branches, func(br field) bool {
		return slices.ContainsFunc(g.schema.fields[br.Type.Name], func(f field) bool { return f.Name == member })
	})
}

// methods writes the two methods of a union or alternate. They pass a copy of the type that has no methods on, for
// encoding/json to do the rest.
func methods(b *strings.Builder, name, sort string) {
	fmt.Fprintf(b, `
// MarshalJSON implements json.Marshaler.
func (u %[1]s) MarshalJSON() ([]byte, error) {
	type plain %[1]s
	return marshal%[2]s(%[1]q, (*plain)(&u))
}

// UnmarshalJSON implements json.Unmarshaler.
func (u *%[1]s) UnmarshalJSON(b []byte) error {
	type plain %[1]s
	*u = %[1]s{}
	return unmarshal%[2]s(%[1]q, b, (*plain)(u))
}
`, name, sort)
}

// writeAlternate writes a struct of one pointer for each branch, tagged with the form that tells the branch on the wire.
func (g *generator) writeAlternate(b *strings.Builder, d definition, name string) error {
	d.doc(b, name, "is an alternate: exactly one member is set")
	fmt.Fprintf(b, "type %s struct {\n", name)
	for _, br := range d.branches {
		typ, form := "*struct{}", "null"
		if br.Type.Name != "null" {
			t, err := g.goType(br.Type)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", d.name, br.Name, err)
			}
			typ, form = t, g.form(br.Type)
			if !br.Type.List {
				typ = "*" + t
			}
		}
		fmt.Fprintf(b, "\t%s %s `json:\"-\" qapi:\"%s\"`%s\n", goName(br.Name), typ, form, comment(br.note))
	}
	b.WriteString("}\n")
	methods(b, name, "Alternate")
	return nil
}

// form returns what values of the type are in JSON.
func (g *generator) form(r facts.Ref) string {
	switch k := g.schema.kinds[r.Name]; {
	case r.List:
		return "array"
	case r.Name == "bool":
		return "bool"
	case r.Name == "str" || k == facts.Enum:
		return "string"
	case k == facts.Struct || k == facts.Union:
		return "object"
	}
	return "number"
}
