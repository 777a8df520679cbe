package pveconf

import "strings"

// sdnRule has the names of software defined networking.
func sdnRule(name string) func(string) error {
	switch name {
	case "pve-sdn-bgp-rt":
		return simple(isRouteTarget, "value does not look like a valid bgp route-target")
	case "pve-sdn-fabric-id":
		return simple(isShortName, "Fabric ID '{v}' contains illegal characters")
	case "pve-sdn-isis-net":
		return simple(isISISNet, "value does not look like a valid isis net")
	case "pve-sdn-prefix-list-id":
		return reserved("prefix list ID", "only_default", "only_default_v6", "loopbacks_ips")
	case "pve-sdn-route-map-id":
		return reserved("route map ID", "pve_*", "MAP_VTEP_IN", "MAP_VTEP_OUT", "correct_src")
	case "pve-sdn-subnet-id":
		return simple(isSubnetID, "value does not look like a valid CIDR network")
	case "pve-sdn-wireguard-iface-name":
		return simple(isShortName, "WireGuard interface name '{v}' contains illegal characters or exceeds the eight character limit")
	}
	return nil
}

func isRouteTarget(v string) bool {
	as, number, ok := strings.Cut(v, ":")
	_, ok1 := small(as, 1<<32-1)
	_, ok2 := small(number, 1<<32-1)
	return ok && ok1 && ok2
}

// isShortName takes up to eight letters, digits and hyphens, none of them at the beginning or in the eighth place.
func isShortName(v string) bool {
	return v != "" && len(v) <= 8 && alnum(v[0]) && class(alnum).and("-").all(v) && (len(v) < 8 || alnum(v[7]))
}

func isISISNet(v string) bool {
	parts := strings.Split(v, ".")
	if n := len(parts); n < 5 || n > 11 || len(parts[0]) != 2 || len(parts[n-1]) != 2 {
		return false
	}
	for i, p := range parts {
		if !class(hexit).all(p) || i > 0 && i < len(parts)-1 && len(p) != 4 {
			return false
		}
	}
	return true
}

// reserved is the rule for ids of which some belong to PVE; one that ends in '*' stands for all that begin so.
func reserved(kind string, names ...string) func(string) error {
	return func(v string) error {
		if v == "" || len(v) > 32 || !alnum(v[0]) || !class(word).and("-").all(v) || len(v) == 32 && !alnum(v[31]) {
			return ruleError(kind+" '{v}' contains illegal characters", v)
		}
		for _, name := range names {
			prefix, open := strings.CutSuffix(name, "*")
			if v == name || open && strings.HasPrefix(v, prefix) {
				return ruleError(kind+" '{v}' is currently reserved and cannot be used", v)
			}
		}
		return nil
	}
}

// isSubnetID takes a network, or ZONE-ADDRESS-LENGTH.
func isSubnetID(v string) bool {
	cidr := v
	if !strings.Contains(v, "/") {
		parts := strings.Split(v, "-")
		if len(parts) != 3 {
			return false
		}
		cidr = parts[1] + "/" + parts[2]
	}
	return isCIDRv4(cidr) || isCIDRv6(cidr)
}
