package firewall

import (
	"net/netip"
)

// hostIn is the chain of packets to the node.
func (e *Evaluator) hostIn(p *Packet) (Action, string) {
	iface := e.iface(p, p.From)
	if iface == "lo" || p.family() == 0 {
		return Accept, "not filtered"
	}
	if a, by, ok := tracked(p, false); ok {
		return a, by
	}
	if e.w.Host.flag("ndp", true) && discovery(p, true) {
		return Accept, "neighbour discovery"
	}
	if by, ok := e.inbound(p); ok {
		return Drop, by
	}
	if p.Proto == protoIGMP {
		return Accept, "IGMP"
	}
	if a, by, ok := e.hostRules("in", iface, p); ok {
		return a, by
	}
	if p.Proto == protoTCP && managementPort(p.DstPort, true) && e.manage.contains(p.Src) {
		return Accept, "management"
	}
	if e.corosync(p, p.Src, p.Dst) {
		return Accept, "corosync"
	}
	return e.policy(Action(e.w.Cluster.policy("policy_in", "DROP")), p)
}

// hostOut is the chain of packets from the node.
func (e *Evaluator) hostOut(p *Packet) (Action, string) {
	iface := e.iface(p, p.To)
	if iface == "lo" || p.family() == 0 {
		return Accept, "not filtered"
	}
	if a, by, ok := tracked(p, false); ok {
		return a, by
	}
	if e.w.Host.flag("ndp", true) && discovery(p, false) {
		return Accept, "neighbour discovery"
	}
	if p.Proto == protoIGMP {
		return Accept, "IGMP"
	}
	if a, by, ok := e.hostRules("out", iface, p); ok {
		return a, by
	}
	if p.Proto == protoTCP && managementPort(p.DstPort, false) && e.w.localNetwork().Masked().Contains(p.Dst) {
		return Accept, "local network"
	}
	if e.corosync(p, p.Dst, p.Src) {
		return Accept, "corosync"
	}
	return e.policy(Action(e.w.Cluster.policy("policy_out", "ACCEPT")), p)
}

// iface is the device by which the node receives or sends a packet of a peer.
func (e *Evaluator) iface(p *Packet, peer Endpoint) string {
	switch {
	case p.Interface != "":
		return p.Interface
	case peer.IsNode():
		return "lo"
	}
	return e.w.bridgeOf(peer)
}

// hostRules are the node's own rules, then those of the cluster.
func (e *Evaluator) hostRules(direction, iface string, p *Packet) (Action, string, bool) {
	s := e.w.scope()
	for _, l := range [...]list{{"host", rulesOf(e.w.Host), s, iface}, {"cluster", rulesOf(e.w.Cluster), s, iface}} {
		if a, by, ok := e.rules(l, direction, p); ok {
			return a, by, true
		}
	}
	return "", "", false
}

func rulesOf(c *Config) []*Rule {
	if c == nil {
		return nil
	}
	return c.Rules
}

// managementPorts are open for the management: the API, consoles, SPICE, SSH, and inwards migration.
func managementPorts(in bool) []portRange {
	ports := []portRange{{22, 22}, {3128, 3128}, {5900, 5999}, {8006, 8006}}
	if in {
		ports = append(ports, portRange{60000, 60050})
	}
	return ports
}

func managementPort(port uint16, in bool) bool {
	for _, r := range managementPorts(in) {
		if r.from <= port && port <= r.to {
			return true
		}
	}
	return false
}

// managementSet is the set of that name and the local network.
func (w *World) managementSet() addrSet {
	set, _ := w.Cluster.Set("management")
	out := w.scope().resolve(set)
	out.add(w.localNetwork(), false)
	return out
}

// Ports of corosync.
const (
	corosyncFirst = 5404
	corosyncLast  = 5405
)

// corosync tells whether p belongs to the cluster's own traffic.
func (e *Evaluator) corosync(p *Packet, peer, own netip.Addr) bool {
	if p.Proto != protoUDP || p.DstPort < corosyncFirst || p.DstPort > corosyncLast {
		return false
	}
	for _, l := range e.w.Node.Corosync.Links {
		if l.Peer == peer && l.Own == own {
			return true
		}
	}
	return e.w.Node.Corosync.Multicast && e.w.dstType(p) == Multicast
}
