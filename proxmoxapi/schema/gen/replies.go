package main

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// replies prints the types of answers.
type replies struct {
	taken names
}

// wire says how a member really travels where PVE's schema says otherwise.
type wire int

const (
	asDeclared wire = iota
	asText          // a number that is sent as text
	asAny           // a number or a text, as the stored value is
)

// observed returns how the member of an answer of e travels (conventions: a number that was also used as text is text, and
// the values of pending options have the type of the option).
func observed(e *endpoint, member string) wire {
	last := e.Path[strings.LastIndexByte(e.Path, '/')+1:]
	switch {
	case member == "port" && (last == "vncproxy" || last == "termproxy" || last == "vncshell"):
		return asText
	case last == "pending" && (member == "value" || member == "pending"):
		return asAny
	}
	return asDeclared
}

// write prints the type of the answer of e, if its shape is declared.
func (r *replies) write(b *bytes.Buffer, e *endpoint) error {
	ret := e.Returns
	if ret == nil {
		return nil
	}
	name := e.typeName()
	switch {
	case isObject(ret):
		return r.object(b, e, name+"Reply", fmt.Sprintf("is the answer of %s %s", e.Method, e.Path), ret)
	case ret.Type == "array" && ret.Items != nil && isObject(ret.Items):
		return r.object(b, e, name+"Row", fmt.Sprintf("is an element of the answer of %s %s", e.Method, e.Path), ret.Items)
	}
	return nil
}

// isObject tells whether p has members to make fields of; families would make hundreds.
func isObject(p *prop) bool {
	if p.Type != "object" && p.Type != "" || len(p.Properties) == 0 {
		return false
	}
	for name := range p.Properties {
		if strings.HasSuffix(name, "[n]") {
			return false
		}
	}
	return true
}

func (r *replies) object(b *bytes.Buffer, e *endpoint, name, what string, p *prop) error {
	if err := r.taken.take(name, e.Method+" "+e.Path); err != nil {
		return err
	}
	var inner bytes.Buffer
	fmt.Fprintf(b, "// %s %s.\ntype %s struct{\n", name, what, name)
	fields := names{}
	for _, member := range slices.Sorted(maps.Keys(p.Properties)) {
		field := camel(member)
		if err := fields.take(field, member); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		m := p.Properties[member]
		goType, err := r.memberType(&inner, e, name, member, m)
		if err != nil {
			return err
		}
		tag := member
		if m.Optional != 0 {
			tag += ",omitempty"
			if !strings.HasPrefix(goType, "[]") && !strings.HasPrefix(goType, "map[") && goType != "any" {
				goType = "*" + goType
			}
		}
		switch observed(e, member) {
		case asText:
			tag += ",string"
		case asAny:
			goType = "any"
		}
		fmt.Fprintf(b, "%s %s `json:\"%s\"`\n", field, goType, tag)
	}
	b.WriteString("}\n\n")
	b.Write(inner.Bytes())
	return nil
}

// memberType returns the Go type of a member; types of its own go to b.
func (r *replies) memberType(b *bytes.Buffer, e *endpoint, owner, member string, p *prop) (string, error) {
	switch p.Type {
	case "string":
		return "string", nil
	case "integer":
		return "int64", nil
	case "number":
		return "float64", nil
	case "boolean":
		return "Bool", nil
	case "array":
		if p.Items == nil || len(p.OneOf) > 0 && p.Items.Type == "" {
			return "[]any", nil
		}
		inner, err := r.memberType(b, e, owner, member, p.Items)
		return "[]" + inner, err
	}
	if isObject(p) {
		name := owner + camel(member)
		return name, r.object(b, e, name, fmt.Sprintf("is the member %q of %s", member, owner), p)
	}
	if p.Type == "object" {
		values := new(prop)
		if raw := p.AdditionalProperties; len(raw) > 0 && raw[0] == '{' {
			if err := unmarshalProp(raw, values); err != nil {
				return "", err
			}
		}
		inner, err := r.memberType(b, e, owner, member, values)
		return "map[string]" + inner, err
	}
	return "any", nil
}
