package guestfw

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// values are the parameters that a request gives, as text by their names in the API. The same methods exist for the cluster,
// groups, nodes and guests with a request type each; below them there is one code for all.
type values map[string]string

// valuesOf reads the parameters of a request by the names in its JSON tags. Parameters that were not given are not there.
func valuesOf(req schema.Request) (values, error) {
	data, err := json.Marshal(req)
	if err != nil {
		return nil, err
	}
	var raw map[string]any
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(&raw); err != nil {
		return nil, err
	}
	out := make(values, len(raw))
	for key, v := range raw {
		switch v := v.(type) {
		case string:
			out[key] = v
		case json.Number:
			out[key] = v.String()
		case bool:
			out[key] = "0"
			if v {
				out[key] = "1"
			}
		default:
			return nil, fmt.Errorf("guestfw: parameter %s is a %T", key, v)
		}
	}
	return out, nil
}

// number reads a parameter that the schema says is one.
func (v values) number(key string) (n int, given bool) {
	n, err := strconv.Atoi(v[key])
	return n, err == nil
}

// object is an answer's JSON object.
type object = map[string]any

// shown turns members of an object into an answer: those named are numbers.
func shown(members map[string]string, numbers ...string) object {
	out := make(object, len(members)+2)
	for key, v := range members {
		out[key] = v
	}
	for _, key := range numbers {
		if n, err := strconv.ParseInt(members[key], 10, 64); err == nil {
			out[key] = n
		}
	}
	return out
}

// lower puts names of groups and sets into the case that files keep them in.
func lower(name string) string { return strings.ToLower(name) }
