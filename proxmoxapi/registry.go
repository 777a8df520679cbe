package proxmoxapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// Registry holds the functions that answer methods of the schema. It is filled by Handle before it goes to New and must
// not be changed afterwards.
type Registry struct {
	methods map[*schema.Endpoint]*method
}

// method is one registered function with its types erased.
type method struct {
	invoke func(ctx context.Context, p schema.Params) (any, error)
	reply  reflect.Type
	stream bool // the answer is always a WebSocket
}

// NewRegistry returns an empty Registry.
func NewRegistry() *Registry {
	return &Registry{methods: map[*schema.Endpoint]*method{}}
}

// Handle registers fn as the answer of the method that Req belongs to. fn gets parameters that passed the schema and a
// context with the caller (call.From). The request is fn's own; what fn returns is printed as JSON at once and must not
// change until then.
//
// It panics when the schema does not know the request or the method has a function already: both are mistakes in the
// program, not in its input.
func Handle[Req schema.Request, Resp any](r *Registry, fn func(context.Context, *Req) (Resp, error)) {
	var zero Req
	e := zero.Endpoint()
	if e == nil || schema.Find(e.Method, e.Path) != e {
		panic(fmt.Sprintf("proxmoxapi: %T is no method of the schema", zero))
	}
	if fn == nil {
		panic(fmt.Sprintf("proxmoxapi: %s %s: no function", e.Method, e.Path))
	}
	if _, ok := r.methods[e]; ok {
		panic(fmt.Sprintf("proxmoxapi: %s %s is registered twice", e.Method, e.Path))
	}
	reply := reflect.TypeFor[Resp]()
	r.methods[e] = &method{
		reply:  reply,
		stream: reply == reflect.TypeFor[call.Stream]() || reply == reflect.TypeFor[*call.Stream](),
		invoke: func(ctx context.Context, p schema.Params) (any, error) {
			req := new(Req)
			if err := schema.Decode(p, req); err != nil {
				return nil, fmt.Errorf("decode %s %s: %w", e.Method, e.Path, err)
			}
			resp, err := fn(ctx, req)
			if err != nil {
				return nil, err
			}
			return resp, nil
		},
	}
}

// Handles reports whether a function answers e.
func (r *Registry) Handles(e *schema.Endpoint) bool { return r.methods[e] != nil }

func (r *Registry) lookup(e *schema.Endpoint) *method { return r.methods[e] }

// Check looks at the types of all answers for what would be wrong on the wire: a bool prints as true or false where PVE
// prints 1 or 0. It returns an error that names every such method.
func (r *Registry) Check() error {
	var all []error
	for e, m := range r.methods {
		if where := findBool(m.reply, nil); where != "" {
			all = append(all, fmt.Errorf("%s %s: %s of %v is a bool; take schema.Bool", e.Method, e.Path, where, m.reply))
		}
	}
	return errors.Join(all...)
}

// findBool returns the path to a bool that encoding/json would print, empty if there is none. What prints itself may do so.
func findBool(t reflect.Type, seen []reflect.Type) string {
	if slices.Contains(seen, t) || t.Implements(reflect.TypeFor[json.Marshaler]()) || reflect.PointerTo(t).Implements(reflect.TypeFor[json.Marshaler]()) {
		return ""
	}
	seen = append(seen, t)
	switch t.Kind() {
	case reflect.Bool:
		return "value"
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return findBool(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if !f.IsExported() && !f.Anonymous || f.Tag.Get("json") == "-" {
				continue
			}
			if findBool(f.Type, seen) != "" {
				return "member " + f.Name
			}
		}
	}
	return ""
}
