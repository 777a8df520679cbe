package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/turtacn/go-proxmox/qmp/qapi/internal/facts"
)

// byHand are the commands that package qapi writes itself, with the reason.
var byHand = map[string]string{
	"device_add": "takes the device's properties, too, which are not in the schema",
}

// maxPositional is up to how many arguments become parameters. More, or any that may be left out, make a struct.
const maxPositional = 3

func (g *generator) writeCommand(d definition) error {
	if byHand[d.name] != "" {
		return nil
	}
	name := goName(d.name)
	if err := g.taken.take(name, "command "+d.name); err != nil {
		return err
	}
	b := g.file(d.module)
	params, args := "", "nil"
	switch {
	case d.argumentType != "":
		params, args = ", args *"+g.typeName(d.argumentType), "args"
	case len(d.fields) == 0:
	case len(d.fields) <= maxPositional && !slices.ContainsFunc(d.fields, func(f field) bool { return f.Optional }):
		var err error
		if params, args, err = g.positional(d); err != nil {
			return err
		}
	default:
		if err := g.writeArgs(b, d, name+"Args"); err != nil {
			return err
		}
		params, args = ", args *"+name+"Args", "args"
	}
	d.doc(b, name, "executes "+d.name)
	return g.writeBody(b, d, fmt.Sprintf("func %s(ctx context.Context, c Client%s)", name, params), args)
}

func (g *generator) writeBody(b *strings.Builder, d definition, head, args string) error {
	if d.returns == nil {
		fmt.Fprintf(b, "%s error {\n\treturn c.Do(ctx, %q, %s, nil)\n}\n", head, d.name, args)
		return nil
	}
	typ, err := g.goType(*d.returns)
	if err != nil {
		return fmt.Errorf("%s: %w", d.name, err)
	}
	if k := g.schema.kinds[d.returns.Name]; !d.returns.List && (k == facts.Struct || k == facts.Union) {
		fmt.Fprintf(b, "%s (*%s, error) {\n\treturn ask[%s](ctx, c, %q, %s)\n}\n", head, typ, typ, d.name, args)
		return nil
	}
	fmt.Fprintf(b, "%s (%s, error) {\n\tvar out %s\n\terr := c.Do(ctx, %q, %s, &out)\n\treturn out, err\n}\n", head, typ, typ, d.name, args)
	return nil
}

// positional returns the parameters and the expression of the arguments made from them. A value that may be anything is
// any here: it is only written.
func (g *generator) positional(d definition) (params, args string, err error) {
	var fields, values []string
	for _, f := range d.fields {
		typ := "any"
		if f.Type.Name != "any" {
			if typ, err = g.goType(f.Type); err != nil {
				return "", "", fmt.Errorf("%s: %w", d.name, err)
			}
		}
		params += ", " + paramName(f.Name) + " " + typ
		fields = append(fields, fmt.Sprintf("%s %s `json:%q`", goName(f.Name), typ, f.Name))
		values = append(values, paramName(f.Name))
	}
	return params, fmt.Sprintf("struct {\n%s\n}{%s}", strings.Join(fields, "\n"), strings.Join(values, ", ")), nil
}

func (g *generator) writeArgs(b *strings.Builder, d definition, name string) error {
	if err := g.taken.take(name, "arguments of "+d.name); err != nil {
		return err
	}
	fmt.Fprintf(b, "\n// %s are the arguments of %s.\ntype %s struct {\n", name, goName(d.name), name)
	if _, err := g.members(b, d.name, d.fields); err != nil {
		return err
	}
	b.WriteString("}\n")
	g.constructors = append(g.constructors, name)
	return nil
}

// writeEvent writes the constant of the event's name, the type of its data, and the way from one to the other.
func (g *generator) writeEvent(d definition) error {
	constant, name := "Event"+goName(d.name), goName(d.name)+"Event"
	for _, id := range []string{constant, name} {
		if err := g.taken.take(id, "event "+d.name); err != nil {
			return err
		}
	}
	b := g.file(d.module)
	if d.argumentType != "" {
		d.fields = g.schema.fields[d.argumentType]
	}
	fmt.Fprintf(b, "\n// %s is the name of a [%s].\nconst %s = %q\n", constant, name, constant, d.name)
	d.doc(b, name, "is the data of "+d.name)
	fmt.Fprintf(b, "type %s struct {\n", name)
	if _, err := g.members(b, d.name, d.fields); err != nil {
		return err
	}
	fmt.Fprintf(b, "}\n\n// EventName implements [Event].\nfunc (%s) EventName() string { return %s }\n", name, constant)
	g.events = append(g.events, goName(d.name))
	return nil
}
