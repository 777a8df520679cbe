package qapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// Unions and alternates are structs whose branches are hidden from encoding/json and known by the tag "qapi": for a union
// the discriminator's value, for an alternate the JSON form that tells it ("string", "object", "null", …). The common
// members of a union have the tags:
//
//	,discriminator  the member that names the branch
//	,moved          a member that an older QEMU has here and a newer one in a branch; it counts only without a branch
const (
	tagDiscriminator = ",discriminator"
	tagMoved         = ",moved"
)

// errUnset is a member that must be there and was left zero.
var errUnset = errors.New("nothing is set")

// union is a union struct taken apart.
type union struct {
	name          string
	discriminator reflect.Value // of kind string, or a pointer to one
	moved         []reflect.Value
	branches      []branch
}

type branch struct {
	name  string
	value reflect.Value // a pointer, or a slice
}

func takeApart(name string, plain any) union {
	u := union{name: name}
	v := reflect.ValueOf(plain).Elem()
	for i := range v.NumField() {
		switch tag, ok := v.Type().Field(i).Tag.Lookup("qapi"); {
		case !ok:
		case tag == tagDiscriminator:
			u.discriminator = v.Field(i)
		case tag == tagMoved:
			u.moved = append(u.moved, v.Field(i))
		default:
			u.branches = append(u.branches, branch{tag, v.Field(i)})
		}
	}
	return u
}

// kind returns the discriminator, or "".
func (u *union) kind() string {
	d := u.discriminator
	if d.Kind() == reflect.Pointer {
		if d.IsNil() {
			return ""
		}
		d = d.Elem()
	}
	return d.String()
}

func (u *union) setKind(s string) {
	d := u.discriminator
	if d.Kind() == reflect.Pointer {
		d.Set(reflect.New(d.Type().Elem()))
		d = d.Elem()
	}
	d.SetString(s)
}

// chosen returns the branch that is set, or nil.
func (u *union) chosen() (*branch, error) {
	var found *branch
	for i, b := range u.branches {
		if b.value.IsNil() {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("qapi: %s: both %s and %s are set", u.name, found.name, b.name)
		}
		found = &u.branches[i]
	}
	return found, nil
}

// marshalUnion encodes the common members and the branch as one object. plain points to a copy, which it changes.
func marshalUnion(name string, plain any) ([]byte, error) {
	u := takeApart(name, plain)
	b, err := u.chosen()
	switch kind := u.kind(); {
	case err != nil:
		return nil, err
	case b == nil && kind == "" && u.discriminator.Kind() != reflect.Pointer:
		return nil, fmt.Errorf("qapi: %s: neither a branch nor the discriminator is set: %w", name, errUnset)
	case b == nil:
		return json.Marshal(plain)
	case kind == "":
		u.setKind(b.name)
	case kind != b.name:
		return nil, fmt.Errorf("qapi: %s: it is a %q, but %s is set", name, kind, b.name)
	}
	for _, m := range u.moved {
		m.SetZero()
	}
	common, err := json.Marshal(plain)
	if err != nil {
		return nil, err
	}
	own, err := json.Marshal(b.value.Interface())
	if err != nil {
		return nil, err
	}
	return join(common, own), nil
}

// join makes one object of two without common members. The first is not empty: it has the discriminator.
func join(a, b []byte) []byte {
	if len(b) == len("{}") {
		return a
	}
	a[len(a)-1] = ','
	return append(a, b[1:]...)
}

// unmarshalUnion decodes into a zero union. An unknown discriminator leaves all branches nil.
func unmarshalUnion(name string, data []byte, plain any) error {
	if form(data) != "object" {
		return fmt.Errorf("qapi: %s: no object", name)
	}
	if err := json.Unmarshal(data, plain); err != nil {
		return err
	}
	u := takeApart(name, plain)
	kind := u.kind()
	if kind == "" {
		if u.discriminator.Kind() == reflect.Pointer {
			return nil
		}
		return fmt.Errorf("qapi: %s: no discriminator", name)
	}
	for _, b := range u.branches {
		if b.name == kind {
			for _, m := range u.moved {
				m.SetZero()
			}
			return json.Unmarshal(data, b.value.Addr().Interface())
		}
	}
	return nil
}

// marshalAlternate encodes the one branch.
func marshalAlternate(name string, plain any) ([]byte, error) {
	u := takeApart(name, plain)
	b, err := u.chosen()
	switch {
	case err != nil:
		return nil, err
	case b == nil:
		return nil, fmt.Errorf("qapi: %s: %w", name, errUnset)
	case b.name == "null":
		return []byte("null"), nil
	}
	return json.Marshal(b.value.Interface())
}

// unmarshalAlternate decodes into the branch of the value's form.
func unmarshalAlternate(name string, data []byte, plain any) error {
	f := form(data)
	for _, b := range takeApart(name, plain).branches {
		switch {
		case b.name != f:
		case f == "null":
			b.value.Set(reflect.New(b.value.Type().Elem()))
			return nil
		default:
			return json.Unmarshal(data, b.value.Addr().Interface())
		}
	}
	return fmt.Errorf("qapi: %s: %s is none of its forms", name, strings.TrimSpace(f))
}

// form tells what a JSON value is.
func form(data []byte) string {
	data = bytes.TrimLeft(data, " \t\r\n")
	if len(data) == 0 {
		return ""
	}
	switch data[0] {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case 't', 'f':
		return "bool"
	case 'n':
		return "null"
	}
	return "number"
}
