package guestfw

import (
	"context"

	"github.com/turtacn/go-proxmox/netkit/firewall"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// refs lists what rules of a file may name: aliases and sets of the cluster, then those of a guest.
func (s *Service) refs(ctx context.Context, p place, kind *string) ([]object, error) {
	f, err := s.load(ctx, p)
	if err != nil {
		return nil, err
	}
	rows := refsOf(f.scope.Cluster, "dc", schema.Value(kind, ""))
	if p.level == firewall.Guest {
		rows = append(rows, refsOf(f.config, "guest", schema.Value(kind, ""))...)
	}
	return rows, nil
}

func refsOf(c *firewall.Config, scope, kind string) []object {
	rows := []object{}
	add := func(typ, name, ref, comment string) {
		row := object{"type": typ, "name": name, "ref": ref, "scope": scope}
		if comment != "" {
			row["comment"] = comment
		}
		rows = append(rows, row)
	}
	if kind != "alias" {
		for _, set := range sorted(c.Sets, func(s *firewall.IPSet) string { return s.Name }) {
			add("ipset", set.Name, "+"+set.Name, set.Comment)
		}
	}
	if kind != "ipset" {
		for _, a := range sorted(c.Aliases, func(a firewall.Alias) string { return lower(a.Name) }) {
			add("alias", a.Name, a.Name, a.Comment)
		}
	}
	return rows
}

// macros lists the macros; what they are for is in their names.
func macros() []object {
	rows := []object{}
	for _, name := range firewall.MacroNames() {
		rows = append(rows, object{"macro": name, "descr": name})
	}
	return rows
}
