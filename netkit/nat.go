package netkit

import "net/netip"

// Masquerade rewrites the source of IPv4 packets from Source that leave by any device but Bridge to the host's address.
type Masquerade struct {
	Bridge string       // where the packets come from
	Source netip.Prefix // the network behind it, IPv4
}
