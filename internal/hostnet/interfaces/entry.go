package interfaces

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// File is the content of an interfaces file.
type File struct {
	Ifaces map[string]Entry // by name
	Global []Line           // lines that belong to no interface, in their order
}

// Line is a line outside of all stanzas. Its priority is its place among lines and interfaces, from 2 on.
type Line struct {
	Priority int
	Text     string
}

// Family is an address family of a stanza: inet, inet6, or empty for a stanza that names none. Empty is null in JSON.
type Family string

// The families that a stanza may name.
const (
	Inet  Family = "inet"
	Inet6 Family = "inet6"
)

// MarshalJSON prints the family.
func (f Family) MarshalJSON() ([]byte, error) {
	if f == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(f))
}

// UnmarshalJSON reads a family.
func (f *Family) UnmarshalJSON(data []byte) error {
	var s *string
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	*f = ""
	if s != nil {
		*f = Family(*s)
	}
	return nil
}

// Types of interfaces, the value of the key type.
const (
	TypeAlias      = "alias"
	TypeBond       = "bond"
	TypeBridge     = "bridge"
	TypeDummy      = "dummy"
	TypeEth        = "eth"
	TypeLoopback   = "loopback"
	TypeOVSBond    = "OVSBond"
	TypeOVSBridge  = "OVSBridge"
	TypeOVSIntPort = "OVSIntPort"
	TypeOVSPort    = "OVSPort"
	TypeUnknown    = "unknown"
	TypeVLAN       = "vlan"
	TypeVXLAN      = "vxlan"
)

// Entry is an interface as the API shows it: its properties by their API names. The set is open, since a file may hold
// any option that the API knows with any type. Values are string, int (priority, and the flags active, autostart, exists,
// bridge_vlan_aware), nil (an exists that is not known), []string (options, options6, vxlan-remoteip, altnames) or
// []Family (families).
type Entry map[string]any

// Clone returns a copy that shares nothing.
func (e Entry) Clone() Entry {
	c := maps.Clone(e)
	for key, v := range c {
		switch v := v.(type) {
		case []string:
			c[key] = slices.Clone(v)
		case []Family:
			c[key] = slices.Clone(v)
		}
	}
	return c
}

// Text returns a property as text, empty when it is unset or a list.
func (e Entry) Text(key string) string {
	switch v := e[key].(type) {
	case string:
		return v
	case int:
		return strconv.Itoa(v)
	}
	return ""
}

// Type returns the type, empty for an entry that only stands for a missing parent.
func (e Entry) Type() string { return e.Text("type") }

// Families returns the families of the stanzas.
func (e Entry) Families() []Family {
	f, _ := e["families"].([]Family)
	return f
}

// Strings returns a list, nil when it is unset or no list.
func (e Entry) Strings(key string) []string {
	s, _ := e[key].([]string)
	return s
}

// defined reports whether the property is there and not null.
func (e Entry) defined(key string) bool { return e[key] != nil }

// true reports whether the property is set, not empty and not 0.
func (e Entry) true(key string) bool {
	t := e.Text(key)
	return t != "" && t != "0"
}

// number returns a property as a number, 0 if it is none.
func (e Entry) number(key string) int {
	n, err := strconv.Atoi(e.Text(key))
	if err != nil {
		return 0
	}
	return n
}

func (e Entry) addString(key, value string) { e[key] = append(e.Strings(key), value) }

// names splits a list of interfaces at blanks, as in a file.
func (e Entry) names(key string) []string { return strings.Fields(e.Text(key)) }

// UnmarshalJSON reads an entry as the API shows it or takes it.
func (e *Entry) UnmarshalJSON(data []byte) error {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	*e = Entry{}
	for key, value := range raw {
		v, err := decodeValue(key, value)
		if err != nil {
			return err
		}
		(*e)[key] = v
	}
	return nil
}

func decodeValue(key string, data json.RawMessage) (any, error) {
	if key == "families" {
		var f []Family
		err := json.Unmarshal(data, &f)
		return f, err
	}
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return nil, err
	}
	switch x := v.(type) {
	case float64:
		return int(x), nil
	case bool:
		if x {
			return 1, nil
		}
		return 0, nil
	case []any:
		list := make([]string, 0, len(x))
		for _, item := range x {
			if s, ok := item.(string); ok {
				list = append(list, s)
			}
		}
		return list, nil
	case map[string]any:
		return nil, nil
	}
	return v, nil
}
