package pveconf

import (
	"slices"
	"strings"
)

// Property is one node of PVE's dialect of JSON schema: a parameter, a member of an object, an element of an array, a key
// of a property string, or the object of all parameters of a method. Properties are shared freely and never change once
// built; every function of this package only reads them.
type Property struct {
	// Type is "string", "integer", "number", "boolean", "array", "object", "null" or "any". Empty is as "any".
	Type string
	// Format names a rule for the text of a string, or a property-string format, see Formats.
	Format string
	// Enum are the only values allowed, compared as text.
	Enum []string
	// Default is the value that holds when none is given. It is for the reader: Validate never fills it in, and on
	// integers it may be prose. HasDefault tells an empty default from none.
	Default    string
	HasDefault bool

	Minimum, Maximum *float64 // bounds of numbers, inclusive; nil is none
	// MinLength and MaxLength bound the text in characters; zero is no bound.
	MinLength, MaxLength int
	// Pattern is a regular expression that the whole text must match.
	Pattern  string
	Optional bool
	// Requires names a sibling that must be given when this property is.
	Requires string

	Items      *Property       // of arrays
	Properties []NamedProperty // of objects
	// AdditionalProperties says what happens to members that Properties does not list; AdditionalSchema, if set, is what
	// each of them must match.
	AdditionalProperties Additional
	AdditionalSchema     *Property

	// AllOf are schemas that an object must match together; each takes the members it knows.
	AllOf []*Property
	// OneOf are variants; the one whose InstanceTypes hold the value of the sibling TypeProperty applies. On an object
	// schema the type property is a member of the object itself, checked by TypePropertySchema.
	OneOf              []*Property
	InstanceTypes      []string
	TypeProperty       string
	TypePropertySchema *Property
	// RequiredFor are the values of the type property for which an otherwise optional property is mandatory.
	RequiredFor []string

	// DefaultKey marks the key of a property string that may be given without "key=".
	DefaultKey bool
	// Alias names the property that a value given under this name belongs to.
	Alias string
	// KeyAlias names the property that receives the name under which an aliased value was given: in "virtio=MAC" of a
	// network interface, the key itself is the value of "model".
	KeyAlias string
	// Check looks at a whole property string whose keys are valid by themselves. The error is the user's text.
	Check func(values map[string]string) error
}

// NamedProperty is a member of an object.
type NamedProperty struct {
	Name string
	*Property
}

// Additional says how members that an object does not list are treated.
type Additional uint8

const (
	AdditionalUnset   Additional = iota // pass unchecked
	AdditionalRefused                   // an error
	AdditionalAllowed                   // pass unchecked, or checked by AdditionalSchema
)

// Property returns the listed member of that name, nil if there is none. Members sorted by name are found fastest.
func (p *Property) Property(name string) *Property {
	i, ok := slices.BinarySearchFunc(p.Properties, name, func(m NamedProperty, name string) int {
		return strings.Compare(m.Name, name)
	})
	if ok {
		return p.Properties[i].Property
	}
	for i := range p.Properties { // hand-written schemas need not be sorted
		if p.Properties[i].Name == name {
			return p.Properties[i].Property
		}
	}
	return nil
}

// defaultKey returns the name of the key that needs no "key=", empty if there is none.
func (p *Property) defaultKey() string {
	for i := range p.Properties {
		if p.Properties[i].DefaultKey {
			return p.Properties[i].Name
		}
	}
	return ""
}
