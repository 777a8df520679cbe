package netkit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Apply carries the steps out in order and stops at the first error. What was done stays: plan again from [Conn.Links]
// and apply, which is also what a restart does. A step whose effect is there already succeeds. A link that is replaced by a
// namesake meanwhile is [ErrNotFound] for the steps that are left: they were planned for the other one.
func (c *Conn) Apply(ctx context.Context, steps Steps) error {
	a := applier{Conn: c, links: map[string]netlink.Link{}}
	for i := 0; i < len(steps); i++ {
		s := steps[i]
		if err := ctx.Err(); err != nil {
			return err
		}
		if n := deletions(steps[i:]); n >= manyDeletions {
			if err := a.deleteTogether(steps[i : i+n]); err != nil {
				return &OpError{Op: string(ActDelete), Link: fmt.Sprintf("%d links", n), Err: classify(err)}
			}
			i += n - 1
			continue
		}
		if err := a.apply(ctx, s); err != nil {
			return &OpError{Op: string(s.Action), Link: s.subject(), Err: classify(err)}
		}
	}
	return nil
}

// applier remembers the links that it has seen in one run, by name.
type applier struct {
	*Conn
	links map[string]netlink.Link
}

func (a *applier) find(name string) (netlink.Link, error) {
	if l, ok := a.links[name]; ok {
		return l, nil
	}
	l, err := a.get(name, 0)
	if err != nil {
		return nil, err
	}
	a.links[name] = l.Link
	return l.Link, nil
}

func (a *applier) apply(ctx context.Context, s Step) error {
	switch s.Action {
	case ActCreate:
		delete(a.links, s.Link.Name)
		return a.create(ctx, s.Link)
	case ActDelete:
		delete(a.links, s.Link.Name)
		return a.delete(s.Link)
	case ActRoute:
		return a.setRoute(s.Route)
	case ActNoRoute:
		return a.deleteRoute(s.Route)
	case ActRule:
		return ignore(a.h.RuleAdd(s.Rule.kernel()), unix.EEXIST)
	case ActNoRule:
		return ignore(a.h.RuleDel(s.Rule.kernel()), unix.ENOENT)
	case ActNeighbour, ActNoNeighbour:
		return a.changeNeighbour(s.Neighbour, s.Action == ActNeighbour)
	case ActNoIPv6:
		return a.disableIPv6(ctx, s.Link.Name)
	}
	l, err := a.find(s.Link.Name)
	if err != nil {
		return err
	}
	return a.change(l, s)
}

// change carries out a step that changes a link.
func (a *applier) change(l netlink.Link, s Step) error {
	w, index := s.Link, l.Attrs().Index
	switch s.Action {
	case ActMTU:
		return a.h.LinkSetMTU(l, w.MTU)
	case ActMAC:
		return a.h.LinkSetHardwareAddr(l, w.MAC)
	case ActMaster:
		return a.setMaster(l, w.Master)
	case ActBridge:
		return a.setBridge(index, w.Bridge)
	case ActBond:
		return a.setBond(l, w.Bond)
	case ActPort:
		return a.setPort(index, w.Port)
	case ActVLANAdd, ActVLANDel:
		return a.changeVLANs(l, s.VLANs, s.Action == ActVLANAdd, false)
	case ActPVID:
		return a.changeVLANs(l, []VLANRange{{s.PVID, s.PVID}}, true, true)
	case ActFDBAdd, ActFDBDel:
		return a.changeFDB(index, s.MACs, s.Action == ActFDBAdd)
	case ActRemote, ActNoHost:
		return a.changeRemote(index, s.Host, s.Action == ActRemote)
	case ActRate:
		return a.setRate(l, *w.Rate)
	case ActAddr:
		return a.h.AddrReplace(l, &netlink.Addr{IPNet: ipNet(s.Addr)})
	case ActNoAddr:
		return ignore(a.h.AddrDel(l, &netlink.Addr{IPNet: ipNet(s.Addr)}), unix.EADDRNOTAVAIL)
	case ActAltName:
		return ignore(a.h.LinkAddAltName(l, s.AltName), unix.EEXIST)
	case ActUp:
		return a.h.LinkSetUp(l)
	case ActDown:
		return a.h.LinkSetDown(l)
	}
	return fmt.Errorf("%w: unknown action", ErrBadLink)
}

func (a *applier) setMaster(l netlink.Link, master string) error {
	if master == "" {
		return a.h.LinkSetNoMaster(l)
	}
	m, err := a.find(master)
	if err != nil {
		return err
	}
	return a.h.LinkSetMasterByIndex(l, m.Attrs().Index)
}

// manyDeletions is from how many on links are deleted together: the kernel waits for all of its processors after each
// deletion, which takes far longer than the rest.
const manyDeletions = 4

// deletions counts the deletions at the beginning of a plan.
func deletions(steps Steps) int {
	n := 0
	for n < len(steps) && steps[n].Action == ActDelete {
		n++
	}
	return n
}

// deleteTogether gives links a group of their own, a number that nobody else guesses, and deletes the group. Links that are
// gone, or go with another one, are fine.
func (a *applier) deleteTogether(steps Steps) error {
	group := rand.Uint32()>>1 | 1<<30
	for _, s := range steps {
		delete(a.links, s.Link.Name)
		err := a.h.LinkSetGroup(&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Name: s.Link.Name, Index: s.Link.index}}, int(group))
		if err := ignore(err, unix.ENODEV); err != nil {
			return err
		}
	}
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	_, err := a.request(unix.RTM_DELLINK, unix.NLM_F_ACK, msg, nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(group))).Execute(unix.NETLINK_ROUTE, 0)
	return ignore(err, unix.ENODEV)
}

// delete removes the very link that was planned: a namesake made meanwhile has another index and stays.
func (c *Conn) delete(l Link) error {
	return ignore(c.h.LinkDel(&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Name: l.Name, Index: l.index}}), unix.ENODEV)
}

// disableIPv6 switches IPv6 off; a kernel that has none is content.
func (c *Conn) disableIPv6(ctx context.Context, name string) error {
	return c.ns.Do(ctx, func() error {
		err := os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/disable_ipv6", []byte("1"), 0)
		if _, noIPv6 := os.Stat("/proc/sys/net/ipv6"); noIPv6 != nil {
			return nil
		}
		return err
	})
}

// setBridge sets the properties of a bridge. See linux/if_link.h: IFLA_BR_*.
func (c *Conn) setBridge(index int, b *Bridge) error {
	set := func(attrs map[int][]byte) error {
		msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
		msg.Index = int32(index)
		info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
		info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated(string(KindBridge)))
		data := info.AddRtAttr(nl.IFLA_INFO_DATA, nil)
		for typ, v := range attrs {
			data.AddRtAttr(typ, v)
		}
		_, err := c.request(unix.RTM_NEWLINK, unix.NLM_F_ACK, msg, info).Execute(unix.NETLINK_ROUTE, 0)
		return err
	}
	if !b.STP { // with it on, the kernel takes no short delay
		if err := set(map[int][]byte{nl.IFLA_BR_STP_STATE: nl.Uint32Attr(0)}); err != nil {
			return err
		}
	}
	attrs := map[int][]byte{nl.IFLA_BR_FORWARD_DELAY: nl.Uint32Attr(toTicks(b.ForwardDelay))}
	if b.STP {
		if b.ForwardDelay == 0 {
			delete(attrs, nl.IFLA_BR_FORWARD_DELAY)
		}
		attrs[nl.IFLA_BR_STP_STATE] = nl.Uint32Attr(1)
	}
	if b.Ageing != 0 {
		attrs[nl.IFLA_BR_AGEING_TIME] = nl.Uint32Attr(toTicks(b.Ageing))
	}
	if err := set(attrs); err != nil {
		return err
	}
	filter := []byte{0}
	if b.VLANAware {
		filter[0] = 1
	}
	err := set(map[int][]byte{nl.IFLA_BR_VLAN_FILTERING: filter})
	switch {
	case errors.Is(err, unix.EOPNOTSUPP) && !b.VLANAware:
		return nil
	case errors.Is(err, unix.EOPNOTSUPP):
		return &UnsupportedError{Feature: featureVLANFilter, Err: err}
	case err != nil || !b.VLANAware:
		return err
	}
	return set(map[int][]byte{nl.IFLA_BR_VLAN_DEFAULT_PVID: nl.Uint16Attr(b.PVID)})
}

// setBond sets the changeable properties of a bond.
func (c *Conn) setBond(l netlink.Link, b *Bond) error {
	k := netlink.NewLinkBond(netlink.LinkAttrs{Name: l.Attrs().Name, Index: l.Attrs().Index})
	if err := c.fillBond(k, b); err != nil {
		return err
	}
	k.Mode = -1 // fixed
	return c.h.LinkModify(k)
}

func (c *Conn) fillBond(k *netlink.Bond, b *Bond) error {
	k.Mode = netlink.StringToBondMode(string(b.mode()))
	if b.MIIMon != 0 {
		k.Miimon = int(b.MIIMon.Milliseconds())
	}
	if b.XmitHash != "" {
		k.XmitHashPolicy = netlink.StringToBondXmitHashPolicy(b.XmitHash)
	}
	if b.LACPRate != "" {
		k.LacpRate = netlink.StringToBondLacpRate(b.LACPRate)
	}
	if b.Primary != "" {
		p, err := c.get(b.Primary, 0)
		if err != nil {
			return err
		}
		k.Primary = p.Attrs().Index
	}
	return nil
}

// Move puts a link into another namespace, where it is down. Errors: [ErrNotFound], [ErrExists] when its name is taken there.
func (c *Conn) Move(ctx context.Context, name string, to *NS) error {
	return c.single(ctx, "move", name, func(l netlink.Link) error { return c.h.LinkSetNsFd(l, int(to.f.Fd())) })
}

// Rename gives a link another name; old kernels want it down. Errors: [ErrNotFound], [ErrExists], [ErrBadLink].
func (c *Conn) Rename(ctx context.Context, name, as string) error {
	if err := CheckName(as); err != nil {
		return &OpError{Op: "rename", Link: name, Err: err}
	}
	return c.single(ctx, "rename", name, func(l netlink.Link) error { return c.h.LinkSetName(l, as) })
}

// single does one thing with a link that has no place in a plan.
func (c *Conn) single(ctx context.Context, op, name string, do func(netlink.Link) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l, err := c.get(name, 0)
	if err == nil {
		err = do(l.Link)
	}
	switch {
	case errors.Is(err, unix.EEXIST):
		err = ErrExists
	case err != nil:
		err = classify(err)
	default:
		return nil
	}
	return &OpError{Op: op, Link: name, Err: err}
}

func ignore(err, what error) error {
	if errors.Is(err, what) {
		return nil
	}
	return err
}
