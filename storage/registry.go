package storage

import (
	"fmt"
	"maps"
	"slices"
)

// Config is what a backend is opened with: a section of Proxmox VE's storage.cfg.
type Config struct {
	ID      string            // storage id
	Type    string            // dir, nfs, lvmthin, …
	Options map[string]string // values as in the file; booleans 1 or 0
}

// Backend makes drivers of one storage type.
type Backend struct {
	Type string
	// Open returns the driver for a configuration. It touches no hardware: an unreachable storage opens, and its calls fail.
	Open func(Config) (Driver, error)
}

// Registry maps storage types to backends. It is built once and then read-only, so safe for concurrent use.
type Registry struct{ backends map[string]Backend }

// NewRegistry returns a registry of the given backends; two for one type are an error.
func NewRegistry(backends ...Backend) (*Registry, error) {
	r := &Registry{backends: make(map[string]Backend, len(backends))}
	for _, b := range backends {
		if b.Type == "" || b.Open == nil {
			return nil, fmt.Errorf("storage: backend %q is incomplete", b.Type)
		}
		if _, dup := r.backends[b.Type]; dup {
			return nil, fmt.Errorf("storage: two backends for type %q", b.Type)
		}
		r.backends[b.Type] = b
	}
	return r, nil
}

// Open returns the driver for a configuration. ErrUnknownType if no backend is registered for its type.
func (r *Registry) Open(cfg Config) (Driver, error) {
	b, ok := r.backends[cfg.Type]
	if !ok {
		return nil, &OpError{Op: "open", Driver: cfg.Type, Err: ErrUnknownType}
	}
	d, err := b.Open(cfg)
	if err != nil {
		return nil, &OpError{Op: "open", Driver: cfg.Type, Err: err}
	}
	return d, nil
}

// Types returns the registered types, sorted.
func (r *Registry) Types() []string { return slices.Sorted(maps.Keys(r.backends)) }
