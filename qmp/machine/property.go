package machine

import (
	"fmt"
	"strconv"
	"strings"
)

// Property is a name with its value. The value's Go type is the one of QEMU's schema,
// so that the same property fits the command line and QMP:
//
//	string             text, an enum, a reference to another id
//	bool               on or off
//	int, int64, uint64 a number
//	[Hex]              a number that is written in base 16
//	[Bytes]            a size
//	float64            a number
//	[]any, map[string]any  nested parts, only in forms that are written as JSON
//
// A Property without a name is a bare word on the command line.
type Property struct {
	Name  string
	Value any
}

// Hex is a number that the command line shows in base 16, such as 0x1af4.
type Hex uint64

// Bytes is a size in bytes. The command line shows whole MiB with QEMU's unit, 512M; QMP
// takes the number.
type Bytes int64

const mebibyte = 1 << 20

// On and Off are the values of properties of QEMU's type OnOffAuto, which QMP takes as
// words and not as booleans.
const (
	On  = "on"
	Off = "off"
)

// text writes a value for the command line, commas doubled as QEMU's option parser
// wants it.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return strings.ReplaceAll(v, ",", ",,")
	case bool:
		if v {
			return On
		}
		return Off
	case int:
		return strconv.Itoa(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case uint64:
		return strconv.FormatUint(v, 10)
	case Hex:
		return fmt.Sprintf("0x%x", uint64(v))
	case Bytes:
		if v != 0 && v%mebibyte == 0 {
			return strconv.FormatInt(int64(v/mebibyte), 10) + "M"
		}
		return strconv.FormatInt(int64(v), 10)
	case float64:
		return strconv.FormatFloat(v, 'g', 15, 64)
	}
	return fmt.Sprint(v)
}

// natural returns the value as QMP's JSON holds it.
func natural(v any) any {
	switch v := v.(type) {
	case Hex:
		return uint64(v)
	case Bytes:
		return int64(v)
	}
	return v
}

// option joins the parts of one option: first the bare word, then name=value.
type option struct{ b strings.Builder }

func newOption(first string) *option {
	o := &option{}
	o.b.WriteString(text(first))
	return o
}

func (o *option) word(s string) *option {
	if o.b.Len() > 0 {
		o.b.WriteByte(',')
	}
	o.b.WriteString(s)
	return o
}

func (o *option) add(name string, v any) *option { return o.word(name + "=" + text(v)) }

// addSet adds name=value unless the value is the zero of its type.
func (o *option) addSet(name, v string) *option {
	if v == "" {
		return o
	}
	return o.add(name, v)
}

func (o *option) props(list []Property) *option {
	for _, p := range list {
		if p.Name == "" {
			o.word(text(p.Value))
			continue
		}
		o.add(p.Name, p.Value)
	}
	return o
}

func (o *option) String() string { return o.b.String() }

// asMap turns properties into QMP arguments.
func asMap(list []Property) map[string]any {
	m := make(map[string]any, len(list))
	for _, p := range list {
		if p.Name != "" {
			m[p.Name] = natural(p.Value)
		}
	}
	return m
}
