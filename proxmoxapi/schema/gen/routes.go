package main

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// node is a segment of the tree of paths.
type node struct {
	children map[string]*node
	param    *node
	name     string // of the parameter
	rest     bool
	methods  map[string]int // method → index in the table of endpoints
}

func newNode() *node { return &node{children: map[string]*node{}, methods: map[string]int{}} }

// methodOrder is the order of route.methods.
var methodOrder = []string{"GET", "POST", "PUT", "DELETE"}

// writeRoutes prints the tree that Lookup walks.
func writeRoutes(b *bytes.Buffer, s *schemaFile) error {
	root := newNode()
	for i, e := range s.Endpoints {
		if err := root.insert(e, i); err != nil {
			return err
		}
	}
	b.WriteString("// routes is the tree of all paths.\nvar routes = route{")
	root.write(b)
	b.WriteString("}\n")
	return nil
}

func (n *node) insert(e *endpoint, index int) error {
	if !slices.Contains(methodOrder, e.Method) {
		return fmt.Errorf("%s %s: unknown method", e.Method, e.Path)
	}
	for seg := range strings.FieldsFuncSeq(e.Path, func(r rune) bool { return r == '/' }) {
		name, isParam := strings.CutPrefix(seg, "{")
		if !isParam {
			if n.children[seg] == nil {
				n.children[seg] = newNode()
			}
			n = n.children[seg]
			continue
		}
		name = strings.TrimSuffix(name, "}")
		if n.param == nil {
			n.param = newNode()
			n.param.name = name
			n.param.rest = e.RestParam == name
		}
		if n.param.name != name || n.param.rest != (e.RestParam == name) {
			return fmt.Errorf("%s: parameter %s meets %s", e.Path, name, n.param.name)
		}
		n = n.param
	}
	n.methods[e.Method] = index
	return nil
}

func (n *node) write(b *bytes.Buffer) {
	if n.name != "" {
		fmt.Fprintf(b, "param: %q,", n.name)
	}
	if n.rest {
		b.WriteString("rest: true,")
	}
	if len(n.methods) > 0 {
		b.WriteString("methods: [4]*Endpoint{")
		for i, m := range methodOrder {
			if index, ok := n.methods[m]; ok {
				fmt.Fprintf(b, "%d: &endpoints[%d],", i, index)
			}
		}
		b.WriteString("},")
	}
	if len(n.children) > 0 {
		b.WriteString("children: []route{\n")
		for _, seg := range slices.Sorted(maps.Keys(n.children)) {
			fmt.Fprintf(b, "{segment: %q,", seg)
			n.children[seg].write(b)
			b.WriteString("},\n")
		}
		b.WriteString("},")
	}
	if n.param != nil {
		b.WriteString("variable: &route{")
		n.param.write(b)
		b.WriteString("},")
	}
}
