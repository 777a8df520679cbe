package firewall

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFlat(t *testing.T) {
	tests := []struct {
		in   []string // with ! for nomatch
		want []string // from-to
	}{
		{nil, nil},
		{[]string{"10.0.0.0/24", "!10.0.0.128/25", "10.0.0.200"}, []string{"10.0.0.0-10.0.0.127", "10.0.0.200-10.0.0.200"}},
		{[]string{"10.0.0.0/25", "10.0.0.128/25"}, []string{"10.0.0.0-10.0.0.255"}},
		{[]string{"!10.0.0.0/8", "10.0.0.1"}, []string{"10.0.0.1-10.0.0.1"}},
		{[]string{"10.0.0.5/24", "!10.0.0.0/24"}, []string{"10.0.0.0-10.0.0.255"}}, // of equal ones the first counts
		{[]string{"128.0.0.0/1", "!255.255.255.255"}, []string{"128.0.0.0-255.255.255.254"}},
		{[]string{"0.0.0.0/1", "!0.0.0.0"}, []string{"0.0.0.1-127.255.255.255"}},
	}
	for _, tt := range tests {
		var s addrSet
		for _, v := range tt.in {
			noMatch := v[0] == '!'
			if noMatch {
				v = v[1:]
			}
			p, ok := parsePrefix(v)
			require.True(t, ok)
			s.add(p, noMatch)
		}
		var got []string
		for _, r := range s.flat(4) {
			got = append(got, r.from.String()+"-"+r.to.String())
		}
		require.Equal(t, tt.want, got, "%v", tt.in)
	}
}

// FuzzFlat compares the ranges of a set with the question to its most specific entry.
func FuzzFlat(f *testing.F) {
	f.Add([]byte{10, 0, 0, 0, 8, 1, 10, 0, 0, 1, 32, 0}, uint32(0x0a000001))
	f.Fuzz(func(t *testing.T, data []byte, probe uint32) {
		var s addrSet
		for ; len(data) >= 6; data = data[6:] {
			bits := int(data[4]%32) + 1
			s.add(netip.PrefixFrom(netip.AddrFrom4([4]byte(data[:4])), bits), data[5]&1 == 1)
		}
		flat, x := s.flat(4), s.index()
		for i := 1; i < len(flat); i++ {
			require.True(t, flat[i-1].to.Less(flat[i].from))
			require.NotEqual(t, flat[i-1].to.Next(), flat[i].from)
		}
		probes := []netip.Addr{netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, probe)))}
		for _, e := range s.entries {
			r := rangeOf(e.p)
			probes = append(probes, r.from, r.to, r.from.Prev(), r.to.Next())
		}
		for _, a := range probes {
			if a.IsValid() {
				require.Equal(t, x.contains(a), within(flat, a), "%v", a)
			}
		}
	})
}
