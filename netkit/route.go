package netkit

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// Numbers of the routing tables that the kernel names. See linux/rtnetlink.h: rt_class_t.
const (
	TableDefault = 253
	TableMain    = 254
	TableLocal   = 255
)

// Route is a route of one address family. Only unicast routes with one next hop are listed and made.
type Route struct {
	Dst    netip.Prefix // 0.0.0.0/0 or ::/0 is the default route
	Via    netip.Addr   // the next hop; the zero Addr for a network that is on the link
	Link   string       // may be empty in a wish with Via: the kernel chooses
	Table  int          // 0 in a wish is the main table
	Metric int          // the lower one is preferred; IPv6 has 1024 where 0 is asked for
	Source netip.Addr   // preferred source address; the zero Addr leaves the choice to the kernel
	OnLink bool         // Via is on the link although no address says so
}

func (r Route) String() string {
	dst := r.Dst.String()
	if r.Dst.Bits() == 0 {
		dst = "default"
	}
	var b strings.Builder
	b.WriteString(dst)
	if r.Via.IsValid() {
		b.WriteString(" via " + r.Via.String())
	}
	if r.Link != "" {
		b.WriteString(" dev " + r.Link)
	}
	if t := r.table(); t != TableMain {
		fmt.Fprintf(&b, " table %d", t)
	}
	if r.Metric != 0 {
		fmt.Fprintf(&b, " metric %d", r.Metric)
	}
	if r.Source.IsValid() {
		b.WriteString(" src " + r.Source.String())
	}
	return b.String()
}

func (r Route) table() int {
	if r.Table == 0 {
		return TableMain
	}
	return r.Table
}

// metric is the one that the kernel keeps.
func (r Route) metric() int {
	if r.Metric == 0 && r.Dst.Addr().Is6() {
		return 1024 // net/ipv6: IP6_RT_PRIO_USER
	}
	return r.Metric
}

// same tells whether a route is the wished one.
func (r Route) same(w Route) bool {
	return r.Dst == w.Dst && r.Via == w.Via && r.table() == w.table() && r.metric() == w.metric() &&
		(w.Link == "" || r.Link == w.Link) && (!w.Source.IsValid() || r.Source == w.Source)
}

func (r Route) check() error {
	switch {
	case !r.Dst.IsValid() || r.Dst != r.Dst.Masked():
		return fmt.Errorf("%w: route to %s: no network", ErrBadLink, r.Dst)
	case r.Via.IsValid() && r.Via.Is4() != r.Dst.Addr().Is4(), r.Source.IsValid() && r.Source.Is4() != r.Dst.Addr().Is4():
		return fmt.Errorf("%w: route %s: mixes address families", ErrBadLink, r)
	case r.Link == "" && !r.Via.IsValid():
		return fmt.Errorf("%w: route %s: leads nowhere", ErrBadLink, r)
	case r.Table < 0 || r.Metric < 0:
		return fmt.Errorf("%w: route %s: negative number", ErrBadLink, r)
	}
	return nil
}

// Rule sends packets to a routing table. See ip-rule(8).
type Rule struct {
	Priority int          // 1-32765 for rules of one's own; also tells rules apart
	From, To netip.Prefix // the zero Prefix is everything
	IIF, OIF string       // links that packets come from and leave by; empty is any
	Mark     uint32       // of the packet; 0 is any
	Table    int
	IPv6     bool // the family, also where From and To do not tell
}

func (r Rule) String() string {
	out := fmt.Sprintf("%d:", r.Priority)
	for _, p := range []struct{ word, value string }{{"from", prefixText(r.From)}, {"to", prefixText(r.To)}, {"iif", r.IIF}, {"oif", r.OIF}} {
		if p.value != "" {
			out += " " + p.word + " " + p.value
		}
	}
	if r.Mark != 0 {
		out += fmt.Sprintf(" fwmark %#x", r.Mark)
	}
	out += fmt.Sprintf(" lookup %d", r.Table)
	if r.IPv6 {
		out += " (IPv6)"
	}
	return out
}

func prefixText(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}

func (r Rule) check() error {
	for _, p := range []netip.Prefix{r.From, r.To} {
		if p.IsValid() && (p.Addr().Is6() != r.IPv6 || p != p.Masked()) {
			return fmt.Errorf("%w: rule %s: %s is no network of its family", ErrBadLink, r, p)
		}
	}
	if r.Priority < 1 || r.Priority > 32765 || r.Table < 1 {
		return fmt.Errorf("%w: rule %s: needs a priority of 1-32765 and a table", ErrBadLink, r)
	}
	return nil
}

// Neighbour is a permanent entry of the ARP or ND table.
type Neighbour struct {
	Link string
	IP   netip.Addr
	MAC  net.HardwareAddr
}

func (n Neighbour) String() string { return fmt.Sprintf("%s lladdr %s dev %s", n.IP, n.MAC, n.Link) }

func (n Neighbour) check() error {
	if !n.IP.IsValid() || len(n.MAC) != 6 || n.MAC[0]&1 != 0 {
		return fmt.Errorf("%w: neighbour %s: needs an IP and a unicast MAC address", ErrBadLink, n)
	}
	return CheckName(n.Link)
}

func (n Neighbour) same(o Neighbour) bool {
	return n.Link == o.Link && n.IP == o.IP && n.MAC.String() == o.MAC.String()
}

// State is the network of a namespace, or the part of it that a wish is about.
type State struct {
	Links      []Link
	Routes     []Route
	Rules      []Rule
	Neighbours []Neighbour
}
