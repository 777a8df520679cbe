package schema

import (
	"maps"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/internal/pveconf"
)

// Params are validated, normalised parameters. A value is a string, bool, int64, float64, []any or, inside, map[string]any,
// by the declared type; parameters that were not given are absent, defaults are not filled in. Getters return the zero
// value for a parameter that is absent or of another type.
type Params map[string]any

// Has tells whether the parameter was given.
func (p Params) Has(name string) bool {
	_, ok := p[name]
	return ok
}

// String returns the parameter as text: booleans as 1 and 0, arrays joined by ','.
func (p Params) String(name string) string { return text(p[name]) }

// Int returns an integer parameter.
func (p Params) Int(name string) int64 {
	v, _ := p[name].(int64)
	return v
}

// Float returns a number, whether declared integer or not.
func (p Params) Float(name string) float64 {
	switch v := p[name].(type) {
	case float64:
		return v
	case int64:
		return float64(v)
	}
	return 0
}

// Bool returns a boolean parameter.
func (p Params) Bool(name string) bool {
	v, _ := p[name].(bool)
	return v
}

// Strings returns the elements of an array as text, or those of a string that holds a list (formats named *-list). It is
// nil if the parameter is absent.
func (p Params) Strings(name string) []string {
	switch v := p[name].(type) {
	case nil:
		return nil
	case []any:
		s := make([]string, len(v))
		for i := range v {
			s[i] = text(v[i])
		}
		return s
	case string:
		return pveconf.SplitList(v)
	default:
		return []string{text(v)}
	}
}

// Without returns a copy without the named parameters.
func (p Params) Without(names ...string) Params {
	c := maps.Clone(p)
	if c == nil {
		c = Params{}
	}
	for _, n := range names {
		delete(c, n)
	}
	return c
}

func (p Params) list(name string) []any {
	v, _ := p[name].([]any)
	return v
}

func (p Params) ints(name string) []int64 {
	list := p.list(name)
	if list == nil {
		return nil
	}
	ints := make([]int64, len(list))
	for i := range list {
		ints[i], _ = list[i].(int64)
	}
	return ints
}

func (p Params) optString(name string) *string { return optional(p, name, p.String) }
func (p Params) optInt(name string) *int64     { return optional(p, name, p.Int) }
func (p Params) optFloat(name string) *float64 { return optional(p, name, p.Float) }
func (p Params) optBool(name string) *bool     { return optional(p, name, p.Bool) }

func optional[T any](p Params, name string, get func(string) T) *T {
	if !p.Has(name) {
		return nil
	}
	v := get(name)
	return &v
}

func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		if v {
			return "1"
		}
		return "0"
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', 15, 64)
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = text(v[i])
		}
		return strings.Join(parts, ",")
	}
	return ""
}
