package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

func unmarshalProp(raw []byte, p *prop) error { return json.Unmarshal(raw, p) }

// writeTables prints the tables of names.
func writeTables(b *bytes.Buffer, t *tablesFile) {
	list := func(name, what string, values []string) {
		fmt.Fprintf(b, "// %s are %s.\nvar %s = [...]string{%s}\n\n", name, what, name,
			strings.Trim(strings.TrimPrefix(stringSlice(values), "[]string"), "{}"))
	}
	list("privileges", "the names of all privileges", t.Tables.Privileges)
	list("cpuModelsBuiltin", "the CPU models that PVE itself defines", t.Tables.CPUModelsBuiltin)
	list("cpuModels", "all known CPU models", t.Tables.CPUModelsAll)
	list("cpuFlags", "the CPU flags that a VM's configuration may switch", t.Tables.CPUFlagsVM)
	list("icmpTypes4", "the names of ICMP types", t.Tables.ICMPTypes4)
	list("icmpTypes6", "the names of ICMPv6 types", t.Tables.ICMPTypes6)
	fmt.Fprintf(b, "// builtinRoles are the roles that always exist.\nvar builtinRoles = [...]role{\n")
	for _, name := range slices.Sorted(maps.Keys(t.Tables.BuiltinRoles)) {
		fmt.Fprintf(b, "{name: %q, privs: %s},\n", name, stringSlice(t.Tables.BuiltinRoles[name]))
	}
	b.WriteString("}\n")
}

// writeFormats prints the table of property-string formats. checks are the formats that have a check of the whole.
func writeFormats(b *bytes.Buffer, s *schemaFile, l *pool, checks map[string]string) error {
	for name := range checks {
		if s.Formats[name] == nil {
			return fmt.Errorf("check for format %s, which does not exist", name)
		}
	}
	b.WriteString("// formats are the formats of property strings, sorted by name.\nvar formats = [...]pveconf.NamedProperty{\n")
	for _, name := range slices.Sorted(maps.Keys(s.Formats)) {
		extra := ""
		if fn := checks[name]; fn != "" {
			extra = "Check: " + fn
		}
		literal, err := l.literal(&prop{Type: "object", Properties: s.Formats[name], AdditionalProperties: []byte("0")}, extra)
		if err != nil {
			return fmt.Errorf("format %s: %w", name, err)
		}
		fmt.Fprintf(b, "{Name: %q, Property: &%s},\n", name, l.variable(literal))
	}
	b.WriteString("}\n")
	return nil
}
