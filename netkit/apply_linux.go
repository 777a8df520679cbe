package netkit

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Apply carries the steps out in order and stops at the first error. What was done stays: plan again from [Conn.Links]
// and apply, which is also what a restart does. A step whose effect is there already succeeds.
func (c *Conn) Apply(ctx context.Context, steps Steps) error {
	for _, s := range steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := c.apply(ctx, s); err != nil {
			return &OpError{Op: string(s.Action), Link: s.Link.Name, Err: classify(err)}
		}
	}
	return nil
}

func (c *Conn) apply(ctx context.Context, s Step) error {
	switch s.Action {
	case ActCreate:
		return c.create(ctx, s.Link)
	case ActDelete:
		return c.delete(s.Link)
	}
	l, err := c.h.LinkByName(s.Link.Name)
	if err != nil {
		return err
	}
	switch s.Action {
	case ActMTU:
		return c.h.LinkSetMTU(l, s.Link.MTU)
	case ActMAC:
		return c.h.LinkSetHardwareAddr(l, s.Link.MAC)
	case ActMaster:
		return c.setMaster(l, s.Link.Master)
	case ActAddr:
		p := s.Link.Addrs[s.Addr]
		return c.h.AddrReplace(l, &netlink.Addr{IPNet: &net.IPNet{
			IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()),
		}})
	case ActUp:
		return c.h.LinkSetUp(l)
	case ActDown:
		return c.h.LinkSetDown(l)
	}
	return fmt.Errorf("%w: unknown action", ErrBadLink)
}

func (c *Conn) create(ctx context.Context, l Link) error {
	var err error
	switch l.Kind {
	case KindBridge:
		err = c.h.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: l.Name}})
	case KindTap:
		err = c.ns.Do(ctx, func() error { return makeTap(l.Name, l.Tap) })
	default:
		return fmt.Errorf("%w: kind %q cannot be made", ErrBadLink, l.Kind)
	}
	switch {
	case errors.Is(err, unix.EEXIST):
		have, getErr := c.Link(ctx, l.Name)
		if getErr == nil && have.Kind == l.Kind {
			return nil // somebody made it between plan and apply
		}
		return ErrExists
	case errors.Is(err, unix.EOPNOTSUPP):
		return &UnsupportedError{Feature: "links of kind " + string(l.Kind), Err: err}
	}
	return err
}

// delete removes the very link that was planned: a namesake made meanwhile has another index and stays.
func (c *Conn) delete(l Link) error {
	err := c.h.LinkDel(&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Name: l.Name, Index: l.index}})
	if errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

func (c *Conn) setMaster(l netlink.Link, master string) error {
	if master == "" {
		return c.h.LinkSetNoMaster(l)
	}
	m, err := c.h.LinkByName(master)
	if err != nil {
		return err
	}
	return c.h.LinkSetMasterByIndex(l, m.Attrs().Index)
}
