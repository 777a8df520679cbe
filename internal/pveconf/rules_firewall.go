package pveconf

import (
	"errors"
	"net/netip"
	"strings"
)

// firewallRule has the parts of firewall rules.
func firewallRule(name string) func(string) error {
	switch name {
	case "pve-fw-addr-spec":
		return checkAddrSpec
	case "pve-fw-sport-spec", "pve-fw-dport-spec":
		return func(v string) error { return CheckPorts(v, nil) }
	case "pve-fw-protocol-spec":
		return simple(isProtocol, "unknown protocol '{v}'")
	case "pve-fw-conntrack-helper":
		return checkHelpers
	}
	return nil
}

const maxSetName = 64 // characters of the name of an ipset or alias

// scopedName cuts off the prefix that says where an alias or set is defined.
func scopedName(v string) string {
	for _, scope := range [...]string{"dc/", "guest/", "sdn/"} {
		if name, ok := strings.CutPrefix(v, scope); ok {
			return name
		}
	}
	return v
}

func isSetName(v string) bool { return led(v, alpha, class(word).and("-")) }

// isAlias takes the name of an alias, with or without its scope.
func isAlias(v string) bool { return !strings.HasPrefix(v, "sdn/") && isSetName(scopedName(v)) }

func checkAddrSpec(v string) error {
	if set, ok := strings.CutPrefix(v, "+"); ok && isSetName(scopedName(set)) {
		if len(scopedName(set)) > maxSetName {
			return errors.New("ipset name too long")
		}
		return nil
	}
	if isAlias(v) {
		if len(scopedName(v)) > maxSetName {
			return errors.New("alias name too long")
		}
		return nil
	}
	return checkAddrList(v)
}

func checkAddrList(v string) error {
	elements := strings.Split(v, ",")
	four, six := false, false
	for _, element := range elements {
		element = strings.TrimSpace(element)
		if element == "" {
			return errors.New("extraneous commas in list")
		}
		from, to, isRange := strings.Cut(element, "-")
		if isRange && len(elements) > 1 {
			return errors.New("you can't use a range in a list")
		}
		is4, ok := addrFamily(from, !isRange)
		if isRange {
			to4, toOK := addrFamily(to, false)
			ok = ok && toOK && is4 == to4
		}
		if !ok {
			return errors.New("invalid IP address: " + element)
		}
		four, six = four || is4, six || !is4
	}
	if four && six {
		return errors.New("detected mixed ipv4/ipv6 addresses in address list '" + v + "'")
	}
	return nil
}

// addrFamily tells whether v, an address or where allowed a network, is IPv4.
func addrFamily(v string, network bool) (is4, ok bool) {
	if a, err := netip.ParseAddr(v); err == nil && a.Zone() == "" {
		return a.Is4(), true
	}
	if network {
		if p, err := netip.ParsePrefix(v); err == nil {
			return p.Addr().Is4(), true
		}
	}
	return false, false
}

const maxPorts = 15 // numbers in a list of ports; a range counts as two

// CheckPorts checks a list of ports, ranges A:B and names of services. icmpType, if not nil, tells which names of ICMP types
// may stand alone in place of ports.
func CheckPorts(v string, icmpType func(name string) bool) error {
	elements := strings.Split(v, ",")
	numbers, types, ports := 0, 0, 0
	for _, element := range elements {
		if element == "" {
			return errors.New("extraneous commas in list")
		}
		if from, to, ok := strings.Cut(element, ":"); ok {
			if err := checkPortRange(element, from, to); err != nil {
				return err
			}
			numbers, ports = numbers+2, ports+1
			continue
		}
		switch {
		case class(digit).all(element):
			if _, ok := small(element, 65535); !ok {
				return errors.New("invalid port '" + element + "'")
			}
			numbers, ports = numbers+1, ports+1
		case icmpType != nil && icmpType(element):
			types++
		case listed(serviceNames, element):
			ports++
		default:
			return errors.New("invalid port '" + element + "'")
		}
	}
	switch {
	case types > 0 && (ports > 0 || types > 1):
		return errors.New("ICMP ports not allowed in port range")
	case numbers > maxPorts:
		return errors.New("too many entries in port list (> 15 numbers)")
	}
	return nil
}

func checkPortRange(element, from, to string) error {
	low, ok := small(from, 65535)
	high, ok2 := small(to, 65535)
	switch {
	case !ok || !ok2:
		return errors.New("invalid port '" + element + "'")
	case low > high:
		return errors.New("backwards range '" + element + "' not allowed, did you mean '" + to + ":" + from + "'?")
	}
	return nil
}

func isProtocol(v string) bool {
	return v == "" || v == "icmpv6" || listed(protocolNames, v) || listed(protocolNumbers, v)
}

func checkHelpers(v string) error {
	for helper := range strings.SplitSeq(v, ",") {
		switch helper {
		case "amanda", "ftp", "irc", "netbios-ns", "pptp", "sane", "sip", "snmp", "tftp":
		default:
			return errors.New("unknown helper " + helper)
		}
	}
	return nil
}
