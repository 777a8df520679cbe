package hostnet

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/internal/hostnet/interfaces"
	"github.com/turtacn/go-proxmox/netkit"
)

// members makes links ports of their bridges and bonds.
func (w *wisher) members() {
	for _, name := range w.wanted(w.file) {
		e := w.file.Ifaces[name]
		master := w.links[w.kernelName(name)]
		if master == nil || e.Type() != interfaces.TypeBridge && e.Type() != interfaces.TypeBond {
			continue
		}
		for _, member := range below(name, e) {
			l := w.member(member)
			if l == nil {
				continue
			}
			l.Master = master.Name
			if master.Kind == netkit.KindBridge {
				l.Port = w.port(member, e)
			}
		}
	}
}

// member is the link of a member; a VLAN device that no stanza describes is made, too.
func (w *wisher) member(name string) *netkit.Link {
	if l := w.links[w.kernelName(name)]; l != nil {
		return l
	}
	i := strings.LastIndexByte(name, '.')
	if i < 0 {
		return nil // noted already
	}
	id, err := strconv.Atoi(name[i+1:])
	if err != nil || w.file.Ifaces[name].Type() != "" {
		return nil
	}
	l := &netkit.Link{Name: name, Kind: netkit.KindVLAN, Parent: w.kernelName(name[:i]), Up: true, VLAN: &netkit.VLAN{ID: uint16(id)}}
	w.links[name] = l
	w.order = append(w.order, name)
	return l
}

// port is what a member of a bridge does.
func (w *wisher) port(name string, bridge interfaces.Entry) *netkit.Port {
	e := w.file.Ifaces[name]
	p := &netkit.Port{
		NoLearning: isOff(e, "bridge-learning"), NoFlood: isOff(e, "bridge-unicast-flood"), NoMulticast: isOff(e, "bridge-multicast-flood"),
		NeighSuppress: isOn(e, "bridge-arp-nd-suppress"),
	}
	if bridge["bridge_vlan_aware"] == nil {
		return p
	}
	if id, err := strconv.Atoi(e.Text("bridge-access")); err == nil {
		p.PVID = uint16(id)
		return p
	}
	p.PVID = untagged
	p.VLANs = vids(bridge.Text("bridge_vids"))
	return p
}

// vids reads a list of VLANs such as "2-50 100".
func vids(list string) []netkit.VLANRange {
	var out []netkit.VLANRange
	for _, item := range splitList(list) {
		first, last, isRange := strings.Cut(item, "-")
		a, errA := strconv.ParseUint(first, 10, 16)
		b, errB := a, error(nil)
		if isRange {
			b, errB = strconv.ParseUint(last, 10, 16)
		}
		if errA == nil && errB == nil {
			out = append(out, netkit.VLANRange{First: uint16(a), Last: uint16(b)})
		}
	}
	if out == nil {
		return []netkit.VLANRange{netkit.AllVLANs()}
	}
	return out
}

// release lets links go that the former file made members and this one does not, and takes the addresses from those that
// only the former file configures. Members of what neither file knows stay.
func (w *wisher) release() {
	for _, h := range w.have.Links {
		l := w.links[h.Name]
		known := w.file.Ifaces[h.Master].Type() != "" || w.former.Ifaces[h.Master].Type() != ""
		switch {
		case l != nil && l.Master == "" && h.Master != "" && !known:
			l.Master = h.Master
		case l == nil && h.Kind == netkit.KindPhysical && h.Name != "lo":
			w.releaseDevice(h, known)
		}
	}
}

func (w *wisher) releaseDevice(h netkit.Link, known bool) {
	old := w.former.Ifaces[h.Name]
	gave := addresses(old)
	addrs := slices.DeleteFunc(slices.Clone(h.Addrs), func(a netip.Prefix) bool { return slices.Contains(gave, a) })
	if len(addrs) == len(h.Addrs) && (h.Master == "" || !known) {
		return
	}
	l := &netkit.Link{Name: h.Name, Up: h.Up, Addrs: addrs, Exact: true}
	if !known {
		l.Master = h.Master
	}
	w.links[h.Name] = l
	w.order = append(w.order, h.Name)
}

// remove lists the links that the former file made and this one does not, and those that are something else now.
func (w *wisher) remove() {
	for _, name := range w.wanted(w.former) {
		h, there := w.device(name)
		if !there || !madeByFile(h.Kind) || w.own(name) {
			continue
		}
		l := w.links[h.Name]
		if l == nil && w.file.Ifaces[name].Type() == "" || l != nil && l.Kind != h.Kind {
			w.gone.Links = append(w.gone.Links, h)
			for _, port := range w.have.Links {
				if port.Kind == netkit.KindTap && port.Master == h.Name {
					w.note("%s: the guest behind %s loses its network", name, port.Name)
				}
			}
		}
	}
}

// madeByFile tells whether links of the kind are made from files.
func madeByFile(k netkit.Kind) bool {
	switch k {
	case netkit.KindBridge, netkit.KindBond, netkit.KindVLAN, netkit.KindVXLAN, netkit.KindDummy:
		return true
	}
	return false
}

// routes are the default routes of both files.
func (w *wisher) routes() {
	w.want.Routes = w.gateways(w.file)
	for _, r := range w.gateways(w.former) {
		if !slices.Contains(w.want.Routes, r) {
			w.gone.Routes = append(w.gone.Routes, r)
		}
	}
}

func (w *wisher) gateways(f *interfaces.File) []netkit.Route {
	var out []netkit.Route
	for _, name := range w.wanted(f) {
		for _, g := range []struct{ key, all string }{{"gateway", "0.0.0.0/0"}, {"gateway6", "::/0"}} {
			via, err := netip.ParseAddr(f.Ifaces[name].Text(g.key))
			if err != nil || f == w.file && w.links[w.kernelName(name)] == nil {
				continue
			}
			out = append(out, netkit.Route{Dst: netip.MustParsePrefix(g.all), Via: via, Link: w.kernelName(name)})
		}
	}
	return out
}
