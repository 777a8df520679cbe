package proxmoxapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// The formats of the reply. The explorer ("html") and pictures ("png") of a real node are not among them.
const (
	formatJSON  = "json"
	formatExtJS = "extjs"                          // like json, but every answer of the API is status 200 and says in the body what it is
	formatHTMLJ = "htmljs"                         // extjs, escaped for the hidden frame that an old browser uploads from
	formatSpice = "spiceconfig"                    // an INI file for remote-viewer
	jsonType    = "application/json;charset=UTF-8" // byte for byte: clients compare it
)

func knownFormat(f string) bool {
	return f == formatJSON || f == formatExtJS || f == formatHTMLJ || f == formatSpice
}

func contentType(format string) string {
	switch format {
	case formatHTMLJ:
		return "text/html;charset=UTF-8"
	case formatSpice:
		return "application/x-virt-viewer;charset=UTF-8"
	}
	return jsonType
}

// softErrors tells whether errors of the API are answered with status 200.
func softErrors(format string) bool { return format == formatExtJS || format == formatHTMLJ }

// envelope is what surrounds an answer besides the format.
type envelope struct {
	data    any
	total   int
	changes string
	fault   *fault
}

// unwrap takes an answer of a function apart. A nil slice is an empty list, never null.
func unwrap(answer any) envelope {
	switch a := answer.(type) {
	case *call.List:
		if a != nil {
			return unwrap(*a)
		}
	case call.List:
		return envelope{data: listOf(a.Rows, true), total: a.Total}
	case *call.Changes:
		if a != nil {
			return unwrap(*a)
		}
	case call.Changes:
		return envelope{data: listOf(a.Rows, true), changes: a.Changes}
	case call.Encoded:
		return envelope{data: &a}
	case *call.Encoded:
		if a != nil {
			return envelope{data: a}
		}
	default:
		return envelope{data: listOf(answer, false)}
	}
	return envelope{}
}

// listOf replaces a nil slice by an empty one; with always set, nil itself too.
func listOf(v any, always bool) any {
	if v == nil {
		if always {
			return []any{}
		}
		return nil
	}
	if rv := reflect.ValueOf(v); rv.Kind() == reflect.Slice && rv.IsNil() {
		if _, raw := v.(json.RawMessage); !raw {
			return []any{}
		}
	}
	return v
}

// print appends the body of env in a format to b.
func (env envelope) print(b *bytes.Buffer, format string) error {
	switch format {
	case formatSpice:
		return env.printSpice(b)
	case formatHTMLJ:
		var plain bytes.Buffer
		if err := env.print(&plain, formatExtJS); err != nil {
			return err
		}
		b.WriteString(html.EscapeString(plain.String()))
		return nil
	}
	b.WriteString(`{"data":`)
	if e, ok := env.data.(*call.Encoded); ok {
		b.Write(e.Value())
	} else if env.data == nil {
		b.WriteString("null")
	} else if err := call.WriteJSON(b, env.data); err != nil {
		return fmt.Errorf("print answer: %w", err)
	}
	if err := env.printRest(b, format == formatExtJS); err != nil {
		return err
	}
	b.WriteByte('}')
	return nil
}

func (env envelope) printRest(b *bytes.Buffer, extjs bool) error {
	if extjs {
		success := 1
		if env.fault != nil {
			success = 0
		}
		fmt.Fprintf(b, `,"success":%d`, success)
	}
	if env.total != 0 {
		fmt.Fprintf(b, `,"total":%d`, env.total)
	}
	if env.changes != "" {
		b.WriteString(`,"changes":`)
		if err := call.WriteJSON(b, env.changes); err != nil {
			return err
		}
	}
	if env.fault == nil {
		return nil
	}
	if extjs {
		b.WriteString(`,"status":`)
		b.WriteString(strconv.Itoa(env.fault.status))
	}
	if len(env.fault.errors) > 0 {
		b.WriteString(`,"errors":`)
		if err := call.WriteJSON(b, env.fault.errors); err != nil {
			return err
		}
	}
	b.WriteString(`,"message":`)
	return call.WriteJSON(b, env.fault.message)
}

// printSpice prints an object as the section that remote-viewer reads. A value cannot break out of its line.
func (env envelope) printSpice(b *bytes.Buffer) error {
	raw, err := json.Marshal(env.data)
	if err != nil {
		return fmt.Errorf("print answer: %w", err)
	}
	var members map[string]any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&members); err != nil {
		return fmt.Errorf("print answer as %s: %w", formatSpice, err)
	}
	b.WriteString("[virt-viewer]\n")
	for _, name := range slices.Sorted(maps.Keys(members)) {
		value := strings.NewReplacer("\r", "", "\n", `\n`).Replace(fmt.Sprint(members[name]))
		fmt.Fprintf(b, "%s=%s\n", name, value)
	}
	return nil
}
