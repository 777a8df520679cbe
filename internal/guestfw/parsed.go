package guestfw

import (
	"maps"
	"sync"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/netkit/firewall"
)

// parsedFiles remembers what files say, by the revision of the file and, for the names it uses, that of the cluster's.
type parsedFiles struct {
	mu sync.Mutex // guards m; not held while a file is read
	m  map[string]*parsedFile
}

type parsedFile struct {
	rev, clusterRev int64
	config          *firewall.Config // read only; never nil
	warnings        []firewall.Warning
}

// parse returns what a file says. top is the cluster's file, nil for that one itself.
func (f *parsedFiles) parse(kv cluster.KV, p place, top *parsedFile) (*parsedFile, error) {
	out := &parsedFile{rev: kv.ModRev}
	var scope *firewall.Scope
	if top != nil {
		out.clusterRev, scope = top.rev, &firewall.Scope{Cluster: top.config}
	}
	f.mu.Lock()
	have := f.m[p.key]
	f.mu.Unlock()
	if have != nil && have.rev == out.rev && have.clusterRev == out.clusterRev {
		return have, nil
	}
	var err error
	if out.config, out.warnings, err = firewall.Parse(string(kv.Value), p.level, scope); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.m == nil {
		f.m = map[string]*parsedFile{}
	}
	switch have := f.m[p.key]; {
	case kv.ModRev == 0 && p.level == firewall.Guest:
		delete(f.m, p.key) // most guests have no file
	case have == nil, kv.ModRev == 0, have.rev <= out.rev:
		f.m[p.key] = out
	}
	return out, nil
}

// keep forgets the files of guests that are gone.
func (f *parsedFiles) keep(there func(key string) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(f.m, func(key string, _ *parsedFile) bool { return !there(key) })
}
