package main

import (
	"fmt"
	"go/token"
	"strings"
	"unicode"
)

// camel turns a name of the API into a Go name: every part between characters that Go has not begins upper case.
func camel(name string) string {
	var b strings.Builder
	for part := range strings.FieldsFuncSeq(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	s := b.String()
	if s == "" || !token.IsIdentifier(s) {
		s = "X" + s
	}
	return s
}

// typeName is the name of the typed request: the method and all segments of the path; a parameter counts only at the end.
func (e *endpoint) typeName() string {
	segments := strings.Split(strings.Trim(e.Path, "/"), "/")
	name := camel(strings.ToLower(e.Method))
	for i, s := range segments {
		inner, isParam := strings.CutPrefix(s, "{")
		if isParam && i < len(segments)-1 {
			continue
		}
		if s != "" {
			name += camel(strings.TrimSuffix(inner, "}"))
		}
	}
	return name
}

// names hands out each Go name once.
type names map[string]string

func (n names) take(name, owner string) error {
	if other, ok := n[name]; ok {
		return fmt.Errorf("%s and %s are both named %s", other, owner, name)
	}
	n[name] = owner
	return nil
}

// room is the file into which the types of an endpoint go.
func (e *endpoint) room() string {
	segments := strings.Split(strings.Trim(e.Path, "/"), "/")
	switch segments[0] {
	case "access", "cluster":
	case "nodes":
		if len(segments) > 2 {
			switch segments[2] {
			case "qemu", "lxc", "storage", "ceph":
				return "nodes_" + segments[2]
			}
		}
	default:
		return "root"
	}
	if segments[0] == "cluster" && len(segments) > 1 && segments[1] == "sdn" {
		return "cluster_sdn"
	}
	return segments[0]
}
