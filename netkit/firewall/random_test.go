package firewall

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// random makes configurations and packets out of a small universe, so that they meet often.
type random struct{ *rand.Rand }

func newRandom(seed uint64) random { return random{rand.New(rand.NewPCG(seed, 1))} }

func (r random) pick(list ...string) string { return list[r.IntN(len(list))] }
func (r random) chance(percent int) bool    { return r.IntN(100) < percent }

func (r random) addr4() string {
	return r.pick("10.1.0.1", "10.1.0.2", "10.1.0.77", "10.1.1.1", "10.2.0.1", "192.0.2.7", "192.0.2.255", "198.51.100.9")
}

func (r random) addr6() string {
	return r.pick("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "2001:db8:1::9", "fe80::11:22ff:fe33:4401", "fe80::1")
}

func (r random) address() string {
	switch r.IntN(12) {
	case 0:
		return "10.1.0.0/16"
	case 1:
		return "10.1.0.0/24"
	case 2:
		return r.addr4() + "," + r.addr4()
	case 3:
		return "10.1.0.1-10.1.0.90"
	case 4:
		return "2001:db8::/32"
	case 5:
		return r.addr6()
	case 6:
		return r.pick("+dcset", "+dc/dcset", "+guest/own", "+own", "+sdn/lan-all", "+nosuch")
	case 7:
		return r.pick("dchost", "dc/dchost", "home", "guest/home", "dcnet", "dc/six")
	}
	return r.addr4()
}

func (r random) ports() string {
	return r.pick("22", "80", "443", "80,443", "20:25", "1:1023", "ssh,8000:8010", "0", "43", "137:139,445", "65535", "1024:65535")
}

func (r random) rule(types ...string) string {
	var b strings.Builder
	if r.chance(8) {
		b.WriteByte('|')
	}
	kind := r.pick(types...)
	b.WriteString(kind)
	if kind == "GROUP" {
		b.WriteString(" " + r.pick("one", "two", "none"))
		if r.chance(20) {
			b.WriteString(" -i " + r.pick("net0", "net1", "vmbr0", "vmbr1"))
		}
		return b.String()
	}
	action := r.pick("ACCEPT", "DROP", "REJECT", "ACCEPT", "DROP")
	if r.chance(12) {
		action = r.pick("DNS", "Ping", "Web", "SMB", "Trcrt", "NeighborDiscovery", "DHCPv6", "GRE", "ssh") + "(" + action + ")"
	}
	b.WriteString(" " + action)
	if r.chance(15) {
		b.WriteString(" -i " + r.pick("net0", "net1", "vmbr0", "vmbr1"))
	}
	if r.chance(40) {
		b.WriteString(" -source " + r.address())
	}
	if r.chance(25) {
		b.WriteString(" -dest " + r.address())
	}
	switch r.IntN(8) {
	case 0, 1, 2, 3:
		b.WriteString(" -p " + r.pick("tcp", "tcp", "udp", "6", "sctp"))
		if r.chance(80) {
			b.WriteString(" -dport " + r.ports())
		}
		if r.chance(15) {
			b.WriteString(" -sport " + r.ports())
		}
	case 4:
		b.WriteString(" -p icmp" + r.pick("", " -dport 8", " -icmp-type echo-request", " -icmp-type host-unreachable", " -dport 0", " -icmp-type any"))
	case 5:
		b.WriteString(" -p icmpv6" + r.pick("", " -dport echo-request", " -icmp-type no-route"))
	case 6:
		b.WriteString(" -p " + r.pick("gre", "igmp", "esp", "ip"))
	}
	if r.chance(10) {
		b.WriteString(" -log " + r.pick("info", "nolog", "emerg"))
	}
	return b.String()
}

func (r random) rules(n int, types ...string) string {
	var b strings.Builder
	for range r.IntN(n + 1) {
		b.WriteString(r.rule(types...) + "\n")
	}
	return b.String()
}

func (r random) set() string {
	var b strings.Builder
	for range r.IntN(6) {
		b.WriteString(r.pick("", "", "!") + r.pick("10.1.0.0/16", "10.1.0.0/24", r.addr4(), r.addr6(), "2001:db8::/32", "10.1.0.64/26", "dchost", "home", "10.0.0.0/8") + "\n")
	}
	return b.String()
}

func (r random) options(pairs ...string) string {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		if r.chance(35) {
			values := strings.Split(pairs[i+1], "|")
			b.WriteString(pairs[i] + ": " + r.pick(values...) + "\n")
		}
	}
	return b.String()
}

func mustParse(t testing.TB, text string, l Level, s *Scope) *Config {
	c, _, err := Parse(text, l, s)
	require.NoError(t, err)
	return c
}

func (r random) world(t testing.TB) *World {
	policies := "ACCEPT|DROP|REJECT"
	cluster := mustParse(t, "[OPTIONS]\nenable: 1\n"+r.options("policy_in", policies, "policy_out", policies, "ebtables", "0|1", "log_ratelimit", "enable=0|enable=1,rate=3/minute")+
		"[ALIASES]\ndchost 10.1.0.1\ndcnet 10.1.0.0/16\nsix 2001:db8::1\n"+
		"[IPSET dcset]\n"+r.set()+r.pick("", "[IPSET blacklist]\n"+r.set(), "[IPSET management]\n"+r.set())+
		"\n[RULES]\n"+r.rules(5, "IN", "OUT", "GROUP", "FORWARD")+
		"[group one]\n"+r.rules(4, "IN", "OUT")+"[group two]\n"+r.rules(4, "IN", "OUT"), Cluster, nil)
	scope := &Scope{Cluster: cluster, SDN: []*IPSet{{Name: "lan-all", Entries: []Entry{{CIDR: "10.1.0.0/24"}, {CIDR: "10.1.0.1", NoMatch: true}}}}}
	w := &World{Cluster: cluster, SDN: scope.SDN, Now: time.Unix(1, 0)}
	w.Host = mustParse(t, "[OPTIONS]\n"+r.options("enable", "0|1|1", "nosmurfs", "0|1", "tcpflags", "0|1", "ndp", "0|1", "nf_conntrack_allow_invalid", "0|1",
		"protection_synflood", "0|1", "log_level_in", "info", "nf_conntrack_helpers", "ftp,irc")+"[RULES]\n"+r.rules(6, "IN", "OUT", "GROUP"), Host, scope)
	w.Node = Node{
		Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.10/24")}, LocalNetwork: netip.MustParsePrefix("192.0.2.0/24"),
		Corosync: Corosync{Multicast: r.chance(50), Links: []CorosyncLink{{netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("192.0.2.7")},
			{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")}}},
	}
	for id := 100; id < 103; id++ {
		text := "[OPTIONS]\n" + r.options("enable", "0") + r.options("dhcp", "0|1", "ndp", "0|1", "macfilter", "0|1", "radv", "0|1", "ipfilter", "0|1",
			"ips", "0|1", "ips_queues", "1:3", "policy_in", policies, "policy_out", policies, "log_level_in", "err", "layer2_protocols", "ARP|ARP,IPX") +
			"[ALIASES]\nhome 10.1.0.2\n[IPSET own]\n" + r.set() + r.pick("", "[IPSET ipfilter-net0]\n"+r.set()) + "[RULES]\n" + r.rules([]int{9, 9, 9, 80}[r.IntN(4)], "IN", "OUT", "IN", "OUT", "IN", "OUT", "GROUP")
		if !strings.Contains(text, "enable: 0") {
			text = strings.Replace(text, "[OPTIONS]\n", "[OPTIONS]\nenable: 1\n", 1)
		}
		g := GuestConfig{ID: id, Container: id == 102, Config: mustParse(t, text, Guest, scope)}
		for n := range 2 {
			nic := NIC{Number: n, MAC: net.HardwareAddr{2, 0x11, 0x22, 0x33, 0x44, byte(id-100)*16 + byte(n)}, Bridge: fmt.Sprintf("vmbr%d", n), Firewall: r.chance(85)}
			if g.Container {
				nic.Addrs = []netip.Addr{netip.MustParseAddr("10.1.0.77")}
			}
			g.NICs = append(g.NICs, nic)
		}
		w.Guests = append(w.Guests, g)
	}
	return w
}

func (r random) endpoint() Endpoint {
	switch r.IntN(5) {
	case 0:
		return Endpoint{}
	case 1:
		return Outside(r.pick("vmbr0", "vmbr1"))
	}
	return GuestNIC(100+r.IntN(3), r.IntN(2))
}

func (r random) packet() *Packet {
	p := &Packet{From: r.endpoint(), To: r.endpoint()}
	for p.From == p.To {
		p.To = r.endpoint()
	}
	src, dst := r.addr4(), r.addr4()
	if r.chance(10) {
		dst = r.pick("224.0.0.5", "255.255.255.255", "192.0.2.255")
	}
	if r.chance(5) {
		src = r.pick("0.0.0.0", "224.1.1.1", "255.255.255.255")
	}
	protos := []uint8{protoTCP, protoTCP, protoUDP, protoICMP, protoIGMP, 47, 132}
	if r.chance(35) {
		src, dst = r.addr6(), r.addr6()
		if r.chance(10) {
			dst = "ff02::1"
		}
		protos[3] = protoICMP6
	}
	p.Src, p.Dst = netip.MustParseAddr(src), netip.MustParseAddr(dst)
	p.Proto = protos[r.IntN(len(protos))]
	ports := []uint16{22, 80, 443, 21, 8000, 8006, 43, 135, 137, 445, 1900, 53, 67, 68, 546, 547, 5404, 60010, 0, 65535, 3128, 33440}
	if p.ports() {
		p.SrcPort, p.DstPort = ports[r.IntN(len(ports))], ports[r.IntN(len(ports))]
	}
	if p.Proto == protoTCP && r.chance(20) {
		p.Flags = uint8(r.IntN(64))
		p.NoFlags = p.Flags == 0
	}
	if p.Proto == protoICMP || p.Proto == protoICMP6 {
		types := []uint8{0, 1, 2, 3, 8, 11, 128, 133, 134, 135, 136}
		p.ICMPType, p.ICMPCode = types[r.IntN(len(types))], uint8(r.IntN(5))
	}
	if r.chance(15) {
		p.State = ConnState(r.IntN(5))
	}
	if p.State == Untracked && (p.Proto == protoTCP || p.Proto == protoICMP && p.ICMPType == 3 || p.Proto == protoICMP6 && p.ICMPType == 1) {
		p.State = New // untracked, that would be an answer of the firewall itself
	}
	if r.chance(5) {
		p.SrcMAC = net.HardwareAddr{2, 9, 9, 9, 9, 9}
	}
	if r.chance(6) && !p.From.IsNode() && !p.To.IsNode() {
		p.EtherType, p.ARPSender = EtherARP, p.Src
		if !p.Src.Is4() {
			p.EtherType, p.ARPSender = 0x8137, netip.Addr{}
		}
		p.Src, p.Dst, p.Proto = netip.Addr{}, netip.Addr{}, 0
	}
	return p
}
