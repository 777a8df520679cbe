package firewall

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// Field is what the kernel reads of a packet for a comparison or look-up.
type Field int

// The fields. Addresses and ports say nothing of the family or protocol: statements compare those as well.
const (
	FieldIIF       Field = iota + 1 // name of the device it came by; 16 bytes, padded
	FieldOIF                        // name of the device it leaves by
	FieldIBridge                    // name of the bridge of the device it came by
	FieldNFProto                    // 2 IPv4, 10 IPv6
	FieldEtherType                  // two bytes
	FieldSrcMAC                     // six bytes
	FieldDstMAC
	FieldARPSender // IPv4 address in an ARP message
	FieldSrc4      // four bytes
	FieldDst4
	FieldSrc6 // sixteen bytes
	FieldDst6
	FieldL4Proto
	FieldSrcPort
	FieldDstPort
	FieldICMPType
	FieldICMPCode
	FieldICMP6Type
	FieldICMP6Code
	FieldTCPFlags
	FieldConnState // bits, in the order of the host
	FieldDstType   // routing's type of the destination, in the order of the host
)

// fieldSpec says how nft writes a field and the type of its values, and how long they are.
type fieldSpec struct {
	text, typ string
	bytes     int
}

func (f Field) spec() fieldSpec {
	switch f {
	case FieldIIF:
		return fieldSpec{"iifname", "ifname", 16}
	case FieldOIF:
		return fieldSpec{"oifname", "ifname", 16}
	case FieldIBridge:
		return fieldSpec{"meta ibrname", "ifname", 16}
	case FieldNFProto:
		return fieldSpec{"meta nfproto", "nf_proto", 1}
	case FieldEtherType:
		return fieldSpec{"meta protocol", "ether_type", 2}
	case FieldSrcMAC:
		return fieldSpec{"ether saddr", "ether_addr", 6}
	case FieldDstMAC:
		return fieldSpec{"ether daddr", "ether_addr", 6}
	case FieldARPSender:
		return fieldSpec{"arp saddr ip", "ipv4_addr", 4}
	case FieldSrc4:
		return fieldSpec{"ip saddr", "ipv4_addr", 4}
	case FieldDst4:
		return fieldSpec{"ip daddr", "ipv4_addr", 4}
	case FieldSrc6:
		return fieldSpec{"ip6 saddr", "ipv6_addr", 16}
	case FieldDst6:
		return fieldSpec{"ip6 daddr", "ipv6_addr", 16}
	case FieldL4Proto:
		return fieldSpec{"meta l4proto", "inet_proto", 1}
	case FieldSrcPort:
		return fieldSpec{"th sport", "inet_service", 2}
	case FieldDstPort:
		return fieldSpec{"th dport", "inet_service", 2}
	case FieldICMPType:
		return fieldSpec{"icmp type", "icmp_type", 1}
	case FieldICMPCode:
		return fieldSpec{"icmp code", "icmp_code", 1}
	case FieldICMP6Type:
		return fieldSpec{"icmpv6 type", "icmpv6_type", 1}
	case FieldICMP6Code:
		return fieldSpec{"icmpv6 code", "icmpv6_code", 1}
	case FieldTCPFlags:
		return fieldSpec{"tcp flags", "tcp_flag", 1}
	case FieldConnState:
		return fieldSpec{"ct state", "ct_state", 4}
	case FieldDstType:
		return fieldSpec{"fib daddr type", "fib_addrtype", 4}
	}
	return fieldSpec{text: fmt.Sprintf("field %d", int(f))}
}

func (f Field) String() string { return f.spec().text }

// Bits of FieldConnState.
const (
	ctInvalid     = 1
	ctEstablished = 2
	ctRelated     = 4
	ctNew         = 8
	ctUntracked   = 64
)

// Values of FieldDstType.
const (
	routeUnicast   = 1
	routeBroadcast = 3
	routeAnycast   = 4
	routeMulticast = 5
)

// Span is a range of values of a field, as the kernel has them in a register: bytes in order, both ends included.
type Span struct{ Lo, Hi string }

func one(v string) Span { return Span{v, v} }

// Single reports whether the range is one value.
func (s Span) Single() bool { return s.Lo == s.Hi }

func (s Span) overlaps(o Span) bool { return s.Lo <= o.Hi && o.Lo <= s.Hi }
func (s Span) covers(o Span) bool   { return s.Lo <= o.Lo && o.Hi <= s.Hi }

func ifaceValue(name string) string { return name + string(make([]byte, 16-len(name))) }

func uint8Value(n int) string { return string([]byte{byte(n)}) }

func uint16Value(n uint16) string { return string(binary.BigEndian.AppendUint16(nil, n)) }

func hostUint32(n uint32) string { return string(binary.NativeEndian.AppendUint32(nil, n)) }

func addrValue(a netip.Addr) string { return string(a.AsSlice()) }

func addrSpan(r addrRange) Span { return Span{addrValue(r.from), addrValue(r.to)} }

func portSpan(r portRange) Span { return Span{uint16Value(r.from), uint16Value(r.to)} }

// print writes a value as nft reads it.
func (f Field) print(v string) string {
	switch f {
	case FieldIIF, FieldOIF, FieldIBridge:
		return `"` + strings.TrimRight(v, "\x00") + `"`
	case FieldNFProto:
		if v == uint8Value(2) {
			return "ipv4"
		}
		return "ipv6"
	case FieldEtherType:
		return fmt.Sprintf("0x%04x", binary.BigEndian.Uint16([]byte(v)))
	case FieldSrcMAC, FieldDstMAC:
		return net.HardwareAddr(v).String()
	case FieldARPSender, FieldSrc4, FieldDst4, FieldSrc6, FieldDst6:
		a, _ := netip.AddrFromSlice([]byte(v))
		return a.String()
	case FieldSrcPort, FieldDstPort:
		return fmt.Sprint(binary.BigEndian.Uint16([]byte(v)))
	case FieldConnState, FieldDstType:
		return f.printNamed(binary.NativeEndian.Uint32([]byte(v)))
	}
	return fmt.Sprint(v[0])
}

func (f Field) printNamed(n uint32) string {
	if f == FieldDstType {
		switch n {
		case routeBroadcast:
			return "broadcast"
		case routeAnycast:
			return "anycast"
		case routeMulticast:
			return "multicast"
		}
		return "unicast"
	}
	var names []string
	for _, s := range [...]struct {
		bit  uint32
		name string
	}{{ctInvalid, "invalid"}, {ctEstablished, "established"}, {ctRelated, "related"}, {ctNew, "new"}, {ctUntracked, "untracked"}} {
		if n&s.bit != 0 {
			names = append(names, s.name)
		}
	}
	return strings.Join(names, ",")
}

func (f Field) printSpan(s Span) string {
	if s.Single() {
		return f.print(s.Lo)
	}
	return f.print(s.Lo) + "-" + f.print(s.Hi)
}
