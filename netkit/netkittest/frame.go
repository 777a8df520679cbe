package netkittest

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
)

// Types of Ethernet frames.
const (
	TypeIPv4 = 0x0800
	TypeARP  = 0x0806
	TypeIPv6 = 0x86dd
	TypeVLAN = 0x8100 // 802.1Q
	TypeQinQ = 0x88a8 // 802.1ad
	// TypeTest is left to experiments by IEEE 802: nobody answers it.
	TypeTest = 0x88b5
)

// Broadcast is the address of everybody.
func Broadcast() net.HardwareAddr { return net.HardwareAddr{255, 255, 255, 255, 255, 255} }

// Frame is an Ethernet frame without its checksum.
type Frame struct {
	Dst, Src net.HardwareAddr
	VLANs    []uint16 // 802.1Q tags, the outer one first
	Type     uint16   // of the payload
	Payload  []byte
}

// minPayload is what the wire pads shorter payloads to.
const minPayload = 46

// Bytes is the frame as it is sent, padded.
func (f Frame) Bytes() []byte {
	b := append(slices.Clone(f.Dst), f.Src...)
	for _, v := range f.VLANs {
		b = binary.BigEndian.AppendUint16(b, TypeVLAN)
		b = binary.BigEndian.AppendUint16(b, v)
	}
	b = binary.BigEndian.AppendUint16(b, f.Type)
	b = append(b, f.Payload...)
	for n := minPayload - len(f.Payload); n > 0; n-- {
		b = append(b, 0)
	}
	return b
}

// ParseFrame reads a frame; false if it is cut short. The payload keeps its padding, and shares b.
func ParseFrame(b []byte) (Frame, bool) {
	if len(b) < 14 {
		return Frame{}, false
	}
	f := Frame{Dst: b[0:6], Src: b[6:12]}
	b = b[12:]
	for len(b) >= 4 {
		if t := binary.BigEndian.Uint16(b); t != TypeVLAN && t != TypeQinQ {
			break
		}
		f.VLANs = append(f.VLANs, binary.BigEndian.Uint16(b[2:])&0xfff)
		b = b[4:]
	}
	if len(b) < 2 {
		return Frame{}, false
	}
	f.Type, f.Payload = binary.BigEndian.Uint16(b), b[2:]
	return f, true
}

// UDP is the payload of an IPv4 frame with a datagram whose checksum is left out, as RFC 768 allows.
func UDP(from, to netip.AddrPort, data []byte) []byte {
	src, dst := from.Addr().As4(), to.Addr().As4()
	b := []byte{0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0}
	b = append(append(b, src[:]...), dst[:]...)
	binary.BigEndian.PutUint16(b[2:], uint16(28+len(data)))
	binary.BigEndian.PutUint16(b[10:], Checksum(b))
	b = binary.BigEndian.AppendUint16(b, from.Port())
	b = binary.BigEndian.AppendUint16(b, to.Port())
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(data)))
	b = binary.BigEndian.AppendUint16(b, 0)
	return append(b, data...)
}

// ARP is the payload of an ARP packet: op 1 asks, 2 answers.
func ARP(op uint16, senderMAC net.HardwareAddr, sender netip.Addr, targetMAC net.HardwareAddr, target netip.Addr) []byte {
	b := []byte{0, 1, 8, 0, 6, 4}
	b = binary.BigEndian.AppendUint16(b, op)
	b = append(append(b, senderMAC...), sender.AsSlice()...)
	return append(append(b, targetMAC...), target.AsSlice()...)
}

// Checksum is that of the Internet protocols (RFC 1071) over b.
func Checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 == 1 {
		sum += uint32(b[len(b)-1]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
