package firewall

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/turtacn/go-proxmox/netkit"
)

// frame builds Ethernet frames as a guest could send them.
type frame struct {
	mac     string
	vlan    uint16
	typ     uint16
	payload []byte
}

func (f frame) bytes(t *testing.T) []byte {
	dst, src := bytes.Repeat([]byte{0xff}, 6), hardware(t, f.mac)
	out := append(dst, src...)
	if f.vlan != 0 {
		out = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(out, 0x8100), f.vlan)
	}
	return append(binary.BigEndian.AppendUint16(out, f.typ), f.payload...)
}

func hardware(t *testing.T, mac string) []byte {
	hw, err := net.ParseMAC(mac)
	require.NoError(t, err)
	return hw
}

// sum is the checksum of the Internet.
func sum(parts ...[]byte) uint16 {
	var n uint32
	all := bytes.Join(parts, nil)
	for i := 0; i+1 < len(all); i += 2 {
		n += uint32(binary.BigEndian.Uint16(all[i:]))
	}
	if len(all)%2 == 1 {
		n += uint32(all[len(all)-1]) << 8
	}
	for n>>16 != 0 {
		n = n&0xffff + n>>16
	}
	return ^uint16(n)
}

func ip4(src, dst string, proto byte, body []byte) []byte {
	h := make([]byte, 20)
	h[0], h[8], h[9] = 0x45, 64, proto
	binary.BigEndian.PutUint16(h[2:], uint16(20+len(body)))
	copy(h[12:], netip.MustParseAddr(src).AsSlice())
	copy(h[16:], netip.MustParseAddr(dst).AsSlice())
	binary.BigEndian.PutUint16(h[10:], sum(h))
	return append(h, body...)
}

// ip6 also fills in the checksum of the body, which lies at offset at.
func ip6(src, dst string, proto byte, body []byte, at int) []byte {
	h := make([]byte, 40)
	h[0], h[6], h[7] = 0x60, proto, 255
	binary.BigEndian.PutUint16(h[4:], uint16(len(body)))
	copy(h[8:], netip.MustParseAddr(src).AsSlice())
	copy(h[24:], netip.MustParseAddr(dst).AsSlice())
	pseudo := binary.BigEndian.AppendUint32(bytes.Clone(h[8:40]), uint32(len(body)))
	binary.BigEndian.PutUint16(body[at:], sum(append(pseudo, 0, 0, 0, proto), body))
	return append(h, body...)
}

func udp(from, to uint16, id byte) []byte {
	out := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, from), to)
	return append(out, 0, 12, 0, 0, 'i', 'd', '=', id)
}

func arp(t *testing.T, mac, sender string) []byte {
	out := append([]byte{0, 1, 8, 0, 6, 4, 0, 1}, hardware(t, mac)...)
	out = append(out, netip.MustParseAddr(sender).AsSlice()...)
	return append(append(out, make([]byte, 6)...), 192, 0, 2, 99)
}

// raw opens a packet socket on eth0 of ns.
func raw(t *testing.T, ns *netkit.NS) (fd, index int) {
	require.NoError(t, ns.Do(t.Context(), func() error {
		eth, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		index = eth.Index
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(binary.NativeEndian.Uint16([]byte{0, unix.ETH_P_ALL}))); err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: binary.NativeEndian.Uint16([]byte{0, unix.ETH_P_ALL}), Ifindex: index})
	}))
	t.Cleanup(func() { unix.Close(fd) })
	require.NoError(t, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 20000}))
	return fd, index
}

// TestThreat48_FramesOnTheBridge sends what a guest may and may not send, and looks what comes out of the bridge.
func TestThreat48_FramesOnTheBridge(t *testing.T) {
	const own, other = "02:00:00:00:00:10", "02:00:00:00:00:11"
	l := newLAN(t)
	web := l.machine("tap10i0", own, "192.0.2.10/24")
	out := l.machine("eth9", "02:00:00:00:00:99", "192.0.2.99/24")
	w := office(t, "", "", "ipfilter: 1\n[IPSET ipfilter-net0]\n192.0.2.10\n2001:db8::10\n", "")
	w.Guests = w.Guests[:1]
	_, err := l.c.Apply(t.Context(), w.Compile())
	require.NoError(t, err)
	send, index := raw(t, web)
	listen, _ := raw(t, out)

	const v4, v6, arpType = 0x0800, 0x86dd, 0x0806
	const linkLocal, stranger = "fe80::ff:fe00:10", "fe80::1"
	ra := func() []byte { return []byte{134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0} }
	ns := func() []byte {
		return append([]byte{135, 0, 0, 0, 0, 0, 0, 0}, netip.MustParseAddr("2001:db8::99").AsSlice()...)
	}
	for _, tt := range []struct {
		name   string
		f      frame
		passes bool
	}{
		{"own IPv4", frame{mac: own, typ: v4, payload: ip4("192.0.2.10", "192.0.2.255", 17, udp(5000, 5001, 1))}, true},
		{"other MAC", frame{mac: other, typ: v4, payload: ip4("192.0.2.10", "192.0.2.255", 17, udp(5000, 5001, 2))}, false},
		{"other IPv4", frame{mac: own, typ: v4, payload: ip4("192.0.2.99", "192.0.2.255", 17, udp(5000, 5001, 3))}, false},
		{"other IPv4 in a VLAN tag", frame{mac: own, vlan: 5, typ: v4, payload: ip4("192.0.2.98", "192.0.2.255", 17, udp(5000, 5001, 4))}, false},
		{"DHCP request", frame{mac: own, typ: v4, payload: ip4("0.0.0.0", "255.255.255.255", 17, udp(68, 67, 5))}, true},
		{"no address, no DHCP", frame{mac: own, typ: v4, payload: ip4("0.0.0.0", "255.255.255.255", 17, udp(68, 68, 6))}, false},
		{"own ARP", frame{mac: own, typ: arpType, payload: arp(t, own, "192.0.2.10")}, true},
		{"ARP for another", frame{mac: own, typ: arpType, payload: arp(t, own, "192.0.2.1")}, false},
		{"ARP of another MAC", frame{mac: other, typ: arpType, payload: arp(t, other, "192.0.2.10")}, false},
		{"own IPv6", frame{mac: own, typ: v6, payload: ip6("2001:db8::10", "ff02::1", 17, udp(5000, 5001, 7), 6)}, true},
		{"other IPv6", frame{mac: own, typ: v6, payload: ip6("2001:db8::11", "ff02::1", 17, udp(5000, 5001, 8), 6)}, false},
		{"router advertisement", frame{mac: own, typ: v6, payload: ip6(linkLocal, "ff02::1", 58, ra(), 2)}, false},
		{"neighbour solicitation", frame{mac: own, typ: v6, payload: ip6(linkLocal, "ff02::1:ff00:99", 58, ns(), 2)}, true},
		{"neighbour solicitation of another", frame{mac: own, typ: v6, payload: ip6(stranger, "ff02::1:ff00:99", 58, ns(), 2)}, false},
		{"DHCPv6 request", frame{mac: own, typ: v6, payload: ip6(linkLocal, "ff02::1:2", 17, udp(546, 547, 9), 6)}, true},
	} {
		data := tt.f.bytes(t)
		to := unix.SockaddrLinklayer{Ifindex: index, Halen: 6}
		copy(to.Addr[:], data[:6])
		require.NoError(t, unix.Sendto(send, data, 0, &to), tt.name)
		require.Equal(t, tt.passes, heard(listen, tt.f.payload), tt.name)
	}
}

// heard waits a moment for a frame with a payload.
func heard(fd int, payload []byte) bool {
	buffer := make([]byte, 2048)
	for until := time.Now().Add(400 * time.Millisecond); time.Now().Before(until); {
		n, _, err := unix.Recvfrom(fd, buffer, 0)
		if err == nil && bytes.Contains(buffer[:n], payload) {
			return true
		}
	}
	return false
}
