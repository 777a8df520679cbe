package netkit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Conn is a connection to the kernel in one namespace.
type Conn struct {
	ns *NS // borrowed from the caller
	h  *netlink.Handle
}

// Dial opens a connection in ns, which must stay open as long as the Conn is used. A nil ns is an error, never "the
// current one".
func Dial(ctx context.Context, ns *NS) (*Conn, error) {
	if ns == nil {
		return nil, errors.New("netkit: dial: nil namespace")
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	h, err := netlink.NewHandleAt(netns.NsHandle(ns.f.Fd()), unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("netkit: dial: %w", err)
	}
	return &Conn{ns: ns, h: h}, nil
}

// Close releases the sockets. The namespace stays open.
func (c *Conn) Close() { c.h.Close() }

// Links lists all devices of the namespace with their addresses.
func (c *Conn) Links(ctx context.Context) ([]Link, error) {
	raw, err := dump(ctx, c.h.LinkList)
	if err != nil {
		return nil, &OpError{Op: "list", Link: "links", Err: err}
	}
	addrs, err := dump(ctx, func() ([]netlink.Addr, error) { return c.h.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, &OpError{Op: "list", Link: "addresses", Err: err}
	}
	names := make(map[int]string, len(raw))
	for _, l := range raw {
		names[l.Attrs().Index] = l.Attrs().Name
	}
	byLink := make(map[int][]netip.Prefix)
	for _, a := range addrs {
		if p, ok := prefix(a.IPNet); ok {
			byLink[a.LinkIndex] = append(byLink[a.LinkIndex], p)
		}
	}
	links := make([]Link, len(raw))
	for i, l := range raw {
		links[i] = fromKernel(l, names, byLink[l.Attrs().Index])
	}
	return links, nil
}

// Link returns one device without its addresses. Errors: [ErrNotFound].
func (c *Conn) Link(ctx context.Context, name string) (Link, error) {
	if err := ctx.Err(); err != nil {
		return Link{}, err
	}
	l, err := c.h.LinkByName(name)
	if err != nil {
		return Link{}, &OpError{Op: "get", Link: name, Err: classify(err)}
	}
	names := map[int]string{}
	if m := l.Attrs().MasterIndex; m != 0 {
		master, err := c.h.LinkByIndex(m)
		if err != nil {
			return Link{}, &OpError{Op: "get", Link: name, Err: classify(err)}
		}
		names[m] = master.Attrs().Name
	}
	return fromKernel(l, names, nil), nil
}

func fromKernel(l netlink.Link, names map[int]string, addrs []netip.Prefix) Link {
	a := l.Attrs()
	out := Link{
		Name: a.Name, Kind: Kind(l.Type()), MTU: a.MTU, MAC: slices.Clone(a.HardwareAddr),
		Up: a.Flags&net.FlagUp != 0, Master: names[a.MasterIndex], Addrs: addrs, index: a.Index,
	}
	if t, ok := l.(*netlink.Tuntap); ok {
		out.Kind = KindTap
		out.Tap = Tap{
			Owner:      t.Owner,
			MultiQueue: t.Flags&netlink.TUNTAP_MULTI_QUEUE != 0 || t.Queues > 1,
			VNetHeader: t.Flags&netlink.TUNTAP_VNET_HDR != 0,
		}
	}
	return out
}

func prefix(n *net.IPNet) (netip.Prefix, bool) {
	a, ok := netip.AddrFromSlice(n.IP)
	if !ok || a.Is6() && !a.Is4In6() && a.IsLinkLocalUnicast() {
		return netip.Prefix{}, false
	}
	ones, _ := n.Mask.Size()
	return netip.PrefixFrom(a.Unmap(), ones), true
}

// dump repeats a list that the kernel says was interrupted by a change: a partial one would look like missing links.
func dump[T any](ctx context.Context, list func() ([]T, error)) ([]T, error) {
	for range 10 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		out, err := list()
		if err == nil {
			return out, nil
		}
		if !errors.Is(err, netlink.ErrDumpInterrupted) && !errors.Is(err, unix.EINTR) {
			return nil, err
		}
	}
	return nil, ErrInterrupted
}

func classify(err error) error {
	if errors.As(err, new(netlink.LinkNotFoundError)) || errors.Is(err, unix.ENODEV) {
		return ErrNotFound
	}
	return err
}
