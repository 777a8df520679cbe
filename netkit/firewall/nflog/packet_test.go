package nflog

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func bytesOf(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return b
}

func TestPacketString(t *testing.T) {
	for _, tt := range []struct {
		name    string
		proto   uint16
		payload string
		want    string
	}{
		{"TCP", 0x0800, "4510003c1c464000400600 00c0000205c6336407 9c400050000000010000000050 02faf000000000",
			"SRC=192.0.2.5 DST=198.51.100.7 LEN=60 TOS=0x10 PREC=0x00 TTL=64 ID=7238 DF PROTO=TCP SPT=40000 DPT=80 SEQ=1 ACK=0 WINDOW=64240 SYN URGP=0"},
		{"UDP", 0x0800, "45000020000100003f110000c0000205c6336407 0035003500 0c0000",
			"SRC=192.0.2.5 DST=198.51.100.7 LEN=32 TOS=0x00 PREC=0x00 TTL=63 ID=1 PROTO=UDP SPT=53 DPT=53 LEN=12"},
		{"fragment", 0x0800, "45000020000120b93f110000c0000205c6336407",
			"SRC=192.0.2.5 DST=198.51.100.7 LEN=32 TOS=0x00 PREC=0x00 TTL=63 ID=1 MF FRAG=185 PROTO=UDP"},
		{"ping 6", 0x86dd, "6000000000083aff 20010db8000000000000000000000001 20010db8000000000000000000000002 80000000 00070001",
			"SRC=2001:db8::1 DST=2001:db8::2 LEN=48 TC=0 HOPLIMIT=255 FLOWLBL=0 PROTO=ICMPv6 TYPE=128 CODE=0 ID=7 SEQ=1"},
		{"ARP", 0x0806, "0001080006040001 020000000001 c0000205 000000000000 c0000201",
			"ARP OPCODE=1 MACSRC=02:00:00:00:00:01 IPSRC=192.0.2.5 MACDST=00:00:00:00:00:00 IPDST=192.0.2.1"},
		{"other", 0x88cc, "", "MACPROTO=88cc"},
		{"cut", 0x0800, "4500", ""},
	} {
		p := &Packet{Proto: tt.proto, Payload: bytesOf(t, tt.payload)}
		require.Equal(t, tt.want, p.String(), tt.name)
	}
	p := &Packet{In: "vmbr0", PhysIn: "eth0", PhysOut: "tap1i0", HWHeader: []byte{2, 0}, Mark: 100, Proto: 0x0800}
	require.Equal(t, "IN=vmbr0 PHYSIN=eth0 PHYSOUT=tap1i0 MAC=02:00 MARK=0x64", p.String())
}

// FuzzPacket prints packets of guests, which may be anything.
func FuzzPacket(f *testing.F) {
	f.Add(uint16(0x86dd), bytesOf(f, "60000000000800ff20010db800000000000000000000000120010db8000000000000000000000002"))
	f.Add(uint16(0x0800), []byte("E"))
	f.Fuzz(func(t *testing.T, proto uint16, payload []byte) {
		p := &Packet{Proto: proto, Payload: payload}
		require.NotContains(t, p.String(), "\n")
	})
}
