package netkit

import (
	"net/netip"
	"slices"
)

// DefaultVXLANPort is the UDP port of VXLAN. See RFC 7348.
const DefaultVXLANPort = 4789

// VXLAN is an overlay network on the hosts' own: with a multicast group the kernel finds the other hosts, with Remotes they
// are given. All but Remotes is fixed when it is made. See RFC 7348 and ip-link(8).
type VXLAN struct {
	ID       uint32       // network identifier, 1-16777215
	Local    netip.Addr   // source address of the packets; the zero Addr leaves the choice to the kernel
	Group    netip.Addr   // multicast group of unknown destinations; the zero Addr for none
	Port     uint16       // UDP port; 0 is 4789
	Learning bool         // addresses behind other hosts are learnt from their packets
	Remotes  []netip.Addr // hosts that get what is for unknown destinations; a wish has exactly these
}

func (l Link) checkVXLAN() error {
	v := l.VXLAN
	switch {
	case v == nil:
		return nil
	case v.ID < 1 || v.ID > maxVNI:
		return l.bad("a VXLAN needs an identifier of 1-%d", maxVNI)
	case v.Group.IsValid() && !v.Group.IsMulticast():
		return l.bad("%s is no multicast group", v.Group)
	case v.Group.IsValid() && l.Parent == "":
		return l.bad("a multicast group needs a device that it is reached by")
	case v.Group.IsValid() && len(v.Remotes) > 0:
		return l.bad("has both a multicast group and hosts of its own")
	}
	for _, r := range v.Remotes {
		if !r.IsValid() || r.IsMulticast() || r.IsUnspecified() {
			return l.bad("%s is no address of a host", r)
		}
	}
	return nil
}

func (v *VXLAN) port() uint16 {
	if v.Port == 0 {
		return DefaultVXLANPort
	}
	return v.Port
}

// sameTunnel tells whether two agree in what is fixed.
func (v *VXLAN) sameTunnel(o *VXLAN) bool {
	return v.ID == o.ID && v.Local == o.Local && v.Group == o.Group && v.port() == o.port() && v.Learning == o.Learning
}

func sameAddrs(a, b []netip.Addr) bool {
	return !slices.ContainsFunc(a, func(x netip.Addr) bool { return !slices.Contains(b, x) }) &&
		!slices.ContainsFunc(b, func(x netip.Addr) bool { return !slices.Contains(a, x) })
}
