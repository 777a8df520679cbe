package guestfw

import "net/netip"

// localNetwork is the network of the node that holds an address, the smallest of several; invalid if there is none.
func localNetwork(addrs []netip.Prefix, address string) netip.Prefix {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}
	}
	var best netip.Prefix
	for _, p := range addrs {
		if p.Contains(ip) && (!best.IsValid() || p.Bits() > best.Bits()) {
			best = p.Masked()
		}
	}
	return best
}
