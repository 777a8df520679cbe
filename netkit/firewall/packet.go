package firewall

import (
	"net"
	"net/netip"
)

// Endpoint is where a packet comes from or goes to, seen from the node. The zero value is the node itself.
type Endpoint struct {
	Bridge string // a port of this bridge without firewall: a physical device, or a guest that is not filtered
	Guest  int    // ID of a guest of the node, or 0
	NIC    int    // N of netN of that guest
}

// Outside is a port of a bridge that no firewalled guest is behind.
func Outside(bridge string) Endpoint { return Endpoint{Bridge: bridge} }

// GuestNIC is netN of a guest.
func GuestNIC(id, nic int) Endpoint { return Endpoint{Guest: id, NIC: nic} }

// IsNode reports whether e is the node itself.
func (e Endpoint) IsNode() bool { return e == Endpoint{} }

// ConnState is what connection tracking says of a packet.
type ConnState int

// The states, of which New is the zero value.
const (
	New ConnState = iota
	Established
	Related
	Invalid
	Untracked
)

// AddrType is what the host's routing makes of a destination.
type AddrType int

// The types. TypeFromAddr, the zero value, takes the type from the address.
const (
	TypeFromAddr AddrType = iota
	Unicast
	Broadcast
	Multicast
	Anycast
)

// EtherTypes that the package treats on their own.
const (
	EtherIPv4 = 0x0800
	EtherARP  = 0x0806
	EtherIPv6 = 0x86dd
)

// Flags of a TCP header.
const (
	FIN = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
)

// Packet is a packet or frame that crosses the node or one of its bridges.
type Packet struct {
	From, To Endpoint

	EtherType uint16           // 0 is IPv4 or IPv6, as the addresses are
	SrcMAC    net.HardwareAddr // nil is the MAC of the guest's NIC that sends it
	ARPSender netip.Addr       // of ARP: who says to send

	Src, Dst netip.Addr
	DstType  AddrType
	Proto    uint8
	SrcPort  uint16 // of protocols with ports
	DstPort  uint16
	Flags    uint8 // of TCP; 0 is a plain SYN, so that the usual packet needs none
	NoFlags  bool  // of TCP: no flag is set
	ICMPType uint8
	ICMPCode uint8

	State     ConnState
	Interface string // that the node itself sends or receives by; empty is the bridge, "lo" is the node alone
}

func (p *Packet) family() int {
	switch {
	case p.EtherType == EtherIPv4 || p.EtherType == 0 && p.Src.Is4():
		return 4
	case p.EtherType == EtherIPv6 || p.EtherType == 0 && p.Src.IsValid():
		return 6
	}
	return 0
}

func (p *Packet) tcpFlags() uint8 {
	switch {
	case p.NoFlags:
		return 0
	case p.Flags == 0:
		return SYN
	}
	return p.Flags
}

// ports tells whether the packet's protocol has ports.
func (p *Packet) ports() bool {
	switch p.Proto {
	case protoTCP, protoUDP, 136, 33, 132:
		return true
	}
	return false
}

func within(ranges []addrRange, a netip.Addr) bool {
	for _, r := range ranges {
		if r.contains(a) {
			return true
		}
	}
	return false
}

// dstType is the type of the destination on this node.
func (w *World) dstType(p *Packet) AddrType {
	switch {
	case p.DstType != TypeFromAddr:
		return p.DstType
	case p.Dst.IsMulticast():
		return Multicast
	case within(w.broadcasts(), p.Dst):
		return Broadcast
	}
	return Unicast
}

// srcMAC is the sender's MAC: as said, else that of the guest's NIC.
func (w *World) srcMAC(p *Packet) net.HardwareAddr {
	if p.SrcMAC != nil {
		return p.SrcMAC
	}
	if g := w.guest(p.From.Guest); g != nil {
		if n, ok := g.nic(p.From.NIC); ok {
			return n.MAC
		}
	}
	return net.HardwareAddr{2, 0, 0, 0, 0, 1}
}

// Action is what becomes of a packet.
type Action string

// The actions. Reject answers the sender.
const (
	Accept Action = "ACCEPT"
	Drop   Action = "DROP"
	Reject Action = "REJECT"
)

// Decision is a verdict with its reasons.
type Decision struct {
	Action Action
	Stages []Stage // in order; the last one decided
}

// Stage is what one part of the firewall made of the packet.
type Stage struct {
	Name   string // "host in", "guest 100 net0 out", …
	Action Action
	By     string // the step or rule that decided
}

func (d Decision) String() string {
	if len(d.Stages) == 0 {
		return string(d.Action) + ": nothing filters this packet"
	}
	s := d.Stages[len(d.Stages)-1]
	return string(d.Action) + ": " + s.Name + ": " + s.By
}
