package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/netkit/firewall"
)

// firewallSuites answers the suite on the verdicts of the firewall.
func firewallSuites() map[string]suiteFunc {
	return map[string]suiteFunc{"firewall.packets": packetCase}
}

type packetInput struct {
	Config map[string]string `json:"config"` // files by name
	Guests struct {
		Qemu map[string]map[string]string `json:"qemu"`
		LXC  map[string]map[string]string `json:"lxc"`
	} `json:"guests"`
	Corosync string `json:"corosync"`
	From     string `json:"from"`
	To       string `json:"to"`
	Packet   struct {
		Proto   string          `json:"proto"`
		Source  string          `json:"source"`
		Dest    string          `json:"dest"`
		DstType string          `json:"dsttype"`
		Sport   json.RawMessage `json:"sport"`
		Dport   json.RawMessage `json:"dport"`
	} `json:"packet"`
}

// The world of the cases.
const (
	localNode     = "proxself"
	hostAddress   = "172.16.1.2"
	localNetwork  = "172.16.1.0/24"
	defaultSource = "100.100.1.2"
	defaultDest   = "100.200.3.4"
)

func packetCase(_ string, input json.RawMessage) (any, error) {
	var in packetInput
	if err := json.Unmarshal(input, &in); err != nil {
		return nil, err
	}
	w, err := in.world()
	if err != nil {
		return nil, err
	}
	p, err := in.packet()
	if err != nil {
		return nil, err
	}
	return map[string]any{"action": w.Verdict(p).Action}, nil
}

func (in *packetInput) world() (*firewall.World, error) {
	w := &firewall.World{Node: firewall.Node{LocalNetwork: netip.MustParsePrefix(localNetwork), Corosync: corosyncOf(in.Corosync)}}
	w.Node.Addrs = []netip.Prefix{netip.PrefixFrom(netip.MustParseAddr(hostAddress), 24)}
	var err error
	if w.Cluster, err = in.file("cluster.fw", firewall.Cluster, nil); err != nil {
		return nil, err
	}
	scope := &firewall.Scope{Cluster: w.Cluster}
	if w.Host, err = in.file("host.fw", firewall.Host, scope); err != nil {
		return nil, err
	}
	for _, kind := range []struct {
		guests    map[string]map[string]string
		container bool
	}{{in.Guests.Qemu, false}, {in.Guests.LXC, true}} {
		for name, conf := range kind.guests {
			g, err := guestOf(name, conf, kind.container)
			if err != nil {
				return nil, err
			}
			if g.Config, err = in.file(name+".fw", firewall.Guest, scope); err != nil {
				return nil, err
			}
			w.Guests = append(w.Guests, g)
		}
	}
	return w, nil
}

// file parses a file of the case; one that is not there is nil.
func (in *packetInput) file(name string, l firewall.Level, scope *firewall.Scope) (*firewall.Config, error) {
	text, ok := in.Config[name]
	if !ok {
		return nil, nil
	}
	c, _, err := firewall.Parse(text, l, scope)
	return c, err
}

func guestOf(name string, conf map[string]string, container bool) (firewall.GuestConfig, error) {
	id, err := strconv.Atoi(name)
	if err != nil {
		return firewall.GuestConfig{}, err
	}
	g := firewall.GuestConfig{ID: id, Container: container}
	for key, value := range conf {
		number, isNIC := strings.CutPrefix(key, "net")
		if !isNIC {
			continue
		}
		n := firewall.NIC{}
		if n.Number, err = strconv.Atoi(number); err != nil {
			return g, err
		}
		for part := range strings.SplitSeq(value, ",") {
			k, v, _ := strings.Cut(part, "=")
			if mac, err := net.ParseMAC(v); err == nil {
				n.MAC = mac
			}
			switch k {
			case "bridge":
				n.Bridge = v
			case "firewall":
				n.Firewall = v == "1"
			case "ip", "ip6":
				if p, err := netip.ParsePrefix(v); err == nil {
					n.Addrs = append(n.Addrs, p.Addr())
				}
			}
		}
		g.NICs = append(g.NICs, n)
	}
	return g, nil
}

// corosyncOf reads the links of a corosync.conf; names of hosts are left out.
func corosyncOf(text string) firewall.Corosync {
	var out firewall.Corosync
	var nodes []map[string]string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "node {" {
			nodes = append(nodes, map[string]string{})
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		if key == "transport" {
			out.Multicast = value == "udp"
		}
		if len(nodes) > 0 {
			nodes[len(nodes)-1][key] = value
		}
	}
	var self map[string]string
	for _, n := range nodes {
		if n["name"] == localNode {
			self = n
		}
	}
	for _, n := range nodes {
		for key, value := range n {
			peer, err := netip.ParseAddr(value)
			own, err2 := netip.ParseAddr(self[key])
			if n["name"] != localNode && strings.HasSuffix(key, "_addr") && err == nil && err2 == nil {
				out.Links = append(out.Links, firewall.CorosyncLink{Own: own, Peer: peer})
			}
		}
	}
	return out
}

// endpoint reads the name of a zone.
func endpoint(zone string) (firewall.Endpoint, error) {
	switch {
	case zone == "host":
		return firewall.Endpoint{}, nil
	case zone == "outside" || zone == "nfvm":
		return firewall.Outside("vmbr0"), nil
	case strings.Contains(zone, "/"):
		bridge, _, _ := strings.Cut(zone, "/")
		return firewall.Outside(bridge), nil
	}
	id, nic, found := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(zone, "vm"), "ct"), "i")
	if !found {
		nic = "0"
	}
	guest, err := strconv.Atoi(id)
	n, err2 := strconv.Atoi(nic)
	if err != nil || err2 != nil {
		return firewall.Endpoint{}, fmt.Errorf("unknown zone %q", zone)
	}
	return firewall.GuestNIC(guest, n), nil
}

func (in *packetInput) packet() (*firewall.Packet, error) {
	p := &firewall.Packet{DstType: firewall.Unicast}
	var err error
	if p.From, err = endpoint(in.From); err != nil {
		return nil, err
	}
	if p.To, err = endpoint(in.To); err != nil {
		return nil, err
	}
	source, dest := in.Packet.Source, in.Packet.Dest
	if source == "" {
		source = defaultSource
		if p.From.IsNode() {
			source = hostAddress
		}
	}
	if dest == "" {
		dest = defaultDest
		if p.To.IsNode() {
			dest = hostAddress
		}
	}
	if p.Src, err = netip.ParseAddr(source); err != nil {
		return nil, err
	}
	if p.Dst, err = netip.ParseAddr(dest); err != nil {
		return nil, err
	}
	switch in.Packet.DstType {
	case "MULTICAST":
		p.DstType = firewall.Multicast
	case "BROADCAST":
		p.DstType = firewall.Broadcast
	}
	return p, in.upper(p)
}

// upper fills in what the packet says above IP.
func (in *packetInput) upper(p *firewall.Packet) error {
	proto := in.Packet.Proto
	if proto == "" {
		proto = "tcp"
	}
	number, ok := firewall.Protocol(proto)
	if !ok {
		return fmt.Errorf("unknown protocol %q", proto)
	}
	p.Proto = number
	sport, dport := strings.Trim(string(in.Packet.Sport), `"`), strings.Trim(string(in.Packet.Dport), `"`)
	if proto == "icmp" || proto == "icmpv6" {
		p.ICMPType, p.ICMPCode, ok = firewall.ICMPType(proto, dport)
		if dport != "" && !ok {
			return fmt.Errorf("unknown ICMP type %q", dport)
		}
		return nil
	}
	for _, port := range []struct {
		dst  *uint16
		text string
	}{{&p.SrcPort, sport}, {&p.DstPort, dport}} {
		if port.text == "" {
			continue
		}
		n, err := strconv.ParseUint(port.text, 10, 16)
		if err != nil {
			return err
		}
		*port.dst = uint16(n)
	}
	return nil
}
