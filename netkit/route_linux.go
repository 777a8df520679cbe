package netkit

import (
	"context"
	"errors"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// State reads the whole network of the namespace: links, unicast routes but those of the local table, rules of one's own
// (priorities 1-32765) and permanent neighbours.
func (c *Conn) State(ctx context.Context) (State, error) {
	links, err := c.Links(ctx)
	if err != nil {
		return State{}, err
	}
	names := make(map[int]string, len(links))
	for _, l := range links {
		names[l.index] = l.Name
	}
	s := State{Links: links}
	if s.Routes, err = c.routes(ctx, names); err != nil {
		return State{}, &OpError{Op: "list", Link: "routes", Err: err}
	}
	if s.Rules, err = c.rules(ctx); err != nil {
		return State{}, &OpError{Op: "list", Link: "rules", Err: err}
	}
	if s.Neighbours, err = c.neighbours(ctx, names); err != nil {
		return State{}, &OpError{Op: "list", Link: "neighbours", Err: err}
	}
	return s, nil
}

func (c *Conn) routes(ctx context.Context, names map[int]string) ([]Route, error) {
	var out []Route
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		list, err := dump(ctx, func() ([]netlink.Route, error) {
			return c.h.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
		})
		if err != nil {
			return nil, err
		}
		for _, r := range list {
			if r.Type != unix.RTN_UNICAST || r.Table == TableLocal || len(r.MultiPath) > 0 {
				continue
			}
			route := Route{
				Via: addr(r.Gw), Link: names[r.LinkIndex], Table: r.Table, Metric: r.Priority, Source: addr(r.Src),
				OnLink: r.Flags&unix.RTNH_F_ONLINK != 0, Dst: netip.PrefixFrom(netip.IPv4Unspecified(), 0),
			}
			if family == unix.AF_INET6 {
				route.Dst = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
			}
			if r.Dst != nil {
				ip, ok := netip.AddrFromSlice(r.Dst.IP)
				if !ok || ip.IsMulticast() || ip.Is6() && ip.IsLinkLocalUnicast() {
					continue
				}
				ones, _ := r.Dst.Mask.Size()
				if family == unix.AF_INET {
					ip = ip.Unmap()
				}
				route.Dst = netip.PrefixFrom(ip, ones)
			}
			out = append(out, route)
		}
	}
	return out, nil
}

func (c *Conn) kernelRoute(r Route) (*netlink.Route, error) {
	out := &netlink.Route{Dst: ipNet(r.Dst), Gw: r.Via.AsSlice(), Table: r.table(), Priority: r.Metric, Src: r.Source.AsSlice()}
	if r.OnLink {
		out.Flags |= unix.RTNH_F_ONLINK
	}
	if !r.Via.IsValid() {
		out.Scope = netlink.SCOPE_LINK
	}
	if r.Link != "" {
		l, err := c.h.LinkByName(r.Link)
		if err != nil {
			return nil, err
		}
		out.LinkIndex = l.Attrs().Index
	}
	return out, nil
}

func (c *Conn) setRoute(r Route) error {
	k, err := c.kernelRoute(r)
	if err != nil {
		return err
	}
	return c.h.RouteReplace(k)
}

func (c *Conn) deleteRoute(r Route) error {
	k, err := c.kernelRoute(r)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil // it went with its link
	}
	if err != nil {
		return err
	}
	if err := c.h.RouteDel(k); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	return nil
}

func (c *Conn) rules(ctx context.Context) ([]Rule, error) {
	var out []Rule
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		list, err := dump(ctx, func() ([]netlink.Rule, error) { return c.h.RuleList(family) })
		if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EAFNOSUPPORT) {
			continue // built without policy routing
		}
		if err != nil {
			return nil, err
		}
		for _, r := range list {
			if r.Priority < 1 || r.Priority > 32765 {
				continue
			}
			out = append(out, Rule{
				Priority: r.Priority, From: fromIPNet(r.Src), To: fromIPNet(r.Dst), IIF: r.IifName, OIF: r.OifName, Mark: r.Mark, Table: r.Table,
				IPv6: family == unix.AF_INET6,
			})
		}
	}
	return out, nil
}

func (r Rule) kernel() *netlink.Rule {
	k := netlink.NewRule()
	k.Family = unix.AF_INET
	if r.IPv6 {
		k.Family = unix.AF_INET6
	}
	k.Priority, k.IifName, k.OifName, k.Mark, k.Table = r.Priority, r.IIF, r.OIF, r.Mark, r.Table
	if r.From.IsValid() {
		k.Src = ipNet(r.From)
	}
	if r.To.IsValid() {
		k.Dst = ipNet(r.To)
	}
	return k
}

func (c *Conn) neighbours(ctx context.Context, names map[int]string) ([]Neighbour, error) {
	list, err := dump(ctx, func() ([]netlink.Neigh, error) { return c.h.NeighList(0, unix.AF_UNSPEC) })
	var out []Neighbour
	for _, n := range list {
		if ip := addr(n.IP); n.State == netlink.NUD_PERMANENT && ip.IsValid() && len(n.HardwareAddr) == 6 && n.Family != unix.AF_BRIDGE {
			out = append(out, Neighbour{Link: names[n.LinkIndex], IP: ip, MAC: n.HardwareAddr})
		}
	}
	return out, err
}

func (c *Conn) changeNeighbour(n Neighbour, add bool) error {
	l, err := c.h.LinkByName(n.Link)
	if errors.As(err, new(netlink.LinkNotFoundError)) && !add {
		return nil
	}
	if err != nil {
		return err
	}
	k := &netlink.Neigh{LinkIndex: l.Attrs().Index, State: netlink.NUD_PERMANENT, IP: n.IP.AsSlice(), HardwareAddr: n.MAC}
	if add {
		return c.h.NeighSet(k)
	}
	if err := c.h.NeighDel(k); err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func fromIPNet(n *net.IPNet) netip.Prefix {
	if n == nil {
		return netip.Prefix{}
	}
	a, ok := netip.AddrFromSlice(n.IP)
	if !ok {
		return netip.Prefix{}
	}
	ones, _ := n.Mask.Size()
	if ones == 0 {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(a.Unmap(), ones)
}
