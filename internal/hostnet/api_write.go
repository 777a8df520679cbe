package hostnet

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/turtacn/go-proxmox/internal/hostnet/interfaces"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/proxmoxapi/upid"
)

// PostNodesNetwork answers POST /nodes/{node}/network: it adds an interface to the pending configuration.
func (s *Service) PostNodesNetwork(ctx context.Context, req *schema.PostNodesNetwork) (any, error) {
	name := req.Params.String("iface")
	return nil, s.edit(ctx, func(f *interfaces.File) error {
		if f.Ifaces[name].Type() != "" || s.own(name) {
			return call.Param("iface", "interface already exists")
		}
		e := wishedEntry(req.Params)
		if err := checkUnique(f, name, e); err != nil {
			return err
		}
		if err := setAddresses(e); err != nil {
			return err
		}
		if err := s.checkOVS(f, name, e); err != nil {
			return err
		}
		if vids, ok := e["bridge_vids"].(string); ok {
			ids := splitList(vids)
			if len(ids) == 0 {
				return call.Param("bridge_vids", "VLAN list items are empty")
			}
			e["bridge_vids"] = strings.Join(ids, " ")
		}
		f.Ifaces[name] = e
		return nil
	})
}

// PutNodesNetworkIface answers PUT /nodes/{node}/network/{iface}: it changes an interface in the pending configuration.
func (s *Service) PutNodesNetworkIface(ctx context.Context, req *schema.PutNodesNetworkIface) (any, error) {
	if err := s.refuseOwn(req.Iface); err != nil {
		return nil, err
	}
	return nil, s.edit(ctx, func(f *interfaces.File) error {
		old := f.Ifaces[req.Iface]
		if old == nil {
			return call.Param("iface", "interface does not exist")
		}
		for _, key := range splitList(req.Params.String("delete")) {
			delete(old, key)
			if suffix, ok := strings.CutPrefix(key, "cidr"); ok {
				delete(old, "address"+suffix)
				delete(old, "netmask"+suffix)
			}
		}
		e := wishedEntry(req.Params.Without("delete"))
		if err := splitCIDR(e); err != nil {
			return err
		}
		if err := checkUnique(f, req.Iface, e); err != nil {
			return err
		}
		if err := setAddresses(e); err != nil {
			return err
		}
		if vids, ok := e["bridge_vids"].(string); ok && len(splitList(vids)) == 0 {
			return call.Param("bridge_vids", "VLAN list items are empty")
		}
		maps.Copy(old, e)
		return nil
	})
}

// DeleteNodesNetworkIface answers DELETE /nodes/{node}/network/{iface}: it takes an interface out of the pending configuration.
func (s *Service) DeleteNodesNetworkIface(ctx context.Context, req *schema.DeleteNodesNetworkIface) (any, error) {
	if err := s.refuseOwn(req.Iface); err != nil {
		return nil, err
	}
	return nil, s.edit(ctx, func(f *interfaces.File) error {
		e := f.Ifaces[req.Iface]
		if e == nil {
			return call.Param("iface", "interface does not exist")
		}
		if bridge := f.Ifaces[e.Text("ovs_bridge")]; bridge != nil && (e.Type() == interfaces.TypeOVSIntPort || e.Type() == interfaces.TypeOVSBond) {
			rest := slices.DeleteFunc(splitList(bridge.Text("ovs_ports")), func(p string) bool { return p == req.Iface })
			bridge["ovs_ports"] = strings.Join(rest, " ")
		}
		delete(f.Ifaces, req.Iface)
		return nil
	})
}

// DeleteNodesNetwork answers DELETE /nodes/{node}/network: what is pending is dropped.
func (s *Service) DeleteNodesNetwork(context.Context, *schema.DeleteNodesNetwork) (any, error) {
	return nil, s.discard()
}

// PutNodesNetwork answers PUT /nodes/{node}/network: a task applies what is pending. See [Service.Confirm] for how it ends.
func (s *Service) PutNodesNetwork(ctx context.Context, _ *schema.PutNodesNetwork) (upid.UPID, error) {
	if s.tasks == nil || s.file == "" {
		return upid.UPID{}, call.Errorf("this node has no interfaces file")
	}
	c := call.From(ctx)
	return s.tasks.Submit(ctx, task.Spec{Type: taskReload, ID: "networking", User: c.AuthID, Queue: "network", Params: reload{Local: isLoopback(c.Remote)}})
}

// own tells whether gpved makes the interface by itself.
func (s *Service) own(name string) bool {
	return slices.ContainsFunc(s.bridges, func(b Bridge) bool { return b.Name == name })
}

func (s *Service) refuseOwn(name string) error {
	active, pending, err := s.read()
	if err != nil || !s.own(name) {
		return err
	}
	text := active.text
	if pending.there {
		text = pending.text
	}
	if interfaces.Parse(text, interfaces.Live{}).Ifaces[name].Type() != "" {
		return nil // the file has it, too: that is what is changed
	}
	return call.Errorf("bridge '%s' is made by gpved: change it in gpved's configuration (network.bridges)", name)
}

// flagKeys are the properties that an entry holds as numbers.
func flagKeys() []string { return []string{"autostart", "bridge_vlan_aware"} }

// wishedEntry is the entry that parameters describe.
func wishedEntry(p schema.Params) interfaces.Entry {
	e := interfaces.Entry{}
	for key := range p {
		switch {
		case key == "iface":
		case slices.Contains(flagKeys(), key):
			e[key] = 0
			if p.Bool(key) {
				e[key] = 1
			}
		default:
			e[key] = p.String(key)
		}
	}
	if c, ok := e["comments"].(string); ok && c != "" && !strings.HasSuffix(c, "\n") {
		e["comments"] = c + "\n"
	}
	return e
}

// splitList splits a list as the API writes it.
func splitList(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(",; \t\n\x00", r) })
}

// memberKeys are the properties that list other interfaces.
func memberKeys() []string { return []string{"bridge_ports", "ovs_ports", "slaves", "ovs_bonds"} }

// checkUnique refuses a second default gateway of a family, and members that another interface has.
func checkUnique(f *interfaces.File, name string, e interfaces.Entry) error {
	others := slices.DeleteFunc(slices.Sorted(maps.Keys(f.Ifaces)), func(n string) bool { return n == name })
	for _, g := range []struct{ key, text string }{{"gateway", "Default gateway"}, {"gateway6", "Default ipv6 gateway"}} {
		if e.Text(g.key) == "" {
			continue
		}
		for _, o := range others {
			if f.Ifaces[o].Text(g.key) != "" {
				return call.Param(g.key, "%s already exists on interface '%s'.", g.text, o)
			}
		}
	}
	for _, key := range memberKeys() {
		if e.Text(key) == "" {
			continue
		}
		for _, member := range splitList(e.Text(key)) {
			for _, o := range others {
				for _, theirs := range memberKeys() {
					if slices.Contains(splitList(f.Ifaces[o].Text(theirs)), member) {
						return call.Param(key, "%s is already used on interface '%s'.", member, o)
					}
				}
			}
		}
		break // of all keys only the first is looked at, as Proxmox VE does; the file's own check sees the rest
	}
	return nil
}

// checkOVS refuses Open vSwitch where it is not installed, and makes a port one of its bridge.
func (s *Service) checkOVS(f *interfaces.File, name string, e interfaces.Entry) error {
	if !strings.HasPrefix(e.Type(), "OVS") {
		return nil
	}
	if !s.ovs() {
		return call.Errorf("Open VSwitch is not installed (need package 'openvswitch-switch')")
	}
	if e.Type() != interfaces.TypeOVSIntPort && e.Type() != interfaces.TypeOVSBond {
		return nil
	}
	b := e.Text("ovs_bridge")
	bridge := f.Ifaces[b]
	switch {
	case b == "":
		return call.Param("ovs_bridge", "parameter is required")
	case bridge == nil:
		return call.Param("ovs_bridge", "bridge '%s' does not exist", b)
	case bridge.Type() != interfaces.TypeOVSBridge:
		return call.Param("ovs_bridge", "interface '%s' is no OVS bridge", b)
	}
	bridge["ovs_ports"] = strings.Join(append(splitList(bridge.Text("ovs_ports")), name), " ")
	return nil
}
