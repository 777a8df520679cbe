package netkit

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// kernelLink is a link as the library reads it, and what it leaves out.
type kernelLink struct {
	netlink.Link
	stp          bool
	forwardDelay time.Duration
	port         *Port // of a bridge
	noIPv6       bool
}

// get reads one link by name, or by index.
func (c *Conn) get(name string, index int) (*kernelLink, error) {
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = int32(index)
	req := c.request(unix.RTM_GETLINK, unix.NLM_F_ACK, msg)
	switch {
	case len(name) > MaxName:
		req.AddData(nl.NewRtAttr(unix.IFLA_ALT_IFNAME, nl.ZeroTerminated(name)))
	case name != "":
		req.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	}
	msgs, err := req.Execute(unix.NETLINK_ROUTE, 0)
	switch {
	case err != nil:
		return nil, err
	case len(msgs) == 0:
		return nil, unix.ENODEV
	}
	return parseLink(msgs[0])
}

// parseLink reads a RTM_NEWLINK message. See linux/if_link.h.
func parseLink(m []byte) (*kernelLink, error) {
	l, err := netlink.LinkDeserialize(nil, m)
	if err != nil {
		return nil, err
	}
	out := &kernelLink{Link: l}
	attrs, err := nl.ParseRouteAttr(m[unix.SizeofIfInfomsg:])
	if err != nil {
		return nil, err
	}
	for _, a := range attrs {
		switch a.Attr.Type & nl.NLA_TYPE_MASK {
		case unix.IFLA_AF_SPEC:
			if out.noIPv6, err = ipv6Disabled(a.Value); err != nil {
				return nil, err
			}
			continue
		case unix.IFLA_LINKINFO:
		default:
			continue
		}
		info, err := nl.ParseRouteAttr(a.Value)
		if err != nil {
			return nil, err
		}
		var kind, slave string
		for _, i := range info {
			switch i.Attr.Type & nl.NLA_TYPE_MASK {
			case nl.IFLA_INFO_KIND:
				kind = strings.TrimRight(string(i.Value), "\x00")
			case nl.IFLA_INFO_SLAVE_KIND:
				slave = strings.TrimRight(string(i.Value), "\x00")
			case nl.IFLA_INFO_DATA:
				if kind == "bridge" {
					err = out.bridgeData(i.Value)
				}
			case nl.IFLA_INFO_SLAVE_DATA:
				if slave == "bridge" {
					err = out.portData(i.Value)
				}
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// ipv6Disabled reads the parameters of IPv6. See linux/ipv6.h: DEVCONF_DISABLE_IPV6.
func ipv6Disabled(spec []byte) (bool, error) {
	const iflaInet6Conf, devconfDisableIPv6 = 2, 26
	families, err := nl.ParseRouteAttr(spec)
	for _, f := range families {
		if f.Attr.Type&nl.NLA_TYPE_MASK != unix.AF_INET6 {
			continue
		}
		attrs, err := nl.ParseRouteAttr(f.Value)
		if err != nil {
			return false, err
		}
		for _, a := range attrs {
			if a.Attr.Type == iflaInet6Conf && len(a.Value) >= 4*(devconfDisableIPv6+1) {
				return binary.NativeEndian.Uint32(a.Value[4*devconfDisableIPv6:]) != 0, nil
			}
		}
	}
	return false, err
}

func (l *kernelLink) bridgeData(data []byte) error {
	attrs, err := nl.ParseRouteAttr(data)
	for _, a := range attrs {
		if len(a.Value) < 4 {
			continue
		}
		switch v := binary.NativeEndian.Uint32(a.Value); a.Attr.Type {
		case nl.IFLA_BR_STP_STATE:
			l.stp = v != 0
		case nl.IFLA_BR_FORWARD_DELAY:
			l.forwardDelay = fromTicks(v)
		}
	}
	return err
}

func (l *kernelLink) portData(data []byte) error {
	attrs, err := nl.ParseRouteAttr(data)
	l.port = &Port{}
	for _, a := range attrs {
		if len(a.Value) != 1 {
			continue
		}
		on := a.Value[0] != 0
		switch a.Attr.Type {
		case nl.IFLA_BRPORT_LEARNING:
			l.port.NoLearning = !on
		case nl.IFLA_BRPORT_UNICAST_FLOOD:
			l.port.NoFlood = !on
		case nl.IFLA_BRPORT_MCAST_FLOOD:
			l.port.NoMulticast = !on
		case nl.IFLA_BRPORT_ISOLATED:
			l.port.Isolated = on
		case nl.IFLA_BRPORT_NEIGH_SUPPRESS:
			l.port.NeighSuppress = on
		}
	}
	return err
}

// near are the indexes of the links that this one belongs to, stands on or refers to, in this namespace.
func (l *kernelLink) near() []int {
	a := l.Attrs()
	list := []int{a.MasterIndex}
	if a.NetNsID < 0 { // what is above or below is here, too
		list = append(list, a.ParentIndex)
	}
	switch v := l.Link.(type) {
	case *netlink.Vxlan:
		list = append(list, v.VtepDevIndex)
	case *netlink.Bond:
		list = append(list, v.Primary)
	}
	slices.Sort(list)
	return slices.DeleteFunc(slices.Compact(list), func(i int) bool { return i <= 0 || i == a.Index })
}

// link is the library's link in this package's terms. names are those of links by index.
func (l *kernelLink) link(names map[int]string) Link {
	a := l.Attrs()
	out := Link{
		Name: a.Name, Kind: Kind(l.Type()), MTU: a.MTU, MAC: slices.Clone(a.HardwareAddr), AltNames: slices.Clone(a.AltNames),
		Up: a.Flags&net.FlagUp != 0, Running: a.Flags&net.FlagRunning != 0, Master: names[a.MasterIndex], Port: l.port, NoIPv6: l.noIPv6, index: a.Index,
	}
	if a.NetNsID < 0 {
		out.Parent = names[a.ParentIndex]
	}
	switch v := l.Link.(type) {
	case *netlink.Tuntap:
		out.Kind = KindTap
		out.Tap = Tap{
			Owner:      v.Owner,
			MultiQueue: v.Flags&netlink.TUNTAP_MULTI_QUEUE != 0 || v.Queues > 1,
			VNetHeader: v.Flags&netlink.TUNTAP_VNET_HDR != 0,
		}
	case *netlink.Bridge:
		out.Bridge = l.bridge(v)
	case *netlink.Bond:
		out.Bond = bondOf(v, names)
	case *netlink.Vlan:
		out.VLAN = &VLAN{ID: uint16(v.VlanId), Protocol: "802.1Q"}
		if v.VlanProtocol == netlink.VLAN_PROTOCOL_8021AD {
			out.VLAN.Protocol = "802.1ad"
		}
	case *netlink.Vxlan:
		out.Parent = names[v.VtepDevIndex]
		out.VXLAN = &VXLAN{ID: uint32(v.VxlanId), Local: addr(v.SrcAddr), Group: addr(v.Group), Port: uint16(v.Port), Learning: v.Learning}
	case *netlink.Macvlan:
		out.Macvlan = macvlanMode(v.Mode)
	case *netlink.Macvtap:
		out.Macvlan = macvlanMode(v.Mode)
	}
	return out
}

func (l *kernelLink) bridge(v *netlink.Bridge) *Bridge {
	b := &Bridge{STP: l.stp, ForwardDelay: l.forwardDelay}
	if v.VlanFiltering != nil {
		b.VLANAware = *v.VlanFiltering
	}
	if v.VlanDefaultPVID != nil {
		b.PVID = *v.VlanDefaultPVID
	}
	if v.AgeingTime != nil {
		b.Ageing = fromTicks(*v.AgeingTime)
	}
	return b
}

func bondOf(v *netlink.Bond, names map[int]string) *Bond {
	b := &Bond{Mode: BondMode(v.Mode.String()), MIIMon: time.Duration(max(v.Miimon, 0)) * time.Millisecond, Primary: names[v.Primary]}
	switch b.Mode { // the kernel has values for all modes
	case BondXOR, BondLACP, BondTLB:
		b.XmitHash = v.XmitHashPolicy.String()
	}
	if b.Mode == BondLACP {
		b.LACPRate = v.LacpRate.String()
	}
	return b
}

func macvlanModes() map[netlink.MacvlanMode]MacvlanMode {
	return map[netlink.MacvlanMode]MacvlanMode{
		netlink.MACVLAN_MODE_PRIVATE: MacvlanPrivate, netlink.MACVLAN_MODE_VEPA: MacvlanVEPA,
		netlink.MACVLAN_MODE_BRIDGE: MacvlanBridge, netlink.MACVLAN_MODE_PASSTHRU: MacvlanPassthru,
	}
}

func macvlanMode(m netlink.MacvlanMode) MacvlanMode { return macvlanModes()[m] }

// userHZ is the unit of a bridge's times: a hundredth of a second. See asm-generic/param.h: USER_HZ.
const userHZ = 10 * time.Millisecond

func fromTicks(n uint32) time.Duration { return time.Duration(n) * userHZ }
func toTicks(d time.Duration) uint32   { return uint32(d / userHZ) }

func addr(ip net.IP) netip.Addr {
	a, ok := netip.AddrFromSlice(ip)
	if !ok || a.IsUnspecified() {
		return netip.Addr{}
	}
	return a.Unmap()
}

// prefix is an address to be listed; false for link-local ones of IPv6, which the kernel makes itself.
func prefix(n *net.IPNet) (netip.Prefix, bool) {
	a, ok := netip.AddrFromSlice(n.IP)
	if !ok || a.Is6() && !a.Is4In6() && a.IsLinkLocalUnicast() {
		return netip.Prefix{}, false
	}
	ones, _ := n.Mask.Size()
	return netip.PrefixFrom(a.Unmap(), ones), true
}
