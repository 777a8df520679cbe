package nflog

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Packet is what a rule logged.
type Packet struct {
	Prefix string    // of the rule
	Time   time.Time // when it came in, or was read where the kernel does not tell
	// Names of the devices; those of the bridge are in In and Out then, and the bridge's ports in PhysIn and PhysOut.
	In, Out, PhysIn, PhysOut string
	HWHeader                 []byte // as it was on the wire, may be empty
	Proto                    uint16 // ethertype of Payload
	Mark                     uint32
	Payload                  []byte // from the network header on, perhaps cut
}

// String prints the packet in the words of the kernel's log: IN=… OUT=… MAC=… SRC=… DST=… and so on. Parts without a value are
// left out.
func (p *Packet) String() string {
	var w printer
	w.put("IN", p.In)
	w.put("OUT", p.Out)
	w.put("PHYSIN", p.PhysIn)
	w.put("PHYSOUT", p.PhysOut)
	w.put("MAC", hexBytes(p.HWHeader))
	switch p.Proto {
	case 0x0800:
		w.ip4(p.Payload)
	case 0x86dd:
		w.ip6(p.Payload)
	case 0x0806:
		w.arp(p.Payload)
	default:
		w.put("MACPROTO", fmt.Sprintf("%04x", p.Proto))
	}
	if p.Mark != 0 {
		w.put("MARK", fmt.Sprintf("0x%x", p.Mark))
	}
	return w.b.String()
}

func hexBytes(b []byte) string {
	parts := make([]string, len(b))
	for i, c := range b {
		parts[i] = fmt.Sprintf("%02x", c)
	}
	return strings.Join(parts, ":")
}

type printer struct{ b strings.Builder }

func (w *printer) put(key, value string) {
	if value != "" {
		w.word(key + "=" + value)
	}
}

func (w *printer) num(key string, n int) { w.word(fmt.Sprintf("%s=%d", key, n)) }

func (w *printer) word(v string) {
	if w.b.Len() > 0 {
		w.b.WriteByte(' ')
	}
	w.b.WriteString(v)
}

func be16(b []byte) int { return int(binary.BigEndian.Uint16(b)) }

func (w *printer) ip4(b []byte) {
	if len(b) < 20 {
		return
	}
	header := int(b[0]&15) * 4
	src, _ := netip.AddrFromSlice(b[12:16])
	dst, _ := netip.AddrFromSlice(b[16:20])
	w.put("SRC", src.String())
	w.put("DST", dst.String())
	w.num("LEN", be16(b[2:]))
	w.put("TOS", fmt.Sprintf("0x%02x", b[1]&0x1e))
	w.put("PREC", fmt.Sprintf("0x%02x", b[1]&0xe0))
	w.num("TTL", int(b[8]))
	w.num("ID", be16(b[4:]))
	fragment := be16(b[6:])
	for i, name := range [...]string{"CE", "DF", "MF"} {
		if fragment&(0x8000>>i) != 0 {
			w.word(name)
		}
	}
	if offset := fragment & 0x1fff; offset != 0 {
		w.put("FRAG", fmt.Sprint(offset))
		w.protocol(int(b[9]), nil)
		return
	}
	if header < 20 || header > len(b) {
		header = len(b)
	}
	w.protocol(int(b[9]), b[header:])
}

func (w *printer) ip6(b []byte) {
	if len(b) < 40 {
		return
	}
	src, _ := netip.AddrFromSlice(b[8:24])
	dst, _ := netip.AddrFromSlice(b[24:40])
	w.put("SRC", src.String())
	w.put("DST", dst.String())
	w.num("LEN", be16(b[4:])+40)
	w.num("TC", int(b[0]&15)<<4|int(b[1]>>4))
	w.num("HOPLIMIT", int(b[7]))
	w.num("FLOWLBL", int(binary.BigEndian.Uint32(b)&0xfffff))
	next, rest := int(b[6]), b[40:]
	for range 8 { // extension headers, as far as they are common
		switch next {
		case 0, 43, 60:
			if len(rest) < 8 || len(rest) < int(rest[1])*8+8 {
				w.protocol(next, nil)
				return
			}
			next, rest = int(rest[0]), rest[int(rest[1])*8+8:]
			continue
		case 44:
			if len(rest) < 8 {
				w.protocol(next, nil)
				return
			}
			offset := be16(rest[2:]) >> 3
			w.put("FRAG", fmt.Sprint(offset))
			next, rest = int(rest[0]), rest[8:]
			if offset != 0 {
				w.protocol(next, nil)
				return
			}
			continue
		}
		break
	}
	w.protocol(next, rest)
}

func (w *printer) arp(b []byte) {
	if len(b) < 28 || be16(b) != 1 || be16(b[2:]) != 0x0800 || b[4] != 6 || b[5] != 4 {
		w.word("ARP")
		return
	}
	src, _ := netip.AddrFromSlice(b[14:18])
	dst, _ := netip.AddrFromSlice(b[24:28])
	w.word("ARP")
	w.num("OPCODE", be16(b[6:]))
	w.put("MACSRC", hexBytes(b[8:14]))
	w.put("IPSRC", src.String())
	w.put("MACDST", hexBytes(b[18:24]))
	w.put("IPDST", dst.String())
}

// protocol prints the transport header; b is nil where there is none to read.
func (w *printer) protocol(proto int, b []byte) {
	switch proto {
	case 6:
		w.put("PROTO", "TCP")
		w.tcp(b)
	case 17, 136:
		w.put("PROTO", map[int]string{17: "UDP", 136: "UDPLITE"}[proto])
		if len(b) >= 8 {
			w.num("SPT", be16(b))
			w.num("DPT", be16(b[2:]))
			w.num("LEN", be16(b[4:]))
		}
	case 132, 33:
		w.put("PROTO", map[int]string{132: "SCTP", 33: "DCCP"}[proto])
		if len(b) >= 4 {
			w.num("SPT", be16(b))
			w.num("DPT", be16(b[2:]))
		}
	case 1, 58:
		w.put("PROTO", map[int]string{1: "ICMP", 58: "ICMPv6"}[proto])
		w.icmp(proto, b)
	default:
		w.num("PROTO", proto)
	}
}

func (w *printer) tcp(b []byte) {
	if len(b) < 20 {
		return
	}
	w.num("SPT", be16(b))
	w.num("DPT", be16(b[2:]))
	w.put("SEQ", fmt.Sprint(binary.BigEndian.Uint32(b[4:])))
	w.put("ACK", fmt.Sprint(binary.BigEndian.Uint32(b[8:])))
	w.num("WINDOW", be16(b[14:]))
	for i, name := range [...]string{"CWR", "ECE", "URG", "ACK", "PSH", "RST", "SYN", "FIN"} {
		if b[13]&(0x80>>i) != 0 {
			w.word(name)
		}
	}
	w.num("URGP", be16(b[18:]))
}

func (w *printer) icmp(proto int, b []byte) {
	if len(b) < 4 {
		return
	}
	w.num("TYPE", int(b[0]))
	w.num("CODE", int(b[1]))
	echo := b[0] == 0 || b[0] == 8
	if proto == 58 {
		echo = b[0] == 128 || b[0] == 129
	}
	if echo && len(b) >= 8 {
		w.num("ID", be16(b[4:]))
		w.num("SEQ", be16(b[6:]))
	}
}
