package firewall

import (
	"bytes"
	"strings"
)

// guestOut is the chain of what a guest sends by a NIC.
func (e *Evaluator) guestOut(g *GuestConfig, n NIC, p *Packet) (Action, string) {
	if p.family() == 0 {
		return e.layer2(g, n, p)
	}
	c := g.Config
	if a, by, ok := tracked(p, e.w.Host.flag("nf_conntrack_allow_invalid", false)); ok {
		return a, by
	}
	if c.flag("dhcp", true) && dhcp(p, 68, 67, 546, 547) {
		return Accept, "DHCP"
	}
	if c.flag("macfilter", true) && !bytes.Equal(e.w.srcMAC(p), n.MAC) {
		return Drop, "macfilter"
	}
	advertise := c.flag("radv", false)
	if !advertise && p.family() == 6 && p.Proto == protoICMP6 && p.ICMPType == routerAdvertisement {
		return Drop, "radv"
	}
	if f := e.filter(g, n); f.active && !f.set.contains(p.Src) {
		return Drop, "ipfilter"
	}
	if c.flag("ndp", true) && discovery(p, advertise) {
		return Accept, "neighbour discovery"
	}
	if a, by, ok := e.rules(e.guestRules(g, n), "out", p); ok {
		return a, by
	}
	return e.policy(Action(c.policy("policy_out", "ACCEPT")), p)
}

// guestIn is the chain of what goes to a NIC of a guest.
func (e *Evaluator) guestIn(g *GuestConfig, n NIC, p *Packet) (Action, string) {
	if p.family() == 0 {
		return Accept, "not filtered"
	}
	c := g.Config
	if a, by, ok := tracked(p, e.w.Host.flag("nf_conntrack_allow_invalid", false)); ok {
		return a, by
	}
	if by, ok := e.inbound(p); ok {
		return Drop, by
	}
	if c.flag("dhcp", true) && dhcp(p, 67, 68, 547, 546) {
		return Accept, "DHCP"
	}
	if c.flag("ndp", true) && discovery(p, true) {
		return Accept, "neighbour discovery"
	}
	if a, by, ok := e.rules(e.guestRules(g, n), "in", p); ok {
		return a, by
	}
	return e.policy(Action(c.policy("policy_in", "DROP")), p)
}

func (e *Evaluator) guestRules(g *GuestConfig, n NIC) list {
	return list{"guest", g.Config.Rules, e.w.guestScope(g), "net" + itoa(n.Number)}
}

// dhcp tells whether p goes between these ports of its family.
func dhcp(p *Packet, from4, to4, from6, to6 uint16) bool {
	from, to := from4, to4
	if p.family() == 6 {
		from, to = from6, to6
	}
	return p.Proto == protoUDP && p.SrcPort == from && p.DstPort == to
}

// layer2 settles a guest's frames that are neither IPv4 nor IPv6.
func (e *Evaluator) layer2(g *GuestConfig, n NIC, p *Packet) (Action, string) {
	if !e.w.Cluster.flag("ebtables", true) {
		return Accept, "not filtered"
	}
	if g.Config.flag("macfilter", true) && !bytes.Equal(e.w.srcMAC(p), n.MAC) {
		return Drop, "macfilter"
	}
	if f := e.filter(g, n); f.arp && p.EtherType == EtherARP && !f.arpSet.contains(p.ARPSender) {
		return Drop, "ipfilter"
	}
	if types := layer2Protocols(g.Config); types != nil && !types[p.EtherType] {
		return Drop, "layer2_protocols"
	}
	return Accept, "layer 2"
}

// layer2Protocols are the protocols that the guest may send besides IP, nil for all.
func layer2Protocols(c *Config) map[uint16]bool {
	v := c.Options["layer2_protocols"]
	if v == "" {
		return nil
	}
	types := map[uint16]bool{}
	for name := range strings.SplitSeq(v, ",") {
		if n, ok := etherType(name); ok {
			types[uint16(n)] = true
		}
	}
	return types
}
