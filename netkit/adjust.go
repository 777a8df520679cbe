package netkit

import (
	"bytes"
	"net"
	"slices"
)

// adjust brings the changeable properties of h to w's. The master comes before the MTU, since a bridge lowers its own to
// that of a new port, and up comes last, so that a port never forwards half-configured.
func (p *planner) adjust(h, w Link) {
	step := func(a Action) { p.steps = append(p.steps, Step{Action: a, Link: w}) }
	// A bond takes links that are down, and starts them itself.
	joins := w.Master != "" && h.Master != w.Master && p.known[w.Master].Kind == KindBond
	if h.Up && (!w.Up || joins) {
		step(ActDown)
		h.Up = false
	}
	if w.MAC != nil && !bytes.Equal(h.MAC, w.MAC) {
		step(ActMAC)
	}
	for _, n := range w.AltNames {
		if !slices.Contains(h.AltNames, n) {
			p.steps = append(p.steps, Step{Action: ActAltName, Link: w, AltName: n})
		}
	}
	if w.NoIPv6 && !h.NoIPv6 {
		step(ActNoIPv6)
	}
	p.bridge(h, w)
	if w.Bond != nil && h.Bond != nil && h.Bond.differs(w.Bond) {
		step(ActBond)
	}
	if h.Master != w.Master {
		step(ActMaster)
		h.Port = nil
		h.Up = h.Up && p.known[h.Master].Kind != KindBond // a bond shuts down what it lets go
	}
	if w.Port != nil {
		p.port(h, w)
	}
	if w.MTU != 0 && h.MTU != w.MTU {
		step(ActMTU)
	}
	p.remotes(h, w)
	if w.Rate != nil && (h.Rate == nil && *w.Rate != Rate{} || h.Rate != nil && *h.Rate != *w.Rate) {
		step(ActRate)
	}
	p.addrs(h, w)
	if !h.Up && w.Up {
		step(ActUp)
	}
}

func (p *planner) addrs(h, w Link) {
	if w.Exact {
		for _, a := range h.Addrs {
			if !slices.Contains(w.Addrs, a) {
				p.steps = append(p.steps, Step{Action: ActNoAddr, Link: w, Addr: a})
			}
		}
	}
	for _, a := range w.Addrs {
		if !slices.Contains(h.Addrs, a) {
			p.steps = append(p.steps, Step{Action: ActAddr, Link: w, Addr: a})
		}
	}
}

func (p *planner) bridge(h, w Link) {
	if w.Bridge == nil {
		return
	}
	b := h.Bridge
	if b == nil {
		b = &Bridge{}
	}
	if b.VLANAware != w.Bridge.VLANAware || w.Bridge.VLANAware && b.PVID != w.Bridge.PVID || b.STP != w.Bridge.STP ||
		b.ForwardDelay != w.Bridge.ForwardDelay && (w.Bridge.ForwardDelay != 0 || !w.Bridge.STP) || w.Bridge.Ageing != 0 && b.Ageing != w.Bridge.Ageing {
		p.steps = append(p.steps, Step{Action: ActBridge, Link: w})
	}
	if w.Bridge.VLANAware {
		p.vlans(w, b.Self, w.Bridge.Self)
	}
}

// vlans plans the tagged VLANs of a port or of a bridge itself.
func (p *planner) vlans(w Link, have, want []VLANRange) {
	a, b := newVLANSet(have), newVLANSet(want)
	if del := a.without(b); del != nil {
		p.steps = append(p.steps, Step{Action: ActVLANDel, Link: w, VLANs: del})
	}
	if add := b.without(a); add != nil {
		p.steps = append(p.steps, Step{Action: ActVLANAdd, Link: w, VLANs: add})
	}
}

func (p *planner) port(h, w Link) {
	bridge := p.known[w.Master].Bridge
	have := h.Port
	switch fresh := freshPort(bridge); {
	case have == nil:
		have = fresh
	case !p.aware[w.Master]: // the kernel has kept VLANs for it that did not count
		now := *have
		now.PVID, now.VLANs = fresh.PVID, nil
		have = &now
	}
	if have.flags() != w.Port.flags() {
		p.steps = append(p.steps, Step{Action: ActPort, Link: w})
	}
	if bridge != nil && bridge.VLANAware {
		if have.PVID != 0 && have.PVID != w.Port.PVID {
			p.steps = append(p.steps, Step{Action: ActVLANDel, Link: w, VLANs: []VLANRange{{have.PVID, have.PVID}}})
		}
		if w.Port.PVID != 0 && have.PVID != w.Port.PVID {
			p.steps = append(p.steps, Step{Action: ActPVID, Link: w, PVID: w.Port.PVID})
		}
		p.vlans(w, have.tagged(have.PVID), w.Port.tagged(w.Port.PVID))
	}
	del := slices.DeleteFunc(slices.Clone(have.MACs), func(m net.HardwareAddr) bool { return containsMAC(w.Port.MACs, m) })
	if len(del) > 0 {
		p.steps = append(p.steps, Step{Action: ActFDBDel, Link: w, MACs: del})
	}
	add := slices.DeleteFunc(slices.Clone(w.Port.MACs), func(m net.HardwareAddr) bool { return containsMAC(have.MACs, m) })
	if len(add) > 0 {
		p.steps = append(p.steps, Step{Action: ActFDBAdd, Link: w, MACs: add})
	}
}

// tagged are the VLANs beside the untagged one.
func (p *Port) tagged(pvid uint16) []VLANRange {
	if pvid == 0 {
		return p.VLANs
	}
	return newVLANSet(p.VLANs).without(newVLANSet([]VLANRange{{pvid, pvid}}))
}

func (p *planner) remotes(h, w Link) {
	if w.VXLAN == nil || h.VXLAN == nil || sameAddrs(h.VXLAN.Remotes, w.VXLAN.Remotes) {
		return
	}
	for _, r := range h.VXLAN.Remotes {
		if !slices.Contains(w.VXLAN.Remotes, r) {
			p.steps = append(p.steps, Step{Action: ActNoHost, Link: w, Host: r})
		}
	}
	for _, r := range w.VXLAN.Remotes {
		if !slices.Contains(h.VXLAN.Remotes, r) {
			p.steps = append(p.steps, Step{Action: ActRemote, Link: w, Host: r})
		}
	}
}
