package netkit

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Messages and attributes of a bridge's VLANs. See linux/if_bridge.h: br_vlan_msg, BRIDGE_VLANDB_*.
const (
	sizeofVLANMsg     = 8
	vlanDBEntry       = 1
	vlanDBEntryInfo   = 1
	vlanDBEntryRange  = 2
	vlanFlagPVID      = 2
	rtmNewVLAN        = 112
	rtmGetVLAN        = 114
	featureVLANFilter = "VLAN filtering of bridges (CONFIG_BRIDGE_VLAN_FILTERING)"
)

// vlanMsg is the header of such a message.
type vlanMsg struct{ index uint32 }

func (m vlanMsg) Len() int { return sizeofVLANMsg }
func (m vlanMsg) Serialize() []byte {
	b := make([]byte, sizeofVLANMsg)
	b[0] = unix.AF_BRIDGE
	binary.NativeEndian.PutUint32(b[4:], m.index)
	return b
}

// linkVLANs are the VLANs of a port or of a bridge itself.
type linkVLANs struct {
	pvid   uint16
	tagged []VLANRange
}

// setVLANs keeps the VLANs where they count; aware is that the link is a port of a VLAN-aware bridge.
func (l *Link) setVLANs(v linkVLANs, aware bool) {
	switch {
	case l.Port != nil && aware:
		l.Port.PVID, l.Port.VLANs = v.pvid, v.tagged
	case l.Bridge != nil && l.Bridge.VLANAware:
		l.Bridge.Self = v.tagged
	}
}

// vlans lists VLANs by the index of a link, those of all if index is 0. A kernel without VLAN filtering has none.
func (c *Conn) vlans(ctx context.Context, index int) (map[int]linkVLANs, error) {
	msgs, err := dump(ctx, func() ([][]byte, error) {
		return c.request(rtmGetVLAN, unix.NLM_F_DUMP, vlanMsg{uint32(index)}).Execute(unix.NETLINK_ROUTE, rtmNewVLAN)
	})
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) {
		return nil, nil // no VLAN filtering, or the link is neither bridge nor port
	}
	if err != nil {
		return nil, err
	}
	out := map[int]linkVLANs{}
	for _, m := range msgs {
		if len(m) < sizeofVLANMsg {
			continue
		}
		index := int(binary.NativeEndian.Uint32(m[4:]))
		entries, err := nl.ParseRouteAttr(m[sizeofVLANMsg:])
		if err != nil {
			return nil, err
		}
		v := out[index]
		for _, e := range entries {
			if e.Attr.Type&nl.NLA_TYPE_MASK != vlanDBEntry {
				continue
			}
			if err := v.add(e.Value); err != nil {
				return nil, err
			}
		}
		out[index] = v
	}
	return out, nil
}

func (v *linkVLANs) add(entry []byte) error {
	attrs, err := nl.ParseRouteAttr(entry)
	if err != nil {
		return err
	}
	var flags uint16
	var r VLANRange
	for _, a := range attrs {
		switch a.Attr.Type & nl.NLA_TYPE_MASK {
		case vlanDBEntryInfo: // struct bridge_vlan_info
			if len(a.Value) >= 4 {
				flags = binary.NativeEndian.Uint16(a.Value)
				r.First = binary.NativeEndian.Uint16(a.Value[2:])
				r.Last = max(r.Last, r.First)
			}
		case vlanDBEntryRange:
			if len(a.Value) >= 2 {
				r.Last = binary.NativeEndian.Uint16(a.Value)
			}
		}
	}
	switch n := len(v.tagged); {
	case r.First == 0:
	case flags&vlanFlagPVID != 0:
		v.pvid = r.First
	case n > 0 && v.tagged[n-1].Last+1 == r.First: // the kernel cuts ranges where their counters differ
		v.tagged[n-1].Last = r.Last
	default:
		v.tagged = append(v.tagged, r)
	}
	return nil
}

// changeVLANs adds VLANs to a link or removes them. For a bridge they are its own.
func (c *Conn) changeVLANs(l netlink.Link, ranges []VLANRange, add, pvid bool) error {
	self := l.Type() == string(KindBridge)
	for _, r := range ranges {
		last := r.Last
		if r.First == last {
			last = 0 // no range
		}
		var err error
		if add {
			err = c.h.BridgeVlanAddRange(l, r.First, last, pvid, pvid, self, !self)
		} else {
			err = c.h.BridgeVlanDelRange(l, r.First, last, false, false, self, !self)
		}
		switch {
		case errors.Is(err, unix.EOPNOTSUPP):
			return &UnsupportedError{Feature: featureVLANFilter, Err: err}
		case err != nil && (add || !errors.Is(err, unix.ENOENT)):
			return err
		}
	}
	return nil
}

// setPort sets what a port does. See linux/if_link.h: IFLA_BRPORT_*.
func (c *Conn) setPort(index int, p *Port) error {
	msg := nl.NewIfInfomsg(unix.AF_BRIDGE)
	msg.Index = int32(index)
	info := nl.NewRtAttr(unix.IFLA_PROTINFO|unix.NLA_F_NESTED, nil)
	for _, f := range []struct {
		attr int
		on   bool
	}{
		{nl.IFLA_BRPORT_LEARNING, !p.NoLearning}, {nl.IFLA_BRPORT_UNICAST_FLOOD, !p.NoFlood}, {nl.IFLA_BRPORT_MCAST_FLOOD, !p.NoMulticast},
		{nl.IFLA_BRPORT_ISOLATED, p.Isolated}, {nl.IFLA_BRPORT_NEIGH_SUPPRESS, p.NeighSuppress},
	} {
		v := []byte{0}
		if f.on {
			v[0] = 1
		}
		info.AddRtAttr(f.attr, v)
	}
	_, err := c.request(unix.RTM_SETLINK, unix.NLM_F_ACK, msg, info).Execute(unix.NETLINK_ROUTE, 0)
	return err
}

// fdbEntry is a static entry of a bridge's table: frames for mac go to the port.
func fdbEntry(index int, mac net.HardwareAddr) *netlink.Neigh {
	return &netlink.Neigh{LinkIndex: index, Family: unix.AF_BRIDGE, State: netlink.NUD_NOARP, Flags: netlink.NTF_MASTER, HardwareAddr: mac}
}

func (c *Conn) changeFDB(index int, macs []net.HardwareAddr, add bool) error {
	for _, m := range macs {
		if add {
			if err := c.h.NeighSet(fdbEntry(index, m)); err != nil {
				return err
			}
		} else if err := c.h.NeighDel(fdbEntry(index, m)); err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	return nil
}

// staticMACs lists the static addresses behind a port.
func (c *Conn) staticMACs(ctx context.Context, index int) ([]net.HardwareAddr, error) {
	list, err := c.fdb(ctx, index)
	var out []net.HardwareAddr
	for _, n := range list {
		if n.MasterIndex != 0 && n.State&netlink.NUD_NOARP != 0 && n.State&netlink.NUD_PERMANENT == 0 && !containsMAC(out, n.HardwareAddr) {
			out = append(out, n.HardwareAddr)
		}
	}
	return out, err
}

// fdb lists the entries of a link in tables of bridges and of VXLANs.
func (c *Conn) fdb(ctx context.Context, index int) ([]netlink.Neigh, error) {
	msg := nl.NewIfInfomsg(unix.AF_BRIDGE) // not ndmsg: so the kernel looks at this link alone
	msg.Index = int32(index)
	msgs, err := dump(ctx, func() ([][]byte, error) {
		return c.request(unix.RTM_GETNEIGH, unix.NLM_F_DUMP, msg).Execute(unix.NETLINK_ROUTE, unix.RTM_NEWNEIGH)
	})
	if err != nil {
		return nil, err
	}
	var out []netlink.Neigh
	for _, m := range msgs {
		n, err := netlink.NeighDeserialize(m)
		if err != nil {
			return nil, err
		}
		if n.LinkIndex == index {
			out = append(out, *n)
		}
	}
	return out, nil
}

// remotes lists the hosts of VXLANs by their index.
func (c *Conn) remotes(ctx context.Context, links []*kernelLink) (map[int][]netip.Addr, error) {
	out := map[int][]netip.Addr{}
	for _, l := range links {
		v, ok := l.Link.(*netlink.Vxlan)
		if !ok {
			continue
		}
		index := l.Attrs().Index
		list, err := c.fdb(ctx, index)
		if err != nil {
			return nil, err
		}
		for _, n := range list {
			if ip := addr(n.IP); isZero(n.HardwareAddr) && ip.IsValid() && ip != addr(v.Group) {
				out[index] = append(out[index], ip)
			}
		}
	}
	return out, nil
}

func isZero(m net.HardwareAddr) bool {
	for _, b := range m {
		if b != 0 {
			return false
		}
	}
	return len(m) > 0
}

// changeRemote adds a host to those that get what is for unknown destinations of a VXLAN, or removes it.
func (c *Conn) changeRemote(index int, host netip.Addr, add bool) error {
	n := &netlink.Neigh{
		LinkIndex: index, Family: unix.AF_BRIDGE, State: netlink.NUD_PERMANENT | netlink.NUD_NOARP, Flags: netlink.NTF_SELF,
		HardwareAddr: make(net.HardwareAddr, 6), IP: host.AsSlice(),
	}
	if add {
		return c.h.NeighAppend(n)
	}
	if err := c.h.NeighDel(n); err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	return nil
}
