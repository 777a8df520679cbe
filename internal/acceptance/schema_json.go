package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/turtacn/go-proxmox/internal/pveconf"
)

// readProperty reads a schema in PVE's dialect of JSON schema.
func readProperty(raw map[string]any) (*pveconf.Property, error) {
	p := new(pveconf.Property)
	for key, v := range raw {
		if err := setKeyword(p, key, v); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
	}
	return p, nil
}

func setKeyword(p *pveconf.Property, key string, v any) (err error) {
	switch key {
	case "type":
		p.Type = plain(v)
	case "format":
		p.Format = plain(v)
	case "pattern":
		p.Pattern = plain(v)
	case "requires":
		p.Requires = plain(v)
	case "alias":
		p.Alias = plain(v)
	case "keyAlias":
		p.KeyAlias = plain(v)
	case "type-property":
		p.TypeProperty = plain(v)
	case "default":
		p.Default, p.HasDefault = plain(v), true
	case "default_key":
		p.DefaultKey = truth(v)
	case "optional":
		p.Optional = truth(v)
	case "enum":
		p.Enum = texts(v)
	case "instance-types":
		p.InstanceTypes = texts(v)
	case "instance-type":
		p.InstanceTypes = []string{plain(v)}
	case "minimum":
		p.Minimum, err = bound(v)
	case "maximum":
		p.Maximum, err = bound(v)
	case "minLength":
		p.MinLength, err = strconv.Atoi(plain(v))
	case "maxLength":
		p.MaxLength, err = strconv.Atoi(plain(v))
	default:
		err = setNested(p, key, v)
	}
	return err
}

// setNested reads the keywords that hold schemas.
func setNested(p *pveconf.Property, key string, v any) (err error) {
	switch key {
	case "items":
		p.Items, err = subSchema(v)
	case "type-property-schema":
		p.TypePropertySchema, err = subSchema(v)
	case "allOf":
		p.AllOf, err = subSchemas(v)
	case "oneOf":
		p.OneOf, err = subSchemas(v)
	case "additionalProperties":
		if _, ok := v.(map[string]any); ok {
			p.AdditionalProperties = pveconf.AdditionalAllowed
			p.AdditionalSchema, err = subSchema(v)
		} else if truth(v) {
			p.AdditionalProperties = pveconf.AdditionalAllowed
		} else {
			p.AdditionalProperties = pveconf.AdditionalRefused
		}
	case "properties":
		members, _ := v.(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(members)) {
			m, err := subSchema(members[name])
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			p.Properties = append(p.Properties, pveconf.NamedProperty{Name: name, Property: m})
		}
	}
	return err
}

func subSchema(v any) (*pveconf.Property, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%T is no schema", v)
	}
	return readProperty(m)
}

func subSchemas(v any) ([]*pveconf.Property, error) {
	list, _ := v.([]any)
	all := make([]*pveconf.Property, len(list))
	for i := range list {
		p, err := subSchema(list[i])
		if err != nil {
			return nil, err
		}
		all[i] = p
	}
	return all, nil
}

func texts(v any) []string {
	list, _ := v.([]any)
	all := make([]string, len(list))
	for i := range list {
		all[i] = plain(list[i])
	}
	return all
}

func truth(v any) bool {
	s := plain(v)
	return s != "" && s != "0" && s != "false"
}

func bound(v any) (*float64, error) {
	f, err := json.Number(plain(v)).Float64()
	return &f, err
}
