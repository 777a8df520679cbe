package vmconfig

import (
	"fmt"
	"reflect"
)

// textField is a field type with a text form of its own.
type textField interface {
	parse(text string) error
	print() (string, bool) // false: not given
}

// fieldsOf calls fn for each field of the struct behind v that carries a pve tag.
func fieldsOf(v any, fn func(key string, field reflect.Value)) {
	s := reflect.ValueOf(v).Elem()
	for i := range s.NumField() {
		if key := s.Type().Field(i).Tag.Get("pve"); key != "" {
			fn(key, s.Field(i))
		}
	}
}

// decodeProps fills the tagged fields of the struct behind into. A key without a field goes to the field tagged "*"
// (a map[string]string) and is an error when there is none.
func decodeProps(props map[string]string, into any) error {
	left := make(map[string]string, len(props))
	for k, v := range props {
		left[k] = v
	}
	var rest reflect.Value
	var problem error
	fieldsOf(into, func(key string, field reflect.Value) {
		if key == "*" {
			rest = field
			return
		}
		text, ok := left[key]
		if !ok {
			return
		}
		delete(left, key)
		if err := decodeField(text, field); err != nil && problem == nil {
			problem = fmt.Errorf("%s: %w", key, err)
		}
	})
	if problem != nil {
		return problem
	}
	if len(left) == 0 {
		return nil
	}
	if rest.IsValid() {
		rest.Set(reflect.ValueOf(left))
		return nil
	}
	for key := range left {
		return fmt.Errorf("unknown key %q", key)
	}
	return nil
}

func decodeField(text string, field reflect.Value) error {
	if f, ok := field.Addr().Interface().(textField); ok {
		return f.parse(text)
	}
	return parseScalar(text, field.Addr().Interface())
}

// encodeProps is the inverse of decodeProps. Fields that are not given, and empty strings and Numbers, have no key.
func encodeProps(v any) map[string]string {
	props := make(map[string]string)
	fieldsOf(v, func(key string, field reflect.Value) {
		if key == "*" {
			for k, text := range field.Interface().(map[string]string) {
				props[k] = text
			}
			return
		}
		if f, ok := field.Addr().Interface().(textField); ok {
			if text, given := f.print(); given {
				props[key] = text
			}
			return
		}
		if text := printScalar(field.Interface()); text != "" {
			props[key] = text
		}
	})
	return props
}

// parseAs reads a property string of a named format into a new T.
func parseAs[T any](format, value string) (T, error) {
	var out T
	props, err := parseProps(format, value)
	if err != nil {
		return out, err
	}
	if err := decodeProps(props, &out); err != nil {
		return out, fmt.Errorf("invalid format - %w", err)
	}
	return out, nil
}

// printAs prints the tagged struct behind v as a property string.
func printAs(format string, v any) string { return printProps(format, encodeProps(v)) }
