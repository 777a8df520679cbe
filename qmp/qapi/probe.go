package qapi

import (
	"context"
	"slices"
)

// Schema is what one running QEMU has: its version, build options and target decide. It does not change while QEMU runs
// and is safe for concurrent use.
type Schema struct {
	commands map[string]*SchemaInfo
	events   map[string]*SchemaInfo
	types    map[string]*SchemaInfo
}

// Probe asks QEMU for its schema, a reply of some 200 KB that QEMU needs tens of milliseconds for: keep it. See
// qapi/introspect.json: query-qmp-schema.
func Probe(ctx context.Context, c Client) (*Schema, error) {
	list, err := QueryQMPSchema(ctx, c)
	if err != nil {
		return nil, err
	}
	return NewSchema(list), nil
}

// NewSchema makes a schema of the reply to query-qmp-schema, which must not be changed any more.
func NewSchema(list []SchemaInfo) *Schema {
	s := &Schema{commands: map[string]*SchemaInfo{}, events: map[string]*SchemaInfo{}, types: map[string]*SchemaInfo{}}
	for i := range list {
		e := &list[i]
		switch e.MetaType {
		case SchemaMetaTypeCommand:
			s.commands[e.Name] = e
		case SchemaMetaTypeEvent:
			s.events[e.Name] = e
		default: // the names of types are numbers, as QEMU masks them
			s.types[e.Name] = e
		}
	}
	return s
}

// HasCommand tells whether the command is there.
func (s *Schema) HasCommand(name string) bool { return s.commands[name] != nil }

// HasEvent tells whether QEMU may raise the event.
func (s *Schema) HasEvent(name string) bool { return s.events[name] != nil }

// HasFeature tells whether the command has a special feature, such as "deprecated" or "savevm-monitor-nodes".
func (s *Schema) HasFeature(command, feature string) bool {
	c := s.commands[command]
	return c != nil && slices.Contains(c.Features, feature)
}

// HasArgument tells whether the command takes the argument at the end of path, which leads through the members of objects.
// A member of any branch of a union counts, and lists are looked into: HasArgument("migrate-set-parameters",
// "block-bitmap-mapping", "bitmaps"). Without a path it tells whether the command is there.
func (s *Schema) HasArgument(command string, path ...string) bool {
	return len(s.argument(command, path)) > 0
}

// HasArgumentValue tells whether the argument at the end of path is an enum that knows the value:
// HasArgumentValue("blockdev-add", "io_uring", "driver").
func (s *Schema) HasArgumentValue(command, value string, path ...string) bool {
	return slices.ContainsFunc(s.argument(command, path), func(typ string) bool { return s.hasValue(typ, value, map[string]bool{}) })
}

// HasEventMember tells whether the event's data have the member.
func (s *Schema) HasEventMember(event, member string) bool {
	e := s.events[event]
	return e != nil && e.Event != nil && len(s.members(e.Event.ArgType, member, map[string]bool{})) > 0
}

// HasResult tells whether the reply to the command has the member at the end of path.
func (s *Schema) HasResult(command string, path ...string) bool {
	c := s.commands[command]
	return c != nil && c.Command != nil && len(s.walk(c.Command.RetType, path)) > 0
}

// argument returns the types that the argument has: several, where branches differ.
func (s *Schema) argument(command string, path []string) []string {
	c := s.commands[command]
	if c == nil || c.Command == nil {
		return nil
	}
	return s.walk(c.Command.ArgType, path)
}

func (s *Schema) walk(typ string, path []string) []string {
	types := []string{typ}
	for _, member := range path {
		var next []string
		seen := map[string]bool{}
		for _, t := range types {
			next = append(next, s.members(t, member, seen)...)
		}
		slices.Sort(next)
		types = slices.Compact(next)
	}
	return types
}

// members returns the types of the named member in the type, its branches, alternatives or elements. seen are the types
// looked into already: a schema may be recursive, and QEMU may be hostile.
func (s *Schema) members(typ, member string, seen map[string]bool) []string {
	t := s.types[typ]
	if t == nil || seen[typ] {
		return nil
	}
	seen[typ] = true
	var found []string
	switch {
	case t.Object != nil:
		for _, m := range t.Object.Members {
			if m.Name == member {
				found = append(found, m.Type)
			}
		}
		for _, v := range t.Object.Variants {
			found = append(found, s.members(v.Type, member, seen)...)
		}
	case t.Alternate != nil:
		for _, m := range t.Alternate.Members {
			found = append(found, s.members(m.Type, member, seen)...)
		}
	case t.Array != nil:
		found = s.members(t.Array.ElementType, member, seen)
	}
	return found
}

func (s *Schema) hasValue(typ, value string, seen map[string]bool) bool {
	t := s.types[typ]
	if t == nil || seen[typ] {
		return false
	}
	seen[typ] = true
	switch {
	case t.Enum != nil: // before 6.2 QEMU gives the values alone, and some day the members alone
		return slices.Contains(t.Enum.Values, value) ||
			slices.ContainsFunc(t.Enum.Members, func(m SchemaInfoEnumMember) bool { return m.Name == value })
	case t.Array != nil:
		return s.hasValue(t.Array.ElementType, value, seen)
	case t.Alternate != nil:
		return slices.ContainsFunc(t.Alternate.Members, func(m SchemaInfoAlternateMember) bool { return s.hasValue(m.Type, value, seen) })
	}
	return false
}
