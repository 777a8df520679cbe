package schema

import "fmt"

// Request is a typed request; the types are generated.
type Request interface {
	// Endpoint returns the method that the request is for.
	Endpoint() *Endpoint
}

// decoder is what the pointer to each generated request type is.
type decoder interface {
	Request
	decode(Params)
}

// Decode fills a typed request, given as a pointer, from parameters that its endpoint has validated.
func Decode(p Params, req any) error {
	d, ok := req.(decoder)
	if !ok {
		return fmt.Errorf("schema: %T is no pointer to a request", req)
	}
	d.decode(p)
	return nil
}

// Value returns what an optional member points to, or def if it was not given.
func Value[T any](p *T, def T) T {
	if p == nil {
		return def
	}
	return *p
}
