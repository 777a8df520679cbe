package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/internal/pveconf"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// commonSuites are the suites of formats, sizes and schemas.
func commonSuites() map[string]suiteFunc {
	return map[string]suiteFunc{
		"common.convert_size": convertSize,
		"common.format":       formatCase,
		"common.json_schema":  validateCase,
		"cluster.mac_prefix":  macPrefix,
	}
}

// readInput decodes the input of a case, numbers as they are written.
func readInput(input json.RawMessage, into any) error {
	dec := json.NewDecoder(bytes.NewReader(input))
	dec.UseNumber()
	return dec.Decode(into)
}

// plain is a JSON scalar as text; null is empty.
func plain(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

func convertSize(_ string, input json.RawMessage) (any, error) {
	var in struct {
		Value, From, To any
		NoRoundUp       bool `json:"no_round_up"`
	}
	if err := readInput(input, &in); err != nil {
		return nil, err
	}
	n, err := pveconf.ConvertSize(plain(in.Value), pveconf.Unit(plain(in.From)), pveconf.Unit(plain(in.To)), in.NoRoundUp)
	return map[string]any{"value": n}, err
}

func macPrefix(_ string, input json.RawMessage) (any, error) {
	var in struct{ Value string }
	if err := readInput(input, &in); err != nil {
		return nil, err
	}
	_, errs := schema.Find("PUT", "/cluster/options").Validate(map[string]any{"mac_prefix": in.Value})
	return map[string]any{"valid": len(errs) == 0}, nil
}

func formatCase(op string, input json.RawMessage) (any, error) {
	var in struct {
		Value    any
		Renderer string
		Arg      any
		TZ       string
	}
	if err := readInput(input, &in); err != nil {
		return nil, err
	}
	if format, ok := strings.CutPrefix(op, "verify_"); ok {
		return map[string]any{"valid": pveconf.CheckFormat("pve-"+format, plain(in.Value)) == nil}, nil
	}
	n, _ := strconv.ParseFloat(plain(in.Value), 64)
	var text string
	switch in.Renderer {
	case "timestamp":
		zone, err := posixZone(in.TZ)
		if err != nil {
			return nil, err
		}
		text = pveconf.RenderTime(int64(n), zone)
	case "timestamp_gmt":
		text = pveconf.RenderTime(int64(n), time.UTC)
	case "duration":
		text = pveconf.RenderDuration(n)
	case "fraction_as_percentage":
		text = pveconf.RenderFraction(n)
	case "bytes":
		digits := 2
		if in.Arg != nil {
			digits, _ = strconv.Atoi(plain(in.Arg))
		}
		text = pveconf.RenderBytes(n, digits)
	default:
		return nil, fmt.Errorf("no renderer %q", in.Renderer)
	}
	return map[string]any{"text": text}, nil
}

// posixZone reads the time zone of a case: a name, or POSIX's "TZ=NAMEoffset", where the offset counts to the west.
func posixZone(tz string) (*time.Location, error) {
	_, posix, ok := strings.Cut(strings.TrimSuffix(tz, ")"), "TZ=")
	if !ok {
		return time.LoadLocation(tz)
	}
	i := strings.IndexAny(posix, "+-0123456789")
	if i < 0 {
		return time.LoadLocation(posix)
	}
	hours, err := strconv.Atoi(posix[i:])
	if err != nil {
		return nil, err
	}
	return time.FixedZone(posix[:i], -hours*3600), nil
}

func validateCase(_ string, input json.RawMessage) (any, error) {
	var in struct {
		Schema map[string]any
		Value  any
	}
	if err := readInput(input, &in); err != nil {
		return nil, err
	}
	p, err := readProperty(in.Schema)
	if err != nil {
		return nil, err
	}
	value, errs := pveconf.Validate(in.Value, p, schema.Formats())
	if len(errs) > 0 {
		value = nil
	}
	paths := slices.Sorted(maps.Keys(errs))
	if paths == nil {
		paths = []string{}
	}
	return map[string]any{"errors": paths, "value": value, "error_texts": errs}, nil
}

// sectionTypes are the two types of sections of the suite. With isolated properties, a type may give a property of the
// same name a schema of its own.
func sectionTypes(isolated bool) *pveconf.SectionRules {
	low, high, ten, zero := 3.0, 9.0, 10.0, 0.0
	text := &pveconf.Property{Type: "string", Optional: true}
	list := &pveconf.Property{Type: "array", Optional: true, Items: &pveconf.Property{Type: "string", Format: "sub"}}
	common := &pveconf.Property{Type: "string", Optional: true, MaxLength: 512}
	number := &pveconf.Property{Type: "integer", Minimum: &low, Maximum: &high}
	one := &pveconf.SectionType{Name: "one", Properties: map[string]*pveconf.Property{"common": common, "field1": number, "another": text}}
	two := &pveconf.SectionType{Name: "two", Properties: map[string]*pveconf.Property{
		"common": common, "field2": number, "another": {Type: "string"}, "arrayfield": list,
	}}
	if isolated {
		one.Properties["field2"] = &pveconf.Property{Type: "integer", Minimum: &ten}
		one.Properties["arrayfield"] = list
	}
	formats := pveconf.NewRegistry()
	formats.AddPropertyString("sub", &pveconf.Property{
		AdditionalProperties: pveconf.AdditionalRefused,
		Properties: []pveconf.NamedProperty{
			{Name: "subfield1", Property: &pveconf.Property{Type: "string"}},
			{Name: "subfield2", Property: &pveconf.Property{Type: "integer", Minimum: &zero, Optional: true}},
		},
	})
	return &pveconf.SectionRules{Types: []*pveconf.SectionType{one, two}, Formats: formats}
}

func sectionSuite(caseName string) suiteFunc {
	rules := sectionTypes(strings.Contains(caseName, "isolation"))
	return func(_ string, input json.RawMessage) (any, error) {
		var in struct {
			Text         string
			AllowUnknown bool `json:"allow_unknown"`
		}
		if err := readInput(input, &in); err != nil {
			return nil, err
		}
		rules.KeepUnknown = in.AllowUnknown
		file, warnings := pveconf.ParseSections(in.Text, rules)
		if len(warnings) > 0 {
			return nil, errors.New(warnings[0].Text)
		}
		ids, order := map[string]any{}, map[string]any{}
		for i, s := range file.Sections() {
			values := map[string]any{"type": s.Type}
			for k, v := range s.Values {
				values[k] = v
			}
			for k, v := range s.Lists {
				values[k] = v
			}
			ids[s.ID], order[s.ID] = values, i+1
		}
		return map[string]any{"ids": ids, "order": order, "rewritten": file.String()}, nil
	}
}
