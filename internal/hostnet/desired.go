package hostnet

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/internal/hostnet/interfaces"
	"github.com/turtacn/go-proxmox/netkit"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// wish is what an interfaces file asks for, beside what the former one asked for.
type wish struct {
	want, gone netkit.State
	notes      []string // what cannot take effect on a running node
}

// wisher turns a file into a wish.
type wisher struct {
	file, former *interfaces.File
	have         netkit.State
	own          func(name string) bool
	links        map[string]*netkit.Link // by name of the kernel
	order        []string
	wish
}

// desired is pure: what the kernel shall have by the file. Interfaces with auto are made and started, and what they stand
// on; what only the former file has is removed, addresses and default routes too. Addresses and links that neither of them
// knows are left alone, and so are the bridges that own says are the daemon's.
func desired(file, former *interfaces.File, have netkit.State, own func(string) bool) (wish, error) {
	w := &wisher{file: file, former: former, have: have, own: own, links: map[string]*netkit.Link{}}
	for _, name := range w.wanted(file) {
		if err := w.add(name, file.Ifaces[name]); err != nil {
			return wish{}, err
		}
	}
	w.members()
	w.release()
	w.remove()
	w.routes()
	for _, name := range w.order {
		w.want.Links = append(w.want.Links, *w.links[name])
	}
	return w.wish, nil
}

// wanted lists the interfaces that are started by the file: those with auto, and what they are made of.
func (w *wisher) wanted(f *interfaces.File) []string {
	seen := map[string]bool{"lo": true}
	var out []string
	var visit func(name string)
	visit = func(name string) {
		e := f.Ifaces[name]
		if seen[name] || e == nil || e.Type() == "" {
			return
		}
		seen[name] = true
		for _, below := range below(name, e) {
			visit(below)
		}
		out = append(out, name)
	}
	for _, name := range slices.Sorted(maps.Keys(f.Ifaces)) {
		if v := f.Ifaces[name].Text("autostart"); v != "" && v != "0" {
			visit(name)
		}
	}
	return out
}

// below are the interfaces that one is made of.
func below(name string, e interfaces.Entry) []string {
	switch e.Type() {
	case interfaces.TypeBridge:
		return strings.Fields(e.Text("bridge_ports"))
	case interfaces.TypeBond:
		return strings.Fields(e.Text("slaves"))
	case interfaces.TypeVLAN:
		return []string{e.Text("vlan-raw-device")}
	case interfaces.TypeVXLAN:
		return []string{e.Text("vxlan-physdev")}
	case interfaces.TypeAlias:
		return []string{name[:strings.LastIndexByte(name, ':')]}
	}
	return nil
}

func (w *wisher) note(format string, args ...any) {
	w.notes = append(w.notes, fmt.Sprintf(format, args...))
}

// device is the kernel's link of that name, also by one of its other names.
func (w *wisher) device(name string) (netkit.Link, bool) {
	i := slices.IndexFunc(w.have.Links, func(l netkit.Link) bool { return l.Name == name || slices.Contains(l.AltNames, name) })
	if i < 0 {
		return netkit.Link{}, false
	}
	return w.have.Links[i], true
}

// kernelName is what the kernel calls an interface of the file.
func (w *wisher) kernelName(name string) string {
	if l, ok := w.device(name); ok {
		return l.Name
	}
	return name
}

// add turns one interface into a link.
func (w *wisher) add(name string, e interfaces.Entry) error {
	if strings.HasPrefix(e.Type(), "OVS") {
		return call.Errorf("interface '%s': Open vSwitch cannot be applied while the node runs, restart it", name)
	}
	if w.own(name) {
		w.note("%s: bridge is made by gpved, the file is not applied to it", name)
		return nil
	}
	have, there := w.device(name)
	l := &netkit.Link{Name: w.kernelName(name), Up: true}
	switch e.Type() {
	case interfaces.TypeBridge:
		w.bridge(l, e)
	case interfaces.TypeBond:
		bond(l, e)
		l.Bond.Primary = w.kernelName(l.Bond.Primary)
	case interfaces.TypeVLAN:
		id, _ := strconv.Atoi(e.Text("vlan-id"))
		l.Kind, l.Parent = netkit.KindVLAN, w.kernelName(e.Text("vlan-raw-device"))
		l.VLAN = &netkit.VLAN{ID: uint16(id), Protocol: e.Text("vlan-protocol")}
	case interfaces.TypeVXLAN:
		if err := w.vxlan(l, name, e); err != nil {
			return err
		}
	case interfaces.TypeDummy:
		l.Kind = netkit.KindDummy
	case interfaces.TypeAlias:
		parent := w.links[w.kernelName(below(name, e)[0])]
		if parent == nil {
			w.note("%s: interface is not there", below(name, e)[0])
			return nil
		}
		parent.Addrs = append(parent.Addrs, addresses(e)...)
		return nil
	default: // a device of the hardware, or something that others make
		if !there {
			w.note("%s: interface is not there", name)
			return nil
		}
		l.Kind = have.Kind
	}
	w.common(l, name, e, have)
	w.links[l.Name] = l
	w.order = append(w.order, l.Name)
	return nil
}

// common sets what interfaces of all types have.
func (w *wisher) common(l *netkit.Link, name string, e interfaces.Entry, have netkit.Link) {
	old := w.former.Ifaces[name]
	if mtu, err := strconv.Atoi(e.Text("mtu")); err == nil {
		l.MTU = mtu
	} else if old.Text("mtu") != "" {
		l.MTU = defaultMTU
	}
	// What the former file gave and this one does not goes; what came otherwise stays.
	gave := addresses(old)
	l.Exact = true
	for _, a := range have.Addrs {
		if !slices.Contains(gave, a) {
			l.Addrs = append(l.Addrs, a)
		}
	}
	for _, a := range addresses(e) {
		if !slices.Contains(l.Addrs, a) {
			l.Addrs = append(l.Addrs, a)
		}
	}
	for _, m := range []string{e.Text("method"), e.Text("method6")} {
		if m != "static" && m != "manual" && m != "loopback" {
			w.note("%s: method %s takes effect at the next start of the node", name, m)
		}
	}
	for _, o := range slices.Concat(e.Strings("options"), e.Strings("options6")) {
		w.option(l, name, o)
	}
}

const defaultMTU = 1500

// option applies an option that the file format does not know more about, or says that it waits.
func (w *wisher) option(l *netkit.Link, name, line string) {
	f := strings.Fields(line)
	switch {
	case len(f) > 1 && f[0] == "hwaddress":
		if mac, err := net.ParseMAC(f[len(f)-1]); err == nil {
			l.MAC = mac
			return
		}
	case len(f) == 2 && f[0] == "bond-lacp-rate" && l.Bond != nil && l.Bond.Mode == netkit.BondLACP:
		l.Bond.LACPRate = map[string]string{"1": "fast", "fast": "fast"}[f[1]]
		if l.Bond.LACPRate == "" {
			l.Bond.LACPRate = "slow"
		}
		return
	}
	w.note("%s: '%s' takes effect at the next start of the node", name, line)
}

// addresses are the fixed addresses of an entry.
func addresses(e interfaces.Entry) []netip.Prefix {
	var out []netip.Prefix
	for _, suffix := range []string{"", "6"} {
		if method := e.Text("method" + suffix); method != "static" && !slices.Contains(e.Families(), "") {
			continue
		}
		if p, err := netip.ParsePrefix(e.Text("cidr" + suffix)); err == nil {
			out = append(out, p)
		}
	}
	return out
}

func isOn(e interfaces.Entry, key string) bool {
	switch strings.ToLower(e.Text(key)) {
	case "on", "yes", "1":
		return true
	}
	return false
}

func isOff(e interfaces.Entry, key string) bool {
	switch strings.ToLower(e.Text(key)) {
	case "off", "no", "0":
		return true
	}
	return false
}

// bridge fills a bridge. The host is in those VLANs that it has VLAN devices for.
func (w *wisher) bridge(l *netkit.Link, e interfaces.Entry) {
	l.Kind = netkit.KindBridge
	fd, _ := strconv.Atoi(e.Text("bridge_fd"))
	l.Bridge = &netkit.Bridge{STP: isOn(e, "bridge_stp"), ForwardDelay: time.Duration(fd) * time.Second}
	if e["bridge_vlan_aware"] == nil {
		return
	}
	l.Bridge.VLANAware, l.Bridge.PVID = true, untagged
	for _, name := range slices.Sorted(maps.Keys(w.file.Ifaces)) {
		v := w.file.Ifaces[name]
		if id, err := strconv.Atoi(v.Text("vlan-id")); err == nil && v.Type() == interfaces.TypeVLAN && w.kernelName(v.Text("vlan-raw-device")) == l.Name && id != untagged {
			l.Bridge.Self = append(l.Bridge.Self, netkit.VLANRange{First: uint16(id), Last: uint16(id)})
		}
	}
}

func bond(l *netkit.Link, e interfaces.Entry) {
	l.Kind = netkit.KindBond
	l.Bond = &netkit.Bond{Mode: netkit.BondMode(e.Text("bond_mode")), MIIMon: 100 * time.Millisecond}
	if n, err := strconv.Atoi(e.Text("bond_miimon")); err == nil {
		l.Bond.MIIMon = time.Duration(n) * time.Millisecond
	}
	switch l.Bond.Mode {
	case netkit.BondXOR, netkit.BondLACP:
		l.Bond.XmitHash = e.Text("bond_xmit_hash_policy")
	case netkit.BondActiveBackup:
		l.Bond.Primary = e.Text("bond-primary")
	}
}

func (w *wisher) vxlan(l *netkit.Link, name string, e interfaces.Entry) error {
	id, err := strconv.ParseUint(e.Text("vxlan-id"), 10, 32)
	if err != nil {
		return call.Errorf("iface %s - bad vxlan-id %s", name, e.Text("vxlan-id"))
	}
	l.Kind, l.VXLAN = netkit.KindVXLAN, &netkit.VXLAN{ID: uint32(id), Learning: true}
	ip := func(text string) netip.Addr {
		a, parseErr := netip.ParseAddr(text)
		if parseErr != nil && text != "" {
			err = call.Errorf("iface %s - '%s' is no IP address", name, text)
		}
		return a
	}
	l.VXLAN.Local = ip(e.Text("vxlan-local-tunnelip"))
	if g := e.Text("vxlan-svcnodeip"); g != "" {
		l.VXLAN.Group, l.Parent = ip(g), w.kernelName(e.Text("vxlan-physdev"))
	}
	for _, r := range e.Strings("vxlan-remoteip") {
		l.VXLAN.Remotes = append(l.VXLAN.Remotes, ip(r))
	}
	return err
}
