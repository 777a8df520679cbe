package netkit

import (
	"context"
	"errors"

	"github.com/vishvananda/netlink"
)

// Counters returns the counters of the named devices, as far as they are there; without names those of all devices.
func (c *Conn) Counters(ctx context.Context, names ...string) (map[string]Counters, error) {
	out := make(map[string]Counters, len(names))
	add := func(l netlink.Link) {
		if st := l.Attrs().Statistics; st != nil {
			out[l.Attrs().Name] = Counters{RxBytes: st.RxBytes, TxBytes: st.TxBytes}
		}
	}
	if len(names) == 0 {
		links, err := dump(ctx, c.h.LinkList)
		if err != nil {
			return nil, &OpError{Op: "list", Link: "counters", Err: err}
		}
		for _, l := range links {
			add(l)
		}
		return out, nil
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		l, err := c.h.LinkByName(name)
		if errors.As(err, new(netlink.LinkNotFoundError)) {
			continue
		}
		if err != nil {
			return nil, &OpError{Op: "read", Link: name, Err: err}
		}
		add(l)
	}
	return out, nil
}
