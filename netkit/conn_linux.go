package netkit

import (
	"context"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Conn is a connection to the kernel in one namespace.
type Conn struct {
	ns  *NS // borrowed from the caller
	h   *netlink.Handle
	raw *nl.SocketHandle // for what the library has no call for
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
	s, err := nl.GetNetlinkSocketAt(netns.NsHandle(ns.f.Fd()), netns.None(), unix.NETLINK_ROUTE)
	if err != nil {
		h.Close()
		return nil, fmt.Errorf("netkit: dial: %w", err)
	}
	return &Conn{ns: ns, h: h, raw: &nl.SocketHandle{Socket: s}}, nil
}

// Close releases the sockets. The namespace stays open.
func (c *Conn) Close() {
	c.h.Close()
	c.raw.Close()
}

// request begins a message of the given type on the Conn's own socket.
func (c *Conn) request(typ uint16, flags int, data ...nl.NetlinkRequestData) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(int(typ), flags)
	req.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: c.raw}
	for _, d := range data {
		req.AddData(d)
	}
	return req
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
	switch {
	case errors.As(err, new(netlink.LinkNotFoundError)) || errors.Is(err, unix.ENODEV):
		return ErrNotFound
	case errors.Is(err, unix.EXFULL):
		return ErrBridgeFull
	}
	return err
}
