package interfaces

import (
	"regexp"
	"slices"
	"strings"
)

var (
	bondName     = regexp.MustCompile(`^bond\d+$`)
	aliasName    = regexp.MustCompile(`^(\S+):\d+$`)
	vlanName     = regexp.MustCompile(`^(\S+)\.(\d+)$`)
	customVLAN   = regexp.MustCompile(`^vlan(\d+)$`)
	physicalName = regexp.MustCompile(`^(?:eth\d+|en[^:.]+|ib[^:.]+|nic\d+|if\d+)$`)
)

// setType finds out what kind of interface an entry is, from its options and its name, and sets what follows from it.
func (f *File) setType(name string, e Entry, live Live) {
	ovs := e.Text("ovs_type")
	switch {
	case e.defined("bridge_ports"):
		e["type"] = TypeBridge
		if !e.defined("bridge_stp") {
			e["bridge_stp"] = "off"
		}
		if e.Text("bridge_stp") == "off" && !e.defined("bridge_fd") {
			e["bridge_fd"] = 0
		}
	case ovs == TypeOVSBridge:
		e["type"] = TypeOVSBridge
	case bondName.MatchString(name):
		f.setBond(e, ovs)
	case aliasName.MatchString(name):
		e["type"] = TypeAlias
		f.inherit(e, aliasName.FindStringSubmatch(name)[1])
	case vlanName.MatchString(name):
		m := vlanName.FindStringSubmatch(name)
		e["type"] = TypeVLAN
		if !e.true("vlan-raw-device") {
			e["vlan-raw-device"] = m[1]
		}
		setVLANID(e, m[2])
		f.inherit(e, e.Text("vlan-raw-device"))
	case e.true("vlan-raw-device"):
		e["type"] = TypeVLAN
		if m := customVLAN.FindStringSubmatch(name); m != nil {
			setVLANID(e, m[1])
		}
		f.inherit(e, e.Text("vlan-raw-device"))
	case physicalName.MatchString(name) || live.physical(name):
		setEth(e, ovs)
	default:
		e["type"] = otherType(name, e, ovs)
	}
}

func (l Live) physical(name string) bool {
	return slices.ContainsFunc(l.Links, func(l Link) bool { return l.Physical && l.named(name) })
}

func otherType(name string, e Entry, ovs string) string {
	switch {
	case name == "lo":
		return TypeLoopback
	case e.true("vxlan-id"):
		return TypeVXLAN
	case ovs == TypeOVSIntPort:
		takeTag(e)
		return TypeOVSIntPort
	case ovs == "" && e.Text("link-type") == "dummy":
		return TypeDummy
	}
	return TypeUnknown
}

func setVLANID(e Entry, digits string) {
	if strings.Trim(digits, "0") != "" {
		e["vlan-id"] = digits
	}
}

// setBond sets the type of an interface that is named like a bond.
func (f *File) setBond(e Entry, ovs string) {
	switch ovs {
	case "":
		e["type"] = TypeBond
	case TypeOVSBond:
		e["type"] = TypeOVSBond
		takeTag(e)
		mode, lacp := takeOption(e, "bond_mode"), takeOption(e, "lacp")
		switch {
		case mode == "balance-tcp", mode == "balance-slb" && lacp == "active":
			mode = "lacp-" + mode
		}
		if mode != "" {
			e["bond_mode"] = mode
		}
	default:
		e["type"] = TypeUnknown
	}
}

func setEth(e Entry, ovs string) {
	switch ovs {
	case "":
		e["type"] = TypeEth
	case TypeOVSPort:
		e["type"] = TypeOVSPort
		takeTag(e)
	default:
		e["type"] = TypeUnknown
	}
}

func takeTag(e Entry) {
	if tag := takeOption(e, "tag"); tag != "" {
		e["ovs_tag"] = tag
	}
}

// takeOption takes an option out of ovs_options and returns its value.
func takeOption(e Entry, key string) string {
	value := ""
	opts := slices.DeleteFunc(e.names("ovs_options"), func(o string) bool {
		v, ok := strings.CutPrefix(o, key+"=")
		if ok {
			value = v
		}
		return ok
	})
	switch {
	case value == "":
	case len(opts) == 0:
		delete(e, "ovs_options")
	default:
		e["ovs_options"] = strings.Join(opts, " ")
	}
	return value
}

// inherit sets whether the interface exists: as its parent does. A parent that is nowhere becomes an entry that says so.
func (f *File) inherit(e Entry, parent string) {
	p := f.Ifaces[parent]
	if p == nil {
		f.Ifaces[parent] = Entry{"exists": 0}
		e["exists"] = 0
		return
	}
	e["exists"] = p["exists"] // null where it is not known
}
