package pveconf_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/pveconf"
)

type (
	prop  = pveconf.Property
	named = pveconf.NamedProperty
	obj   = map[string]any
)

func num(f float64) *float64 { return &f }

// guest is a schema with one of everything.
func guest() (*prop, *pveconf.Registry) {
	r := pveconf.NewRegistry()
	r.AddPropertyString("nic", nic())
	return &prop{Type: "object", AdditionalProperties: pveconf.AdditionalRefused, Properties: []named{
		{Name: "cores", Property: &prop{Type: "integer", Minimum: num(1), Maximum: num(128), Optional: true}},
		{Name: "disks", Property: &prop{Type: "array", Items: &prop{Type: "string", Format: "pve-volume-id"}, Optional: true}},
		{Name: "kind", Property: &prop{Type: "string", Enum: []string{"a", "b"}, Optional: true}},
		{Name: "limit", Property: &prop{Type: "number", Minimum: num(0.5), Optional: true}},
		{Name: "name", Property: &prop{Type: "string", Pattern: "[a-z]+", MinLength: 2, MaxLength: 5, Optional: true}},
		{Name: "net0", Property: &prop{Type: "string", Format: "nic", Optional: true}},
		{Name: "nodes", Property: &prop{Type: "string", Format: "pve-node-list", Optional: true}},
		{Name: "onboot", Property: &prop{Type: "boolean", Optional: true}},
		{Name: "password", Property: &prop{Type: "string", Optional: true, Requires: "user"}},
		{Name: "user", Property: &prop{Type: "string", Optional: true}},
		{Name: "vmid", Property: &prop{Type: "integer", Format: "pve-vmid"}},
	}}, r
}

func nic() *prop {
	mac := &prop{Alias: "macaddr", KeyAlias: "model"}
	return &prop{Type: "object", AdditionalProperties: pveconf.AdditionalRefused, Properties: []named{
		{Name: "bridge", Property: &prop{Type: "string", Format: "pve-bridge-id", Optional: true}},
		{Name: "e1000", Property: mac},
		{Name: "firewall", Property: &prop{Type: "boolean", Optional: true}},
		{Name: "macaddr", Property: &prop{Type: "string", Format: "mac-addr", Optional: true}},
		{Name: "model", Property: &prop{Type: "string", Enum: []string{"virtio", "e1000"}, DefaultKey: true}},
		{Name: "mtu", Property: &prop{Type: "integer", Minimum: num(1), Optional: true, Requires: "bridge"}},
		{Name: "virtio", Property: mac},
	}}
}

func TestValidateNormalises(t *testing.T) {
	p, f := guest()
	in := obj{
		"vmid": "100", "cores": json.Number("4"), "limit": "1.", "onboot": "0", "disks": "local:1", "nodes": []any{"n1", "n2"},
		"net0": "virtio,bridge=vmbr0", "name": nil, "kind": "b",
	}
	norm, errs := pveconf.Validate(in, p, f)
	require.Empty(t, errs)
	require.Equal(t, obj{
		"vmid": int64(100), "cores": int64(4), "limit": 1.0, "onboot": false, "disks": []any{"local:1"}, "nodes": "n1,n2",
		"net0": "virtio,bridge=vmbr0", "kind": "b",
	}, norm)
	require.Equal(t, "local:1", in["disks"], "the input is not changed")
}

func TestValidateErrors(t *testing.T) {
	const (
		missing = "property is missing and it is not optional"
		unknown = "property is not defined in schema and the schema does not allow additional properties"
	)
	tests := []struct {
		name string
		in   obj
		errs map[string]string
	}{
		{"missing", obj{}, map[string]string{"vmid": missing}},
		{"null is missing", obj{"vmid": nil}, map[string]string{"vmid": missing}},
		{"unknown", obj{"vmid": "100", "x": "1", "y": []any{}}, map[string]string{"x": unknown, "y": unknown}},
		{"unknown null", obj{"vmid": "100", "x": nil}, nil},
		{"integer", obj{"vmid": "1x"}, map[string]string{"vmid": "type check ('integer') failed - got '1x'"}},
		{"empty integer", obj{"vmid": "100", "cores": ""}, map[string]string{"cores": "type check ('integer') failed - got ''"}},
		{"integer with a line break", obj{"vmid": "100\n"}, map[string]string{"vmid": "type check ('integer') failed - got '100\n'"}},
		{"integer beyond all bounds", obj{"vmid": "100", "cores": "99999999999999999999"}, map[string]string{"cores": "value must have a maximum value of 128"}},
		{"type before format", obj{"vmid": "0100x"}, map[string]string{"vmid": "type check ('integer') failed - got '0100x'"}},
		{"format", obj{"vmid": "0100"}, map[string]string{"vmid": "invalid format - value does not look like a valid VM ID\n"}},
		{"list format", obj{"vmid": "100", "nodes": "n1,-"}, map[string]string{"nodes": "invalid format - value does not look like a valid node name\n"}},
		{"number", obj{"vmid": "100", "limit": "1e"}, map[string]string{"limit": "type check ('number') failed - got '1e'"}},
		{"boolean word", obj{"vmid": "100", "onboot": "yes"}, map[string]string{"onboot": "type check ('boolean') failed - got 'yes'"}},
		{"array for a scalar", obj{"vmid": []any{"1", "2"}}, map[string]string{"vmid": "type check ('integer') failed - got ARRAY"}},
		{"object for a string", obj{"vmid": "100", "user": obj{}}, map[string]string{"user": "type check ('string') failed - got HASH"}},
		{"maximum", obj{"vmid": "100", "cores": "129"}, map[string]string{"cores": "value must have a maximum value of 128"}},
		{"minimum", obj{"vmid": "100", "limit": ".25"}, map[string]string{"limit": "value must have a minimum value of 0.5"}},
		{"pattern before length", obj{"vmid": "100", "name": "ABCDEFG"}, map[string]string{"name": "value does not match the regex pattern"}},
		{"pattern is anchored", obj{"vmid": "100", "name": "ab1"}, map[string]string{"name": "value does not match the regex pattern"}},
		{"too long", obj{"vmid": "100", "name": "abcdef"}, map[string]string{"name": "value may only be 5 characters long"}},
		{"too short", obj{"vmid": "100", "name": "a"}, map[string]string{"name": "value must be at least 2 characters long"}},
		{"enum", obj{"vmid": "100", "kind": "c"}, map[string]string{"kind": "value 'c' does not have a value in the enumeration 'a, b'"}},
		{"requires", obj{"vmid": "100", "password": "x"}, map[string]string{"user": "missing property required by 'password'"}},
		{"element", obj{"vmid": "100", "disks": []any{"local:1", "x"}}, map[string]string{"disks[1]": "invalid format - unable to parse volume ID 'x'\n"}},
		{"a comma is no separator of arrays", obj{"vmid": "100", "disks": ",local:1"}, map[string]string{"disks[0]": "invalid format - unable to parse volume ID ',local:1'\n"}},
		{"keys", obj{"vmid": "100", "net0": "bridge=a b,foo=1"}, map[string]string{"net0": "invalid format - format error\nnet0.bridge: invalid format - invalid bridge ID 'a b'\nnet0.foo: " + unknown + "\nnet0.model: " + missing + "\n"}},
		{"form of a property string", obj{"vmid": "100", "net0": "virtio,e1000"}, map[string]string{"net0": "invalid format - duplicate key in comma-separated list property: model\n"}},
		{"several", obj{"cores": "0"}, map[string]string{"vmid": missing, "cores": "value must have a minimum value of 1"}},
	}
	p, f := guest()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, errs := pveconf.Validate(tt.in, p, f)
			require.Equal(t, tt.errs, errs)
		})
	}
}

func TestValidateNested(t *testing.T) {
	p := &prop{Type: "object", Properties: []named{{Name: "pair", Property: &prop{Type: "object", Properties: []named{
		{Name: "ids", Property: &prop{Type: "array", Items: &prop{Type: "integer"}}},
		{Name: "nodes", Property: &prop{Type: "string", Format: "pve-node-list", Optional: true}},
	}}}}}
	norm, errs := pveconf.Validate(obj{"pair": obj{"ids": []string{"1"}}, "more": true}, p, nil)
	require.Empty(t, errs)
	require.Equal(t, obj{"pair": obj{"ids": []any{int64(1)}}, "more": true}, norm)

	_, errs = pveconf.Validate(obj{"pair": obj{"ids": "1", "nodes": []any{"a"}}}, p, nil)
	require.Equal(t, map[string]string{
		"pair.ids": "type check ('array') failed", "pair.nodes": "type check ('string') failed - got ARRAY",
	}, errs, "no coercion below the top")
	_, errs = pveconf.Validate(obj{"pair": "x"}, p, nil)
	require.Equal(t, map[string]string{"pair": "type check ('object') failed"}, errs)
	_, errs = pveconf.Validate("x", p, nil)
	require.Equal(t, map[string]string{"value": "type check ('object') failed"}, errs)
}

func TestValidateAdditionalSchema(t *testing.T) {
	p := &prop{Type: "object", AdditionalProperties: pveconf.AdditionalAllowed, AdditionalSchema: &prop{Type: "integer"}}
	norm, errs := pveconf.Validate(obj{"a": "1"}, p, nil)
	require.Empty(t, errs)
	require.Equal(t, obj{"a": int64(1)}, norm)
	_, errs = pveconf.Validate(obj{"a": "x"}, p, nil)
	require.Equal(t, map[string]string{"a": "type check ('integer') failed - got 'x'"}, errs)
}

// shape is an object of one of two kinds, as an object schema.
func shape() *prop {
	return &prop{
		TypeProperty: "shape", TypePropertySchema: &prop{Type: "string", Enum: []string{"circle", "square"}},
		OneOf: []*prop{
			{InstanceTypes: []string{"circle"}, AdditionalProperties: pveconf.AdditionalRefused, Properties: []named{
				{Name: "r", Property: &prop{Alias: "radius"}}, {Name: "radius", Property: &prop{Type: "number"}},
			}},
			{InstanceTypes: []string{"square"}, AdditionalProperties: pveconf.AdditionalRefused, Properties: []named{
				{Name: "side", Property: &prop{Type: "number"}},
			}},
		},
	}
}

func TestValidateVariants(t *testing.T) {
	const unknown = "property is not defined in schema and the schema does not allow additional properties"
	norm, errs := pveconf.Validate(obj{"shape": "circle", "r": "2"}, shape(), nil)
	require.Empty(t, errs)
	require.Equal(t, obj{"shape": "circle", "radius": 2.0}, norm)

	_, errs = pveconf.Validate(obj{"shape": "circle", "r": "2", "radius": "1"}, shape(), nil)
	require.Equal(t, map[string]string{"oneOf[circle].r": "cannot set both 'r' and its alias target 'radius'"}, errs)
	_, errs = pveconf.Validate(obj{"shape": "blob", "side": "2"}, shape(), nil)
	require.Equal(t, map[string]string{
		"shape": "value 'blob' does not have a value in the enumeration 'circle, square'", "side": unknown,
	}, errs)
	_, errs = pveconf.Validate(obj{"shape": "square", "side": "x", "radius": "1"}, shape(), nil)
	require.Equal(t, map[string]string{
		"oneOf[square].side": "type check ('number') failed - got 'x'", "oneOf[square].radius": unknown,
	}, errs)

	both := &prop{AllOf: []*prop{
		{AdditionalProperties: pveconf.AdditionalRefused, Properties: []named{{Name: "label", Property: &prop{Type: "string"}}}},
		shape(),
	}}
	norm, errs = pveconf.Validate(obj{"label": "l", "shape": "square", "side": "3"}, both, nil)
	require.Empty(t, errs)
	require.Equal(t, obj{"label": "l", "shape": "square", "side": 3.0}, norm)
	_, errs = pveconf.Validate(obj{"shape": "square", "side": "3", "radius": "1"}, both, nil)
	require.Equal(t, map[string]string{"label": "property is missing and it is not optional", "radius": unknown}, errs)
}

func TestValidateMembersOfVariants(t *testing.T) {
	p := &prop{Type: "object", AdditionalProperties: pveconf.AdditionalRefused, Properties: []named{
		{Name: "nodes", Property: &prop{Type: "string", Optional: true, InstanceTypes: []string{"near"}, TypeProperty: "type", RequiredFor: []string{"near"}}},
		{Name: "strict", Property: &prop{Type: "boolean", Optional: true, InstanceTypes: []string{"near"}, TypeProperty: "type"}},
		{Name: "type", Property: &prop{Type: "string", Enum: []string{"near", "far"}}},
	}}
	_, errs := pveconf.Validate(obj{"type": "near", "strict": "2"}, p, nil)
	require.Equal(t, map[string]string{
		"oneOf[near].nodes":  "property is missing and it is not optional",
		"oneOf[near].strict": "type check ('boolean') failed - got '2'",
	}, errs)
	_, errs = pveconf.Validate(obj{"type": "far", "nodes": "n1"}, p, nil)
	require.Contains(t, errs, "oneOf[far].nodes")
	_, errs = pveconf.Validate(obj{"type": "far"}, p, nil)
	require.Empty(t, errs)
	_, errs = pveconf.Validate(obj{"nodes": "n1"}, p, nil)
	require.Equal(t, map[string]string{"type": "property is missing and it is not optional"}, errs)
}

func TestValidateVariantOfOneMember(t *testing.T) {
	p := &prop{Type: "object", Properties: []named{
		{Name: "links", Property: &prop{Type: "array", Optional: true, TypeProperty: "protocol", OneOf: []*prop{
			{Type: "array", InstanceTypes: []string{"ospf"}, Items: &prop{Type: "integer"}},
		}}},
		{Name: "protocol", Property: &prop{Type: "string"}},
	}}
	norm, errs := pveconf.Validate(obj{"protocol": "ospf", "links": "7"}, p, nil)
	require.Empty(t, errs)
	require.Equal(t, []any{int64(7)}, norm.(obj)["links"])
	_, errs = pveconf.Validate(obj{"protocol": "ospf", "links": "x"}, p, nil)
	require.Contains(t, errs, "links[0]")
	norm, errs = pveconf.Validate(obj{"protocol": "bgp", "links": "x"}, p, nil)
	require.Empty(t, errs)
	require.Equal(t, "x", norm.(obj)["links"])
}

func TestErrorsOnOnePathAreJoined(t *testing.T) {
	p := &prop{Type: "object", Properties: []named{
		{Name: "a", Property: &prop{Type: "string", Optional: true, Requires: "c"}},
		{Name: "b", Property: &prop{Type: "string", Optional: true, Requires: "c"}},
		{Name: "c", Property: &prop{Type: "string", Optional: true}},
	}}
	_, errs := pveconf.Validate(obj{"a": "", "b": ""}, p, nil)
	require.Equal(t, map[string]string{"c": `missing property required by 'a'\nmissing property required by 'b'`}, errs)
}

func FuzzValidate(f *testing.F) {
	f.Add(`{"vmid":100,"net0":"virtio=02:00:00:00:00:00,bridge=vmbr0","disks":["local:1"],"nodes":["a","b"]}`)
	f.Add(`{"vmid":"x","cores":1e99,"onboot":true,"limit":"-.5e-3","name":null}`)
	f.Add(`{"shape":"circle","r":[{}]}`)
	p, formats := guest()
	f.Fuzz(func(t *testing.T, text string) {
		var v map[string]any
		if json.Unmarshal([]byte(text), &v) != nil {
			return
		}
		norm, errs := pveconf.Validate(v, p, formats)
		if len(errs) == 0 { // what is valid stays valid, and the same
			again, errs := pveconf.Validate(norm, p, formats)
			require.Empty(t, errs)
			require.Equal(t, norm, again)
		}
		pveconf.Validate(v, shape(), formats)
	})
}
