package hostnet

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/turtacn/go-proxmox/internal/access"
	"github.com/turtacn/go-proxmox/internal/hostnet/interfaces"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// entries are the interfaces of the node: its interfaces file, the pending one if there is one, completed with what the
// kernel knows and with the bridges that gpved makes. One of them that the file has too is shown as the file has it.
func (s *Service) entries(ctx context.Context) (map[string]interfaces.Entry, error) {
	f, live, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	all := f.Ifaces
	next := 0
	for _, e := range all {
		if p, ok := e["priority"].(int); ok {
			next = max(next, p+1)
		}
	}
	for _, b := range s.bridges {
		if all[b.Name].Type() == "" {
			all[b.Name] = b.entry(next, slices.Contains(live.Up, b.Name))
			next++
		}
	}
	return all, nil
}

// entry shows a bridge as the interfaces file would have it.
func (b Bridge) entry(priority int, up bool) interfaces.Entry {
	family := interfaces.Inet
	if b.CIDR.Addr().Is6() {
		family = interfaces.Inet6
	}
	stanza := "iface " + b.Name + " " + string(family) + " static\n\taddress " + b.CIDR.String() + "\n\tbridge-ports none\n"
	e := interfaces.Parse("auto "+b.Name+"\n"+stanza, interfaces.Live{}).Ifaces[b.Name]
	e["priority"] = priority
	if up {
		e["active"] = 1
	}
	return e
}

// types are the interface types that a filter of the network list stands for; others stand for themselves.
var types = map[string][]string{
	"any_bridge":       {interfaces.TypeBridge, interfaces.TypeOVSBridge},
	"any_local_bridge": {interfaces.TypeBridge, interfaces.TypeOVSBridge},
}

// passes reports whether the filter, which may be empty, lets a type pass.
func passes(filter, typ string) bool {
	if some, ok := types[filter]; ok {
		return slices.Contains(some, typ)
	}
	return filter == "" || filter == "include_sdn" || filter == typ
}

// GetNodesNetwork answers GET /nodes/{node}/network, sorted by name, with what is pending as the output of diff.
func (s *Service) GetNodesNetwork(ctx context.Context, req *schema.GetNodesNetwork) (call.Changes, error) {
	all, err := s.entries(ctx)
	if err != nil {
		return call.Changes{}, err
	}
	rows := []interfaces.Entry{}
	filter := schema.Value(req.Type, "")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		e := all[name]
		if name == "lo" || !passes(filter, e.Type()) {
			continue
		}
		if seen, err := s.maySee(ctx, name, e.Type()); err != nil {
			return call.Changes{}, err
		} else if !seen {
			continue
		}
		e["iface"] = name
		rows = append(rows, e)
	}
	active, pending, err := s.read()
	if err != nil {
		return call.Changes{}, err
	}
	return call.Changes{Rows: rows, Changes: s.changesText(active, pending)}, nil
}

// maySee reports whether the caller may see an interface. Bridges are zones of the SDN; everything else is for every user.
func (s *Service) maySee(ctx context.Context, name, typ string) (bool, error) {
	if typ != interfaces.TypeBridge && typ != interfaces.TypeOVSBridge || call.From(ctx).IsRoot() {
		return true, nil
	}
	if s.access == nil {
		return false, nil
	}
	err := s.access.CheckBridge(ctx, access.LocalZone, name, "SDN.Audit", "SDN.Use")
	if _, refused := errors.AsType[*call.Error](err); refused {
		return false, nil
	}
	return err == nil, err
}

// GetNodesNetworkIface answers GET /nodes/{node}/network/{iface}.
func (s *Service) GetNodesNetworkIface(ctx context.Context, req *schema.GetNodesNetworkIface) (any, error) {
	all, err := s.entries(ctx)
	if err != nil {
		return nil, err
	}
	e, ok := all[req.Iface]
	if !ok {
		return nil, call.Param("iface", "interface does not exist")
	}
	return e, nil
}
