package schema

import (
	"slices"

	"github.com/turtacn/go-proxmox/internal/pveconf"
)

// Endpoint describes one method on one path.
type Endpoint struct {
	Method string // GET, POST, PUT or DELETE
	Path   string // template: /nodes/{node}/qemu/{vmid}/config
	Name   string // PVE's name of the method, such as "update_vm"

	PathParams []string // names of the parameters bound by the path, in order
	RestParam  string   // the last path parameter, if it takes all remaining segments with their slashes

	Protected       bool   // done by the root daemon of a real node
	ProxyTo         string // the parameter that names the node which does it; empty: the node asked
	ProxyToCallback bool   // PVE computes the node in code
	AllowToken      bool   // API tokens may call it
	DownloadAllowed bool   // may answer with a file

	Permission *Permission // nil: root@pam only

	TaskReturns string   // "upid" (the answer is one), "field" (a member is one), "hidden" (a task without an id), or empty
	TaskTypes   []string // types of the tasks it starts
	ChildHref   string   // of an index: the member of a row that completes the path of a child, such as "{vmid}"

	Params  *pveconf.Property // object of all parameters, those of the path too; families name[n] are spelt out
	Returns *pveconf.Property // the answer as PVE documents it, which it does not check either
}

// Endpoints returns all methods, sorted by path. The endpoints are shared; the slice is the caller's.
func Endpoints() []*Endpoint {
	all := make([]*Endpoint, len(endpoints))
	for i := range endpoints {
		all[i] = &endpoints[i]
	}
	return all
}

// Validate checks the raw parameters (of path, query and body together: strings, booleans, json.Number or Go numbers,
// arrays, nil for "not given") and returns them normalised. If any is wrong, the second result has PVE's text for each,
// by the parameter's name or path. raw is left as it is.
func (e *Endpoint) Validate(raw map[string]any) (Params, map[string]string) {
	norm, errs := pveconf.Validate(raw, e.Params, Formats())
	if len(errs) > 0 {
		return nil, errs
	}
	p, _ := norm.(map[string]any)
	return p, nil
}

// IsPathParam tells whether the path binds the parameter.
func (e *Endpoint) IsPathParam(name string) bool { return slices.Contains(e.PathParams, name) }
