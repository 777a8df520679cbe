// Package facts holds the names, types and versions of QEMU's QAPI schema, as two releases of QEMU have them: the pinned
// input of the generator of package qapi, and what its tests compare a running QEMU with.
//
// A file lists commands, events and types by name. Built-in types are those of QAPI: str, int, number, bool, int8 … int64,
// uint8 … uint64, size, null and any. No text of QEMU's documentation is in them.
package facts

import (
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/json"
	"fmt"
	"slices"
)

//go:embed qemu-*.json.gz
var files embed.FS

// The releases that are known, oldest first.
const (
	Old = "7.2"
	New = "10.0"
)

// Schema is the schema of one release.
type Schema struct {
	QEMU     string             `json:"qemu"`
	Commands map[string]Command `json:"commands"`
	Events   map[string]Command `json:"events"` // of which only the arguments are used
	Types    map[string]Type    `json:"types"`
}

// Command is a command, or an event with its data as arguments.
type Command struct {
	Arguments    []Member `json:"arguments"`
	ArgumentType string   `json:"argumentType"` // in place of Arguments
	Returns      *Ref     `json:"returns"`
	Common
}

// Kind tells the sorts of types.
type Kind string

// The kinds.
const (
	Struct    Kind = "struct"
	Enum      Kind = "enum"
	Union     Kind = "union"
	Alternate Kind = "alternate"
)

// Type is a type that the schema defines.
type Type struct {
	Kind          Kind     `json:"kind"`
	Base          string   `json:"base"` // a struct whose members come first
	Members       []Member `json:"members"`
	Values        []Member `json:"values"` // of an enum; names only
	Discriminator string   `json:"discriminator"`
	Branches      []Member `json:"branches"` // of a union by the discriminator's value; of an alternate
	Common
}

// Common is what all definitions have.
type Common struct {
	Module   string   `json:"module"` // the schema's file: qapi/MODULE.json
	Since    string   `json:"since"`
	Features []string `json:"features"` // "deprecated", "unstable", …
	// If is the condition of the build, for those that not every QEMU has; else it is empty.
	If json.RawMessage `json:"if"`
}

// Member is a member, an argument, a value or a branch.
type Member struct {
	Name     string          `json:"name"`
	Type     Ref             `json:"type"`
	Optional bool            `json:"optional"`
	Since    string          `json:"since"`
	Features []string        `json:"features"`
	If       json.RawMessage `json:"if"` // as in Common
}

// Ref names a type, or a list of it.
type Ref struct {
	Name string
	List bool
}

// UnmarshalJSON reads "T" or ["T"].
func (r *Ref) UnmarshalJSON(b []byte) error {
	if json.Unmarshal(b, &r.Name) == nil {
		return nil
	}
	var list []string
	if err := json.Unmarshal(b, &list); err != nil || len(list) != 1 {
		return fmt.Errorf("facts: %s is no type", b)
	}
	r.Name, r.List = list[0], true
	return nil
}

// Has tells whether the list of features has name.
func Has(features []string, name string) bool { return slices.Contains(features, name) }

// Load returns the schema of a release, Old or New.
func Load(release string) (*Schema, error) {
	packed, err := files.ReadFile("qemu-" + release + ".json.gz")
	if err != nil {
		return nil, fmt.Errorf("facts: %w", err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("facts: %s: %w", release, err)
	}
	s := &Schema{}
	if err := json.NewDecoder(z).Decode(s); err != nil {
		return nil, fmt.Errorf("facts: %s: %w", release, err)
	}
	return s, nil
}

// All returns the members of a struct or union with those of its bases, which come first. The branches of a union are not
// among them.
func (s *Schema) All(name string) []Member {
	t := s.Types[name]
	if t.Base == "" {
		return t.Members
	}
	return slices.Concat(s.All(t.Base), t.Members)
}

// Args returns the arguments of a command or the data of an event whose type is a struct, or nothing for a union.
func (s *Schema) Args(c Command) []Member {
	if c.ArgumentType == "" {
		return c.Arguments
	}
	return s.All(c.ArgumentType)
}
