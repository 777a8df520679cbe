package usercfg

import "strings"

// topPaths are shown by [Evaluator.Effective] even when no list mentions them.
var topPaths = []string{"/", "/access", "/access/groups", "/nodes", "/pool", "/sdn", "/storage", "/vms"}

// capPaths are looked at by [Evaluator.Capabilities] even when no list mentions them.
var capPaths = []string{"/", "/nodes", "/access/groups", "/vms", "/storage", "/sdn", "/mapping"}

// Effective returns path → privilege → propagate for every path that the configuration mentions and where the auth id
// holds something: what GET /access/permissions shows.
func (e *Evaluator) Effective(authID string) map[string]map[string]bool {
	out := map[string]map[string]bool{}
	show := func(path string) {
		if _, done := out[path]; done {
			return
		}
		if h := e.Held(authID, path); h.Privs != 0 {
			out[path] = h.Map()
		}
	}
	for _, path := range topPaths {
		show(path)
	}
	for path := range e.cfg.ACL.Walk() {
		show(path)
	}
	for id := range e.vmPool {
		show("/vms/" + id)
	}
	for id := range e.storagePools {
		show("/storage/" + id)
	}
	return out
}

// capFilter says which privileges a member of the capabilities holds, by the beginnings of their names.
var capFilter = map[string][]string{
	"vms":     {"VM.", "Permissions.Modify"},
	"access":  {"User.", "Group.", "Permissions.Modify"},
	"storage": {"Datastore.", "Permissions.Modify"},
	"nodes":   {"Sys.", "Permissions.Modify"},
	"sdn":     {"SDN.", "Permissions.Modify"},
	"mapping": {"Mapping.", "Permissions.Modify"},
	"dc":      {"Sys.Audit", "Sys.Modify", "SDN."},
}

// Capabilities returns member → privileges, a summary by which a user interface decides what to offer after login. It
// grants nothing.
func (e *Evaluator) Capabilities(authID string) map[string]map[string]bool {
	out := map[string]map[string]bool{}
	for member := range capFilter {
		out[member] = map[string]bool{}
	}
	add := func(member string, privs PrivSet) {
		for name := range privs.Names() {
			for _, prefix := range capFilter[member] {
				if strings.HasPrefix(name, prefix) {
					out[member][name] = true
				}
			}
		}
	}
	look := func(path string) {
		member, _, _ := strings.Cut(path[1:], "/")
		privs := e.Held(authID, path).Privs
		switch member {
		case "":
			add("dc", privs)
		case "pool":
			add("vms", privs)
			add("storage", privs)
		default:
			add(member, privs)
		}
	}
	for _, path := range capPaths {
		look(path)
	}
	for path := range e.cfg.ACL.Walk() {
		look(path)
	}
	return out
}
