package netkit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// create makes a link with what is fixed about it. One that somebody made between plan and apply is fine. A tap is made in
// several calls, so that another's may be seen half-made, or vanish under way: that is looked at again.
func (a *applier) create(ctx context.Context, l Link) error {
	const tries, pause = 10, time.Millisecond
	for range tries {
		err := a.make(ctx, l)
		switch {
		case l.Kind == KindTap && errors.Is(err, unix.EBADFD):
			continue
		case errors.Is(err, unix.EEXIST), l.Kind == KindTap && errors.Is(err, unix.EBUSY):
		case errors.Is(err, unix.EOPNOTSUPP):
			return &UnsupportedError{Feature: "links of kind " + string(l.Kind), Err: err}
		default:
			return err
		}
		have, err := a.Link(ctx, l.Name)
		switch {
		case errors.Is(err, ErrNotFound):
			continue
		case err != nil:
			return err
		case have.Kind != l.Kind || have.Kind != KindTap && have.fixedDiffers(l):
			return ErrExists
		case !have.fixedDiffers(l):
			return nil
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return ErrExists
}

func (a *applier) make(ctx context.Context, l Link) error {
	attrs := netlink.LinkAttrs{Name: l.Name}
	if l.Parent != "" && l.Kind != KindVeth {
		parent, err := a.find(l.Parent)
		if err != nil {
			return err
		}
		attrs.ParentIndex = parent.Attrs().Index
	}
	switch l.Kind {
	case KindTap:
		return a.ns.Do(ctx, func() error { return makeTap(l.Name, l.Tap) })
	case KindBridge:
		return a.h.LinkAdd(&netlink.Bridge{LinkAttrs: attrs})
	case KindDummy:
		return a.h.LinkAdd(&netlink.Dummy{LinkAttrs: attrs})
	case KindVeth:
		return a.h.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: l.Parent})
	case KindMacvlan:
		return a.h.LinkAdd(&netlink.Macvlan{LinkAttrs: attrs, Mode: l.Macvlan.kernel()})
	case KindMacvtap:
		return a.h.LinkAdd(&netlink.Macvtap{Macvlan: netlink.Macvlan{LinkAttrs: attrs, Mode: l.Macvlan.kernel()}})
	case KindBond:
		return a.makeBond(attrs, l.Bond)
	case KindVLAN:
		return a.makeVLAN(attrs, l.VLAN)
	case KindVXLAN:
		return a.makeVXLAN(attrs, l.VXLAN)
	}
	return fmt.Errorf("%w: kind %q cannot be made", ErrBadLink, l.Kind)
}

func (m MacvlanMode) kernel() netlink.MacvlanMode {
	for k, mode := range macvlanModes() {
		if mode == m.orBridge() {
			return k
		}
	}
	return netlink.MACVLAN_MODE_BRIDGE
}

func (a *applier) makeBond(attrs netlink.LinkAttrs, b *Bond) error {
	k := netlink.NewLinkBond(attrs)
	if b != nil {
		if err := a.fillBond(k, b); err != nil {
			return err
		}
	}
	return a.h.LinkAdd(k)
}

func (a *applier) makeVLAN(attrs netlink.LinkAttrs, v *VLAN) error {
	k := &netlink.Vlan{LinkAttrs: attrs, VlanId: int(v.ID), VlanProtocol: netlink.VLAN_PROTOCOL_8021Q}
	if v.protocol() == "802.1ad" {
		k.VlanProtocol = netlink.VLAN_PROTOCOL_8021AD
	}
	return a.h.LinkAdd(k)
}

func (a *applier) makeVXLAN(attrs netlink.LinkAttrs, v *VXLAN) error {
	device := attrs.ParentIndex
	attrs.ParentIndex = 0
	k := &netlink.Vxlan{LinkAttrs: attrs, VxlanId: int(v.ID), VtepDevIndex: device, Port: int(v.port()), Learning: v.Learning}
	if v.Local.IsValid() {
		k.SrcAddr = v.Local.AsSlice()
	}
	if v.Group.IsValid() {
		k.Group = v.Group.AsSlice()
	}
	return a.h.LinkAdd(k)
}
