package main

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// manyParams is the number of parameters from which a request is a configuration rather than a call.
const manyParams = 25

// configShaped tells whether the request keeps its parameters as a map: those that carry a configuration, whose keys are
// data for the code behind.
func (e *endpoint) configShaped() bool {
	for name := range e.Params {
		if strings.HasSuffix(name, "[n]") {
			return true
		}
	}
	return len(e.Params) > manyParams || e.Method+" "+e.Path == "PUT /cluster/options"
}

// writeRequest prints the typed request of e, the endpoint with that index.
func writeRequest(b *bytes.Buffer, e *endpoint, index int) error {
	name := e.typeName()
	params := maps.Clone(e.Params)
	if params == nil {
		params = map[string]*prop{}
	}
	for _, p := range e.PathParams { // some are missing in the list of parameters
		if params[p] == nil {
			params[p] = &prop{Type: "string"}
		}
	}
	config := e.configShaped()
	if config {
		maps.DeleteFunc(params, func(p string, _ *prop) bool { return !slices.Contains(e.PathParams, p) })
	}
	var fields, decode bytes.Buffer
	taken := names{}
	for _, p := range slices.Sorted(maps.Keys(params)) {
		field := camel(p)
		if field == "Endpoint" { // the name of the method that every request has
			field = "EndpointParam"
		}
		if err := taken.take(field, p); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		goType, getter := paramType(params[p])
		omit := ""
		if params[p].Optional != 0 {
			omit = ",omitempty"
		}
		fmt.Fprintf(&fields, "%s %s `json:\"%s%s\"`\n", field, goType, p, omit)
		fmt.Fprintf(&decode, "r.%s = p.%s(%q)\n", field, getter, p)
	}
	what := fmt.Sprintf("// %s is the request %s %s.\n", name, e.Method, e.Path)
	if config {
		what += "// Params has all parameters but those of the path.\n"
		fields.WriteString("Params Params `json:\"-\"`\n")
		fmt.Fprintf(&decode, "r.Params = p.Without(%s)\n", strings.Trim(strings.TrimPrefix(stringSlice(e.PathParams), "[]string"), "{}"))
	}
	if fields.Len() > 0 {
		fmt.Fprintf(b, "%stype %s struct{\n%s}\n\n", what, name, fields.String())
	} else {
		fmt.Fprintf(b, "%stype %s struct{}\n\n", what, name)
	}
	fmt.Fprintf(b, "// Endpoint returns the description of %s %s.\nfunc (%s) Endpoint() *Endpoint { return &endpoints[%d] }\n\n", e.Method, e.Path, name, index)
	if decode.Len() > 0 {
		fmt.Fprintf(b, "func (r *%s) decode(p Params) {\n%s}\n\n", name, decode.String())
	} else {
		fmt.Fprintf(b, "func (*%s) decode(Params) {}\n\n", name)
	}
	return nil
}

// paramType returns the Go type of a parameter and the method of Params that reads it.
func paramType(p *prop) (goType, getter string) {
	optional := p.Optional != 0
	pick := func(base, plain, opt string) (string, string) {
		if optional {
			return "*" + base, opt
		}
		return base, plain
	}
	switch p.Type {
	case "integer":
		return pick("int64", "Int", "optInt")
	case "number":
		return pick("float64", "Float", "optFloat")
	case "boolean":
		return pick("bool", "Bool", "optBool")
	case "array":
		switch {
		case p.Items == nil:
			return "[]any", "list"
		case p.Items.Type == "integer":
			return "[]int64", "ints"
		case p.Items.Type == "string":
			return "[]string", "Strings"
		}
		return "[]any", "list"
	}
	return pick("string", "String", "optString")
}
