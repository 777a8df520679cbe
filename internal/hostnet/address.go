package hostnet

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/internal/hostnet/interfaces"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// splitCIDR sets address and netmask from cidr, of both families.
func splitCIDR(e interfaces.Entry) error {
	for _, suffix := range []string{"", "6"} {
		cidr := e.Text("cidr" + suffix)
		if cidr == "" {
			continue
		}
		address, bits, _ := strings.Cut(cidr, "/")
		for _, part := range []struct{ key, value string }{{"address" + suffix, address}, {"netmask" + suffix, bits}} {
			if given := e.Text(part.key); given != "" && given != part.value {
				return call.Param(part.key, "%s conflicts with cidr%s", part.key, suffix)
			}
			e[part.key] = part.value
		}
	}
	return nil
}

// setAddresses completes addresses, checks those of IPv6, and sets the families and methods that follow from them.
func setAddresses(e interfaces.Entry) error {
	if err := splitCIDR(e); err != nil {
		return err
	}
	if err := checkIPv6(e.Text("address6"), e.Text("netmask6")); err != nil {
		return err
	}
	var families []interfaces.Family
	for _, f := range []struct {
		family interfaces.Family
		suffix string
	}{{interfaces.Inet, ""}, {interfaces.Inet6, "6"}} {
		e["method"+f.suffix] = "manual"
		if e.Text("address"+f.suffix) != "" {
			e["method"+f.suffix] = "static"
			families = append(families, f.family)
		}
	}
	if families == nil {
		families = []interfaces.Family{interfaces.Inet}
	}
	e["families"] = families
	return nil
}

func checkIPv6(address, netmask string) error {
	if address == "" {
		return nil
	}
	bits, err := strconv.Atoi(netmask)
	if netmask != "" && (err != nil || bits < 1 || bits > 128) {
		return call.Param("netmask", "%s is not a valid subnet length for ipv6", netmask)
	}
	a, err := netip.ParseAddr(address)
	if err != nil || !a.Is6() || a.Zone() != "" {
		return call.Param("address", "%s is not a valid host IPv6 address.", address)
	}
	if t := ipv6Type(a, bits); t != "" {
		return call.Param("address", "%s with type '%s', cannot be used as host IPv6 address.", address, t)
	}
	return nil
}

// ipv6Type names what an address is instead of a host's; empty for global, unique-local and link-local unicast. See the
// IANA IPv6 Special-Purpose Address Registry.
func ipv6Type(a netip.Addr, bits int) string {
	switch {
	case a.IsUnspecified():
		return "UNSPECIFIED"
	case a.IsLoopback():
		return "LOOPBACK"
	case a.Is4In6():
		return "IPV4MAP"
	case a.IsMulticast():
		return "MULTICAST"
	}
	for _, s := range []struct{ prefix, name string }{
		{"2001:db8::/32", "DOCUMENTATION"}, {"2001::/32", "TEREDO"}, {"2001:10::/28", "ORCHID"}, {"2002::/16", "6TO4"}, {"100::/64", "DISCARD"},
	} {
		if netip.MustParsePrefix(s.prefix).Contains(a) {
			return s.name
		}
	}
	if bits > 0 && bits < 127 && a == netip.PrefixFrom(a, bits).Masked().Addr() {
		return "ANYCAST" // of the routers of the subnet
	}
	for _, p := range []string{"2000::/3", "fc00::/7", "fe80::/10"} {
		if netip.MustParsePrefix(p).Contains(a) {
			return ""
		}
	}
	return "RESERVED"
}
