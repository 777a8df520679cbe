package firewall

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"
)

// World is everything that the firewall of one node follows from. It is read only.
type World struct {
	Cluster *Config // nil is an empty file, as everywhere here
	Host    *Config
	SDN     []*IPSet
	Guests  []GuestConfig // of this node; at most one per ID

	Now  time.Time // decides whether a cluster that is on for a trial still is
	Node Node
}

// Node is what the firewall must know of the node it runs on.
type Node struct {
	Addrs        []netip.Prefix    // of the node's interfaces; their broadcast addresses are noise
	LocalNetwork netip.Prefix      // the network that holds the node's cluster address; zero is 127.0.0.0/8
	AltNames     map[string]string // interfaces by alternative name
	Corosync     Corosync
}

// Corosync is what the cluster's nodes talk over.
type Corosync struct {
	Links     []CorosyncLink
	Multicast bool // totem transport udp
}

// CorosyncLink is the pair of addresses of this and another node on one link.
type CorosyncLink struct{ Own, Peer netip.Addr }

// GuestConfig is a virtual machine or container of the node.
type GuestConfig struct {
	ID        int
	Container bool
	Config    *Config // nil: the guest has no file, and no firewall
	NICs      []NIC
}

// NIC is a network device of a guest.
type NIC struct {
	Number   int              // N of netN
	MAC      net.HardwareAddr // of the guest's side, six bytes
	Bridge   string
	VLAN     int          // its tag, 0 for none; a bridge that knows no VLANs has a bridge BRIDGEvTAG for it
	Firewall bool         // the NIC's firewall flag
	Addrs    []netip.Addr // fixed addresses of a container's NIC
}

// Equal tells whether nothing that the firewall knows of the NIC differs.
func (n NIC) Equal(o NIC) bool {
	return n.Number == o.Number && n.Bridge == o.Bridge && n.VLAN == o.VLAN && n.Firewall == o.Firewall && bytes.Equal(n.MAC, o.MAC) &&
		slices.Equal(n.Addrs, o.Addrs)
}

// Port is the name of the host's device of a NIC.
func (g *GuestConfig) Port(n NIC) string {
	if g.Container {
		return fmt.Sprintf("veth%di%d", g.ID, n.Number)
	}
	return fmt.Sprintf("tap%di%d", g.ID, n.Number)
}

// Filtered tells whether a NIC's traffic is filtered as the guest's.
func (w *World) Filtered(g *GuestConfig, n NIC) bool { return w.filtered(g, n) }

func (w *World) filtered(g *GuestConfig, n NIC) bool {
	return w.on() && n.Firewall && g.Config.flag("enable", false)
}

// on tells whether the node filters anything.
func (w *World) on() bool { return w.Cluster.clusterEnabled(w.Now) }

// hostOn tells whether the node's own traffic is filtered.
func (w *World) hostOn() bool { return w.on() && w.Host.flag("enable", true) }

func (w *World) guest(id int) *GuestConfig {
	for i := range w.Guests {
		if w.Guests[i].ID == id {
			return &w.Guests[i]
		}
	}
	return nil
}

func (g *GuestConfig) nic(number int) (NIC, bool) {
	for _, n := range g.NICs {
		if n.Number == number {
			return n, true
		}
	}
	return NIC{}, false
}

// localNetwork is the alias local_network: as defined, else as found.
func (w *World) localNetwork() netip.Prefix {
	if a, ok := w.Cluster.Alias("local_network"); ok {
		if p, ok := parsePrefix(a.CIDR); ok {
			return p
		}
	}
	if w.Node.LocalNetwork.IsValid() {
		return w.Node.LocalNetwork
	}
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{127}), 8)
}

// broadcasts are the IPv4 addresses that reach all hosts of a network of the node.
func (w *World) broadcasts() []addrRange {
	all := netip.AddrFrom4([4]byte{255, 255, 255, 255})
	out := []addrRange{{all, all}}
	for _, p := range w.Node.Addrs {
		if p.Addr().Is4() && p.Bits() < 31 {
			last := rangeOf(p).to
			out = append(out, addrRange{last, last})
		}
	}
	return out
}

// scope is what rules of the cluster and the host see.
func (w *World) scope() *Scope {
	return &Scope{Cluster: w.cluster(), SDN: w.SDN, level: Cluster}
}

// cluster is cluster.fw with the alias that is always there.
func (w *World) cluster() *Config {
	if w.Cluster == nil {
		return nil
	}
	if _, ok := w.Cluster.Alias("local_network"); ok {
		return w.Cluster
	}
	c := *w.Cluster
	c.Aliases = append(c.Aliases[:len(c.Aliases):len(c.Aliases)], Alias{Name: "local_network", CIDR: w.localNetwork().String()})
	return &c
}

// eui64 is the link-local address that a device makes from its MAC.
func eui64(mac net.HardwareAddr) (netip.Addr, bool) {
	if len(mac) != 6 {
		return netip.Addr{}, false
	}
	return netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 8: mac[0] ^ 2, 9: mac[1], 10: mac[2], 11: 0xff, 12: 0xfe, 13: mac[3], 14: mac[4], 15: mac[5]}), true
}
