package firewall

import "net/netip"

// What guests and the host have in common.

// icmpv6 of neighbour discovery.
const (
	routerSolicitation    = 133
	routerAdvertisement   = 134
	neighborSolicitation  = 135
	neighborAdvertisement = 136
)

// discovery tells whether p is neighbour discovery; without advertise, not the advertisement of a router.
func discovery(p *Packet, advertise bool) bool {
	if p.family() != 6 || p.Proto != protoICMP6 {
		return false
	}
	switch p.ICMPType {
	case routerSolicitation, neighborSolicitation, neighborAdvertisement:
		return true
	case routerAdvertisement:
		return advertise
	}
	return false
}

// classD are the IPv4 multicast addresses.
func classD() addrRange { return rangeOf(netip.PrefixFrom(netip.AddrFrom4([4]byte{224}), 4)) }

// multicast6 are the IPv6 multicast addresses.
func multicast6() addrRange { return rangeOf(netip.PrefixFrom(netip.AddrFrom16([16]byte{0xff}), 8)) }

// inbound is what packets to a guest or the host meet before the rules: the blacklist, smurfs and impossible TCP flags.
func (e *Evaluator) inbound(p *Packet) (string, bool) {
	if set, ok := e.cluster.Set("blacklist"); ok && p.family() != 0 && e.inSet(set, e.w.scope(), p.Src) {
		return "blacklist", true
	}
	if e.w.Host.flag("nosmurfs", true) && p.family() == 4 && (p.State == New || p.State == Invalid) &&
		p.Src != netip.IPv4Unspecified() && (within(e.w.broadcasts(), p.Src) || classD().contains(p.Src)) {
		return "smurfs", true
	}
	if e.w.Host.flag("tcpflags", false) && p.Proto == protoTCP && impossibleFlags(p) {
		return "tcpflags", true
	}
	return "", false
}

func impossibleFlags(p *Packet) bool {
	f := p.tcpFlags()
	switch six := f & (FIN | SYN | RST | PSH | ACK | URG); {
	case six == FIN|PSH|URG, six == 0, f&(SYN|RST) == SYN|RST, f&(FIN|SYN) == FIN|SYN:
		return true
	}
	return p.SrcPort == 0 && plainSYN(f)
}

func plainSYN(flags uint8) bool { return flags&(FIN|SYN|RST|ACK) == SYN }

// rejected turns a rejection into the drop that it is where an answer would do harm.
func rejected(a Action, p *Packet, w *World) Action {
	if a != Reject {
		return a
	}
	switch {
	case p.family() == 6 && p.Proto == protoICMP6:
		return Drop
	case p.family() == 4 && (w.dstType(p) == Broadcast || classD().contains(p.Src) || p.Proto == protoICMP):
		return Drop
	}
	return Reject
}

// policy is the end of a list: what is only noise is settled in silence, the rest by the policy.
func (e *Evaluator) policy(policy Action, p *Packet) (Action, string) {
	if policy == Accept {
		return Accept, "policy ACCEPT"
	}
	if a, by, ok := e.noise(policy, p); ok {
		return rejected(a, p, e.w), by
	}
	return rejected(policy, p, e.w), "policy " + string(policy)
}

// noise settles what the policies DROP and REJECT do not log.
func (e *Evaluator) noise(policy Action, p *Packet) (Action, string, bool) {
	six := p.family() == 6
	switch {
	case six && p.Proto == protoTCP && p.DstPort == 43:
		return Reject, "noise: whois", true
	case e.toMany(p):
		return Drop, "noise: broadcast", true
	case usefulICMP(p):
		return Accept, "needed ICMP", true
	case p.State == Invalid:
		return Drop, "noise: invalid connection state", true
	case windowsNoise(p):
		return policy, "noise: SMB", true
	case p.Proto == protoUDP && p.DstPort == 1900:
		return Drop, "noise: UPnP", true
	case p.Proto == protoTCP && !plainSYN(p.tcpFlags()):
		return Drop, "noise: no plain SYN", true
	case p.Proto == protoUDP && p.SrcPort == 53:
		return Drop, "noise: late DNS answer", true
	}
	return "", "", false
}

// toMany tells whether p goes to more than one host.
func (e *Evaluator) toMany(p *Packet) bool {
	if e.w.dstType(p) != Unicast {
		return true
	}
	return classD().contains(p.Dst) || multicast6().contains(p.Dst)
}

func usefulICMP(p *Packet) bool {
	switch {
	case p.family() == 4 && p.Proto == protoICMP:
		return p.ICMPType == 3 && p.ICMPCode == 4 || p.ICMPType == 11
	case p.family() == 6 && p.Proto == protoICMP6:
		return p.ICMPType >= 1 && p.ICMPType <= 3
	}
	return false
}

func windowsNoise(p *Packet) bool {
	switch p.Proto {
	case protoUDP:
		return p.DstPort == 135 || p.DstPort == 445 || p.DstPort >= 137 && p.DstPort <= 139 || p.SrcPort == 137 && p.DstPort >= 1024
	case protoTCP:
		return p.DstPort == 135 || p.DstPort == 139 || p.DstPort == 445
	}
	return false
}
