package interfaces

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// draft is a file on its way to its text: a copy that the checks may complete.
type draft struct {
	ifaces map[string]Entry
	bridge map[string]string // bridge by the name of its port
}

func newDraft(f *File) *draft {
	d := &draft{ifaces: make(map[string]Entry, len(f.Ifaces)), bridge: map[string]string{}}
	for name, e := range f.Ifaces {
		e = e.Clone()
		for _, s := range []string{"", "6"} {
			if !e.defined("address"+s) && e.defined("cidr"+s) {
				e["address"+s] = e["cidr"+s]
			}
			delete(e, "cidr"+s)
		}
		d.ifaces[name] = e
	}
	return d
}

// check makes all checks before a file is written, in Proxmox VE's order; the errors have its texts.
func (d *draft) check() error {
	for _, step := range []func() error{
		d.checkLines, d.checkOwners, d.checkOVSBridges, d.checkOVSBonds, d.checkBonds, d.checkVXLANs, d.checkVLANs, d.checkUplinks, d.checkBridges, d.checkPorts,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// each calls fn for the interfaces of a type (all if it is empty) by name, until an error.
func (d *draft) each(typ string, fn func(name string, e Entry) error) error {
	for _, name := range slices.Sorted(maps.Keys(d.ifaces)) {
		if e := d.ifaces[name]; e != nil && (typ == "" || e.Type() == typ) {
			if err := fn(name, e); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkLines refuses values that would be lines of their own.
func (d *draft) checkLines() error {
	return d.each("", func(name string, e Entry) error {
		for _, key := range slices.Sorted(maps.Keys(e)) {
			values := append(e.Strings(key), e.Text(key))
			if !strings.HasPrefix(key, "comments") && slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, "\n") }) {
				return fmt.Errorf("%s: value of %s contains a line feed", name, key)
			}
		}
		return nil
	})
}

// checkOwners makes sure that nothing is a member of two, and turns Open vSwitch's ports that no bridge lists any more
// into plain interfaces.
func (d *draft) checkOwners() error {
	owner := map[string]string{}
	err := d.each("", func(name string, e Entry) error {
		for _, key := range memberKeys {
			for _, p := range strings.FieldsFunc(e.Text(key), func(r rune) bool { return strings.ContainsRune(",; \t", r) }) {
				if o := owner[p]; o != "" && o != name {
					return fmt.Errorf("port '%s' is already used on interface '%s'", p, o)
				}
				owner[p] = name
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return d.each("", func(name string, e Entry) error {
		switch bridge := d.ifaces[owner[name]]; {
		case !isOVSPort(e):
		case bridge == nil:
			d.ifaces[name] = Entry{"type": TypeEth, "exists": 1, "method": "manual", "families": []Family{Inet}}
		case bridge.Type() != TypeOVSBridge:
			delete(d.ifaces, name)
		}
		return nil
	})
}

// isOVSPort reports whether an interface can be a port of an Open vSwitch bridge.
func isOVSPort(e Entry) bool {
	return e.Type() == TypeOVSPort || e.Type() == TypeOVSIntPort || e.Type() == TypeOVSBond
}

func (d *draft) checkOVSBridges() error {
	return d.each(TypeOVSBridge, func(name string, e Entry) error {
		for _, p := range e.names("ovs_ports") {
			port := d.ifaces[p]
			if port == nil {
				return fmt.Errorf("OVS bridge '%s' - unable to find port '%s'", name, p)
			}
			port["autostart"] = 0
			if port.Type() == TypeEth {
				port["type"] = TypeOVSPort
			}
			if !isOVSPort(port) {
				return fmt.Errorf("interface '%s' is not defined as OVS port/bond", p)
			}
			port["ovs_bridge"] = name
			if err := d.checkMTU(name, p); err != nil {
				return err
			}
		}
		return nil
	})
}

func (d *draft) checkOVSBonds() error {
	return d.each(TypeOVSBond, func(name string, e Entry) error {
		for _, p := range e.names("ovs_bonds") {
			if t := d.typeOf(p); t != TypeEth {
				return fmt.Errorf("OVS bond '%s' - wrong interface type on slave '%s' ('%s' != 'eth')", name, p, t)
			}
			d.ifaces[p]["autostart"] = 1
			if err := d.checkMTU(name, p); err != nil {
				return err
			}
		}
		return nil
	})
}

func (d *draft) checkBonds() error {
	return d.each(TypeBond, func(name string, e Entry) error {
		slaves := e.names("slaves")
		for _, p := range slaves {
			if t := d.typeOf(p); t != TypeEth && t != TypeBond {
				return fmt.Errorf("bond '%s' - wrong interface type on slave '%s' ('%s' != 'eth or bond')", name, p, t)
			}
			d.ifaces[p]["autostart"] = 1
			if err := d.checkMTU(name, p); err != nil {
				return err
			}
		}
		if p := e.Text("bond-primary"); p != "" && !slices.Contains(slaves, p) {
			return fmt.Errorf("bond '%s' - bond-primary interface is not a slave", name)
		}
		return nil
	})
}

func (d *draft) checkVXLANs() error {
	ids := map[string]string{}
	return d.each(TypeVXLAN, func(name string, e Entry) error {
		if id := e.Text("vxlan-id"); id != "" {
			if other := ids[id]; other != "" {
				return fmt.Errorf("iface %s - duplicate vxlan-id %s already used in %s", name, id, other)
			}
			ids[id] = name
		}
		ways := 0
		for _, key := range []string{"vxlan-svcnodeip", "vxlan-remoteip", "vxlan-localtunnelip"} {
			if e.true(key) || len(e.Strings(key)) > 0 {
				ways++
			}
		}
		if ways > 1 {
			return fmt.Errorf("iface %s - vxlan-svcnodeip, vxlan-remoteip and vxlan-localtunnelip are mutually exclusive", name)
		}
		if e.true("vxlan-svcnodeip") != e.true("vxlan-physdev") {
			return fmt.Errorf("iface %s - vxlan-svcnodeip and vxlan-physdev must be define together", name)
		}
		return nil
	})
}

func (d *draft) checkVLANs() error {
	return d.each(TypeVLAN, func(name string, e Entry) error {
		parent, id := e.Text("vlan-raw-device"), e.Text("vlan-id")
		if m := vlanName.FindStringSubmatch(name); m != nil {
			parent, id = m[1], m[2]
			delete(e, "vlan-raw-device")
			delete(e, "vlan-id")
		} else {
			if m := customVLAN.FindStringSubmatch(name); m != nil {
				id = m[1]
				delete(e, "vlan-id")
			}
			switch {
			case parent == "":
				return fmt.Errorf("missing vlan-raw-device option")
			case id == "":
				return fmt.Errorf("missing vlan-id option")
			}
		}
		if n := (Entry{"id": id}).number("id"); n > 4094 || n == 0 && strings.Trim(id, "0") != "" {
			return fmt.Errorf("vlan '%s' - vlan-id %s should be <= 4094", name, id)
		}
		p := d.ifaces[parent]
		if p == nil {
			return fmt.Errorf("vlan '%s' - unable to find parent '%s'", name, parent)
		}
		if t := p.Type(); t != TypeEth && t != TypeBond && t != TypeBridge && t != TypeVLAN {
			return fmt.Errorf("vlan '%s' - wrong interface type on parent '%s' ('%s' != 'eth|bond|bridge|vlan' )", name, parent, t)
		}
		return d.checkMTU(parent, name)
	})
}

func (d *draft) checkUplinks() error {
	ids := map[string]string{}
	return d.each("", func(name string, e Entry) error {
		id := e.Text("uplink-id")
		if id == "" {
			return nil
		}
		if e.Type() != TypeEth && e.Type() != TypeBond {
			return fmt.Errorf("interface '%s' - uplink-id %s is only allowed on physical and linux bond interfaces", name, id)
		}
		if other := ids[id]; other != "" {
			return fmt.Errorf("interface '%s' - uplink-id %s is already assigned on '%s'", name, id, other)
		}
		ids[id] = name
		return nil
	})
}

func (d *draft) checkBridges() error {
	return d.each(TypeBridge, func(name string, e Entry) error {
		for _, p := range e.names("bridge_ports") {
			port := d.ifaces[p]
			if port == nil {
				m := vlanName.FindStringSubmatch(p)
				if m == nil || d.ifaces[m[1]] == nil {
					return fmt.Errorf("bridge '%s' - unable to find bridge port '%s'", name, p)
				}
				port = Entry{"type": TypeVLAN, "method": "manual", "method6": "manual"} // ifupdown makes it; it is not written
				if mtu := d.ifaces[m[1]]["mtu"]; mtu != nil {
					port["mtu"] = mtu
				}
			}
			if port.Text("method") == "static" && port.Text("address") != "0.0.0.0" || port.Text("method6") == "static" && port.Text("address6") != "::" {
				return fmt.Errorf("iface %s - ip address can't be set on interface if bridged in %s", p, name)
			}
			if err := checkMTU(p, port, name, e); err != nil {
				return err
			}
			d.bridge[p] = name
		}
		return nil
	})
}

func (d *draft) checkPorts() error {
	return d.each("", func(name string, e Entry) error {
		for _, key := range portKeys {
			if !e.true(key) {
				continue
			}
			bridge, ok := d.bridge[name]
			if !ok {
				return fmt.Errorf("iface %s - %s: bridge port specific options can be used only on interfaces attached to a bridge", name, key)
			}
			if key == "bridge-access" && !d.ifaces[bridge].true("bridge_vlan_aware") {
				return fmt.Errorf("iface %s - bridge-access option can be only used if interface is in a vlan aware bridge", name)
			}
		}
		return nil
	})
}

func (d *draft) typeOf(name string) string { return d.ifaces[name].Type() }

func (d *draft) checkMTU(parent, child string) error {
	return checkMTU(parent, d.ifaces[parent], child, d.ifaces[child])
}

// checkMTU refuses a parent whose packets are smaller than its child's.
func checkMTU(parent string, p Entry, child string, c Entry) error {
	mtu := c.number("mtu")
	if mtu == 0 {
		return nil
	}
	def := 1500
	if p.Type() == TypeBond {
		def = mtu
	}
	if have := cmp.Or(p.number("mtu"), def); have < mtu {
		return fmt.Errorf("interface '%s' - mtu %d is lower than '%s' - mtu %d", parent, have, child, mtu)
	}
	return nil
}
