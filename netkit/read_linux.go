package netkit

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Links lists all devices of the namespace with their addresses and VLANs, but without limits ([Link].Rate) and static
// addresses of ports.
func (c *Conn) Links(ctx context.Context) ([]Link, error) {
	raw, err := dump(ctx, func() ([][]byte, error) {
		return c.request(unix.RTM_GETLINK, unix.NLM_F_DUMP, nl.NewIfInfomsg(unix.AF_UNSPEC)).Execute(unix.NETLINK_ROUTE, unix.RTM_NEWLINK)
	})
	if err != nil {
		return nil, &OpError{Op: "list", Link: "links", Err: err}
	}
	links := make([]*kernelLink, len(raw))
	names := make(map[int]string, len(raw))
	for i, m := range raw {
		if links[i], err = parseLink(m); err != nil {
			return nil, &OpError{Op: "list", Link: "links", Err: err}
		}
		names[links[i].Attrs().Index] = links[i].Attrs().Name
	}
	addrs, err := dump(ctx, func() ([]netlink.Addr, error) { return c.h.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, &OpError{Op: "list", Link: "addresses", Err: err}
	}
	byLink := make(map[int][]netip.Prefix)
	for _, a := range addrs {
		if p, ok := prefix(a.IPNet); ok {
			byLink[a.LinkIndex] = append(byLink[a.LinkIndex], p)
		}
	}
	vlans, err := c.vlans(ctx, 0)
	if err != nil {
		return nil, &OpError{Op: "list", Link: "VLANs", Err: err}
	}
	remotes, err := c.remotes(ctx, links)
	if err != nil {
		return nil, &OpError{Op: "list", Link: "hosts of VXLANs", Err: err}
	}
	out := make([]Link, len(links))
	aware := map[string]bool{}
	for i, l := range links {
		out[i] = l.link(names)
		if b := out[i].Bridge; b != nil {
			aware[out[i].Name] = b.VLANAware
		}
	}
	for i := range out {
		index := out[i].index
		out[i].Addrs = byLink[index]
		out[i].setVLANs(vlans[index], aware[out[i].Master])
		if out[i].VXLAN != nil {
			out[i].VXLAN.Remotes = remotes[index]
		}
	}
	return out, nil
}

// Lookup returns the named devices (empty names are skipped), with limits and static addresses, as far as they are there, together with the bridges
// and bonds that they belong to and the devices that they stand on. It asks for no others: its cost does not grow with their number.
func (c *Conn) Lookup(ctx context.Context, names ...string) ([]Link, error) {
	var out []Link
	seen := map[string]bool{}
	for _, name := range names {
		if name == "" {
			continue
		}
		l, err := c.whole(ctx, name)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, l := range append([]Link{l.Link}, l.around...) {
			if !seen[l.Name] {
				seen[l.Name] = true
				out = append(out, l)
			}
		}
	}
	return out, nil
}

// Link returns one device without its addresses, VLANs and limits. Errors: [ErrNotFound].
func (c *Conn) Link(ctx context.Context, name string) (Link, error) {
	if err := ctx.Err(); err != nil {
		return Link{}, err
	}
	l, err := c.get(name, 0)
	if err != nil {
		return Link{}, &OpError{Op: "get", Link: name, Err: classify(err)}
	}
	names := map[int]string{}
	for _, index := range l.near() {
		o, err := c.get("", index)
		if errors.Is(err, unix.ENODEV) {
			continue // it has just gone
		}
		if err != nil {
			return Link{}, &OpError{Op: "get", Link: name, Err: err}
		}
		names[index] = o.Attrs().Name
	}
	return l.link(names), nil
}

// neighbourhood is a link with those it is connected to.
type neighbourhood struct {
	Link
	around []Link
}

// whole reads one link completely.
func (c *Conn) whole(ctx context.Context, name string) (*neighbourhood, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	wrap := func(err error) error { return &OpError{Op: "get", Link: name, Err: classify(err)} }
	l, err := c.get(name, 0)
	if err != nil {
		return nil, wrap(err)
	}
	names := map[int]string{}
	out := &neighbourhood{}
	for _, index := range l.near() {
		o, err := c.get("", index)
		if errors.Is(err, unix.ENODEV) {
			continue // it has just gone
		}
		if err != nil {
			return nil, wrap(err)
		}
		names[index] = o.Attrs().Name
		out.around = append(out.around, o.link(names))
	}
	out.Link = l.link(names)
	addrs, err := dump(ctx, func() ([]netlink.Addr, error) { return c.h.AddrList(l.Link, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, wrap(err)
	}
	for _, a := range addrs {
		if p, ok := prefix(a.IPNet); ok {
			out.Addrs = append(out.Addrs, p)
		}
	}
	if out.Port != nil || out.Bridge != nil {
		vlans, err := c.vlans(ctx, out.index)
		if err != nil {
			return nil, wrap(err)
		}
		out.setVLANs(vlans[out.index], slices.ContainsFunc(out.around, func(l Link) bool {
			return l.Name == out.Master && l.Bridge != nil && l.Bridge.VLANAware
		}))
	}
	if out.Port != nil && out.Port.NoLearning {
		if out.Port.MACs, err = c.staticMACs(ctx, out.index); err != nil {
			return nil, wrap(err)
		}
	}
	if out.VXLAN != nil {
		remotes, err := c.remotes(ctx, []*kernelLink{l})
		if err != nil {
			return nil, wrap(err)
		}
		out.VXLAN.Remotes = remotes[out.index]
	}
	if out.Rate, err = c.rate(ctx, l.Link); err != nil {
		return nil, wrap(err)
	}
	return out, nil
}
