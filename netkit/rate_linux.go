package netkit

import (
	"context"
	"errors"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	rateBurst    = 1 << 20 // bytes that may pass at once
	rateQueueMS  = 50      // what waits behind a token bucket, as time at its rate
	policePrio   = 50
	policeMTU    = 64 << 10 // above every segmentation offload's size
	maxPoliceBps = 1<<32 - 1
)

// rate reads the limits of a link; nil if it has none of ours.
func (c *Conn) rate(ctx context.Context, l netlink.Link) (*Rate, error) {
	qdiscs, err := dump(ctx, func() ([]netlink.Qdisc, error) { return c.h.QdiscList(l) })
	if err != nil {
		return nil, err
	}
	var r Rate
	for _, q := range qdiscs {
		switch q := q.(type) {
		case *netlink.Tbf:
			if q.Parent == netlink.HANDLE_ROOT {
				r.Out = q.Rate
			}
		case *netlink.Ingress:
			filters, err := dump(ctx, func() ([]netlink.Filter, error) { return c.h.FilterList(l, netlink.MakeHandle(0xffff, 0)) })
			if err != nil {
				return nil, err
			}
			r.In = policed(filters)
		}
	}
	if r == (Rate{}) {
		return nil, nil
	}
	return &r, nil
}

func policed(filters []netlink.Filter) uint64 {
	for _, f := range filters {
		m, ok := f.(*netlink.MatchAll)
		if !ok {
			continue
		}
		for _, a := range m.Actions {
			if p, ok := a.(*netlink.PoliceAction); ok {
				return uint64(p.Rate)
			}
		}
	}
	return 0
}

// setRate sets both limits anew: first none, then those that are asked for. See tc-tbf(8), tc-police(8), tc-matchall(8).
func (c *Conn) setRate(l netlink.Link, r Rate) error {
	root := netlink.QdiscAttrs{LinkIndex: l.Attrs().Index, Parent: netlink.HANDLE_ROOT, Handle: netlink.MakeHandle(1, 0)}
	ingress := netlink.QdiscAttrs{LinkIndex: l.Attrs().Index, Parent: netlink.HANDLE_INGRESS, Handle: netlink.MakeHandle(0xffff, 0)}
	if r.Out == 0 {
		if err := ignoreAbsent(c.h.QdiscDel(&netlink.Tbf{QdiscAttrs: root})); err != nil {
			return err
		}
	} else if err := c.h.QdiscReplace(&netlink.Tbf{
		QdiscAttrs: root, Rate: r.Out, Limit: uint32(min(r.Out*rateQueueMS/1000+rateBurst, 1<<31)), Buffer: netlink.Xmittime(r.Out, rateBurst),
	}); err != nil {
		return lacks("token buckets (CONFIG_NET_SCH_TBF)", err)
	}
	if err := ignoreAbsent(c.h.QdiscDel(&netlink.Ingress{QdiscAttrs: ingress})); err != nil {
		return err
	}
	if r.In == 0 {
		return nil
	}
	if err := c.h.QdiscAdd(&netlink.Ingress{QdiscAttrs: ingress}); err != nil {
		return lacks("ingress queues (CONFIG_NET_SCH_INGRESS)", err)
	}
	police := netlink.NewPoliceAction()
	police.Rate, police.Burst, police.Mtu = uint32(min(r.In, maxPoliceBps)), rateBurst, policeMTU
	police.ExceedAction = netlink.TC_POLICE_SHOT
	err := c.h.FilterAdd(&netlink.MatchAll{
		FilterAttrs: netlink.FilterAttrs{LinkIndex: l.Attrs().Index, Parent: ingress.Handle, Priority: policePrio, Protocol: unix.ETH_P_ALL},
		Actions:     []netlink.Action{police},
	})
	if err == nil {
		return nil
	}
	// An ingress queue without its policer would look like a limit to the next reader.
	return errors.Join(lacks("policers (CONFIG_NET_CLS_MATCHALL, CONFIG_NET_ACT_POLICE)", err), ignoreAbsent(c.h.QdiscDel(&netlink.Ingress{QdiscAttrs: ingress})))
}

// lacks tells a kernel without the feature from other faults.
func lacks(feature string, err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) {
		return &UnsupportedError{Feature: feature, Err: err}
	}
	return err
}

func ignoreAbsent(err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	return err
}
