package pveconf

import (
	"math/bits"
	"net/netip"
	"strings"
	"unicode"
)

// networkRule has addresses and what belongs to them.
func networkRule(name string) func(string) error {
	switch name {
	case "ip":
		return simple(isIP, "value does not look like a valid IP address")
	case "ipv4":
		return simple(isIPv4, "value does not look like a valid IPv4 address")
	case "ipv6":
		return simple(isIPv6, "value does not look like a valid IPv6 address")
	case "ipv4mask":
		return simple(isMask, "value does not look like a valid IP netmask")
	case "CIDR":
		return simple(func(v string) bool { return isCIDRv4(v) || isCIDRv6(v) }, "value does not look like a valid CIDR network")
	case "CIDRv4":
		return simple(isCIDRv4, "value does not look like a valid IPv4 CIDR network")
	case "CIDRv6":
		return simple(isCIDRv6, "value does not look like a valid IPv6 CIDR network")
	case "FullRangeCIDR":
		return simple(func(v string) bool { return isCIDR(v, isIPv4, 0, 32) || isCIDR(v, isIPv6, 0, 128) }, "value does not look like a valid CIDR network")
	case "IPorCIDR":
		return simple(isIPOrCIDR, "value does not look like a valid IP address or CIDR network")
	case "IPorCIDRorAlias":
		return simple(func(v string) bool { return isAlias(v) || isIPOrCIDR(v) }, "value does not look like a valid IP address or CIDR network")
	case "dns-name":
		return simple(isDNSName, "value does not look like a valid DNS name")
	case "graphite-path":
		return simple(isDNSName, "value does not look like a valid graphite path")
	case "address":
		return simple(isAddress, "value does not look like a valid address: {v}")
	case "mac-addr":
		return simple(isMAC, "value does not look like a valid unicast MAC address")
	case "mac-prefix":
		return simple(isMACPrefix, "value is not a valid unicast MAC address prefix")
	case "pve-iface":
		return simple(isIface, "invalid network interface name '{v}'")
	case "pve-bridge-id":
		return simple(isBridge, "invalid bridge ID '{v}'")
	case "bridge-pair":
		return pairRule(func(v string) error { return simple(isBridge, "invalid bridge ID '{v}'")(v) })
	case "pve-ipv4-config":
		return simple(func(v string) bool { return v == "dhcp" || v == "manual" || isCIDRv4(v) }, "value does not look like a valid ipv4 network configuration")
	case "pve-ipv6-config":
		return simple(func(v string) bool { return v == "auto" || v == "dhcp" || v == "manual" || isCIDRv6(v) }, "value does not look like a valid ipv6 network configuration")
	case "lxc-ip-with-ll-iface":
		return simple(isIPWithIface, "value does not look like a valid IP address")
	case "pve-vlan-id-or-range":
		return checkVLANs
	case "email":
		return simple(isEmail, "value does not look like a valid email address")
	case "email-or-username":
		return simple(func(v string) bool { return isMailbox(v) || isEmail(v) }, "value does not look like a valid email address or user name")
	case "pve-acme-domain":
		return simple(func(v string) bool { return isDomain(v, alnum) }, "value '{v}' does not look like a valid domain name!")
	case "pve-acme-alias":
		return simple(func(v string) bool { return isDomain(v, word) }, "value '{v}' does not look like a valid alias name!")
	}
	return nil
}

func isIPv4(v string) bool {
	a, err := netip.ParseAddr(v)
	return err == nil && a.Is4()
}

func isIPv6(v string) bool {
	a, err := netip.ParseAddr(v)
	return err == nil && a.Is6() && a.Zone() == ""
}

func isIP(v string) bool { return isIPv4(v) || isIPv6(v) }

// isCIDR tells whether v is an address with a prefix length of least to most. Host bits may be set.
func isCIDR(v string, isAddr func(string) bool, least, most int) bool {
	addr, length, ok := strings.Cut(v, "/")
	if !ok {
		return false
	}
	n, ok := small(length, most)
	return ok && n >= least && isAddr(addr)
}

func isCIDRv4(v string) bool { return isCIDR(v, isIPv4, 8, 32) }
func isCIDRv6(v string) bool { return isCIDR(v, isIPv6, 8, 128) }

func isIPOrCIDR(v string) bool {
	return isIP(v) || isCIDR(v, isIPv4, 0, 32) || isCIDR(v, isIPv6, 0, 128)
}

func isMask(v string) bool {
	a, err := netip.ParseAddr(v)
	if err != nil || !a.Is4() {
		return false
	}
	b := a.As4()
	mask := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	return bits.LeadingZeros32(^mask)+bits.TrailingZeros32(mask) >= 32
}

func isDNSName(v string) bool { return each(v, ".", label) }

func isAddress(v string) bool { return isIP(v) || isDNSName(v) }

// unicast tells whether v begins like a MAC address whose group bit is not set.
func unicast(v string) bool {
	return len(v) >= 2 && hexit(v[0]) && hexit(v[1]) && strings.IndexByte("02468aceACE", v[1]) >= 0
}

func isMAC(v string) bool {
	return len(v) == 17 && unicast(v) && each(v, ":", func(b string) bool { return len(b) == 2 && class(hexit).all(b) })
}

// isMACPrefix takes one to three bytes, and after the last of them ':' and half a byte.
func isMACPrefix(v string) bool {
	if !unicast(v) {
		return false
	}
	parts := strings.Split(v, ":")
	last := parts[len(parts)-1]
	whole := len(parts)
	if len(parts) > 1 && len(last) < 2 {
		if last != "" && !hexit(last[0]) {
			return false
		}
		whole--
	}
	for _, p := range parts[:whole] {
		if len(p) != 2 || !class(hexit).all(p) {
			return false
		}
	}
	return whole <= 3
}

// isIface takes names such as eth0, vmbr0.5 and eno1:2.
func isIface(v string) bool {
	base := v
	if i := strings.IndexAny(v, ":."); i >= 0 {
		if !class(digit).all(v[i+1:]) {
			return false
		}
		base = v[:i]
	}
	return len(base) <= 21 && led(base, alpha, word)
}

func isBridge(v string) bool { return class(word).and("-.").all(v) }

func isIPWithIface(v string) bool {
	addr, iface, zoned := strings.Cut(v, "%")
	if !zoned {
		return isIP(v)
	}
	return len(addr) > 5 && strings.EqualFold(addr[:5], "fe80:") && isIPv6(addr) && isIface(iface)
}

func checkVLANs(v string) error {
	from, to, isRange := strings.Cut(v, "-")
	if !class(digit).all(from) || isRange && !class(digit).all(to) {
		return ruleError("invalid VLAN configuration '{v}'", v)
	}
	low, ok := small(from, 4094)
	if !ok || low < 2 {
		return ruleError("invalid VLAN tag '{v}'", from)
	}
	if !isRange {
		return nil
	}
	high, ok := small(to, 4094)
	if !ok || high < 2 {
		return ruleError("invalid VLAN tag '{v}'", to)
	}
	if high <= low {
		return ruleError("VLAN range must go from lower to higher tag '{v}'", v)
	}
	return nil
}

// isMailbox takes the part of a mail address before the '@'. Letters may be of any script.
func isMailbox(v string) bool {
	return each(v, ".", func(part string) bool {
		for _, r := range part {
			if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_+~-", r) {
				return false
			}
		}
		return part != ""
	})
}

func isEmail(v string) bool {
	mailbox, domain, ok := strings.Cut(v, "@")
	return ok && isMailbox(mailbox) && each(domain, ".", class(alnum).and("-").all)
}

// isDomain takes two or more labels, each beginning with a character of first.
func isDomain(v string, first class) bool {
	rest := class(word).and("-")
	return strings.Contains(v, ".") && each(v, ".", func(l string) bool {
		return l != "" && first(l[0]) && (len(l) == 1 || rest.all(l[1:]))
	})
}
