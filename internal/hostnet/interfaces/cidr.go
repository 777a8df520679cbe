package interfaces

import (
	"net/netip"
	"strconv"
	"strings"
)

// setCIDR completes the address of a family: with its prefix length in cidr, and apart in address and netmask.
func setCIDR(e Entry, suffix string, family Family) {
	address, netmask := e.Text("address"+suffix), e.Text("netmask"+suffix)
	if address == "" {
		return
	}
	if base, bits, ok := strings.Cut(address, "/"); ok {
		e["cidr"+suffix], e["address"+suffix], e["netmask"+suffix] = address, base, bits
		return
	}
	bits := "32"
	if family == Inet6 {
		bits = "128"
	}
	if digits(netmask) && strings.Trim(netmask, "0") != "" {
		bits = netmask
	} else if n, ok := maskBits(netmask); ok && family == Inet {
		bits = n
		e["netmask"+suffix] = bits
	}
	e["cidr"+suffix] = address + "/" + bits
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// maskBits returns the prefix length of a dotted mask such as 255.255.255.0; false for anything else and for 0.0.0.0.
func maskBits(mask string) (string, bool) {
	a, err := netip.ParseAddr(mask)
	if err != nil || !a.Is4() {
		return "", false
	}
	b := a.As4()
	m := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	n := 0
	for ; n < 32 && m&(1<<(31-n)) != 0; n++ {
	}
	if n == 0 || m<<n != 0 {
		return "", false
	}
	return strconv.Itoa(n), true
}
