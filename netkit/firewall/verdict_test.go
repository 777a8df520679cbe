package firewall

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// office is a node with a web server, guest 10, and a container, 20, whose second NIC is not filtered.
func office(t testing.TB, cluster, host, web, ct string) *World {
	c := mustParse(t, "[OPTIONS]\nenable: 1\n"+cluster, Cluster, nil)
	s := &Scope{Cluster: c}
	return &World{
		Cluster: c, Host: mustParse(t, host, Host, s), Now: time.Unix(1000, 0),
		Node: Node{Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}, LocalNetwork: netip.MustParsePrefix("192.0.2.0/24")},
		Guests: []GuestConfig{
			{ID: 10, Config: mustParse(t, "[OPTIONS]\nenable: 1\n"+web, Guest, s), NICs: []NIC{
				{Number: 0, MAC: net.HardwareAddr{2, 0, 0, 0, 0, 0x10}, Bridge: "br0", Firewall: true}}},
			{ID: 20, Container: true, Config: mustParse(t, "[OPTIONS]\nenable: 1\n"+ct, Guest, s), NICs: []NIC{
				{Number: 0, MAC: net.HardwareAddr{2, 0, 0, 0, 0, 0x20}, Bridge: "br0", Firewall: true, Addrs: []netip.Addr{addr("192.0.2.20")}},
				{Number: 1, MAC: net.HardwareAddr{2, 0, 0, 0, 0, 0x21}, Bridge: "br0"}}},
		},
	}
}

func tcp(from, to Endpoint, src, dst string, port uint16) *Packet {
	return &Packet{From: from, To: to, Src: addr(src), Dst: addr(dst), Proto: protoTCP, SrcPort: 40000, DstPort: port}
}

// verdicts checks packets in order, by both readings of the configuration.
func verdicts(t *testing.T, w *World, p *Packet, want string) {
	t.Helper()
	d := w.Verdict(p)
	require.Equal(t, want, d.String())
	require.Equal(t, expected(w, d, p), (&machine{rs: w.Compile(), w: w, p: p}).verdict(), "of the ruleset")
}

func TestVerdictsOfGuests(t *testing.T) {
	out, web, ct, plain := Outside("br0"), GuestNIC(10, 0), GuestNIC(20, 0), GuestNIC(20, 1)
	w := office(t, "[ALIASES]\nadmin 198.51.100.7\n[group web]\nIN ACCEPT -p tcp -dport http,443\n[group closed]\nIN REJECT -source 203.0.113.0/24\n",
		"", "[RULES]\nIN DROP -source +ban\nGROUP closed\nGROUP web -i net0\nIN SSH(ACCEPT) -source dc/admin\nOUT DROP -dest 10.0.0.0/8\n[IPSET ban]\n198.51.100.0/24\n!198.51.100.7\n",
		"ipfilter: 1\npolicy_in: ACCEPT\n")
	verdicts(t, w, tcp(out, web, "203.0.113.9", "192.0.2.10", 80), "REJECT: guest 10 net0 in: guest rule 1, group closed rule 0")
	verdicts(t, w, tcp(out, web, "198.18.0.1", "192.0.2.10", 443), "ACCEPT: guest 10 net0 in: guest rule 2, group web rule 0")
	verdicts(t, w, tcp(out, web, "198.51.100.8", "192.0.2.10", 443), "DROP: guest 10 net0 in: guest rule 0")
	verdicts(t, w, tcp(out, web, "198.51.100.7", "192.0.2.10", 22), "ACCEPT: guest 10 net0 in: guest rule 3")
	verdicts(t, w, tcp(out, web, "198.18.0.1", "192.0.2.10", 22), "DROP: guest 10 net0 in: policy DROP")
	verdicts(t, w, tcp(out, web, "198.18.0.1", "192.0.2.10", 445), "DROP: guest 10 net0 in: noise: SMB")
	verdicts(t, w, tcp(web, out, "192.0.2.10", "10.1.1.1", 80), "DROP: guest 10 net0 out: guest rule 4")
	verdicts(t, w, tcp(web, out, "192.0.2.10", "8.8.8.8", 80), "ACCEPT: forward: forwarded")
	verdicts(t, w, tcp(ct, out, "192.0.2.20", "8.8.8.8", 80), "ACCEPT: forward: forwarded")
	verdicts(t, w, tcp(ct, out, "192.0.2.21", "8.8.8.8", 80), "DROP: guest 20 net0 out: ipfilter")
	verdicts(t, w, tcp(plain, out, "192.0.2.99", "10.1.1.1", 80), "ACCEPT: forward: forwarded")
	verdicts(t, w, tcp(ct, web, "192.0.2.20", "192.0.2.10", 80), "ACCEPT: guest 10 net0 in: guest rule 2, group web rule 0")
	w.Guests[0].Config.Options["enable"] = "0"
	verdicts(t, w, tcp(out, web, "198.51.100.8", "192.0.2.10", 22), "ACCEPT: forward: forwarded")
}

// TestThreat48_SpoofedFrames: a guest speaks with its own addresses alone, and is no router.
func TestThreat48_SpoofedFrames(t *testing.T) {
	w := office(t, "", "", "ipfilter: 1\n[IPSET ipfilter-net0]\n192.0.2.10\n", "")
	web, out := GuestNIC(10, 0), Outside("br0")
	p := tcp(web, out, "192.0.2.10", "8.8.8.8", 80)
	verdicts(t, w, p, "ACCEPT: forward: forwarded")
	p.SrcMAC = net.HardwareAddr{2, 0, 0, 0, 0, 0x20}
	verdicts(t, w, p, "DROP: guest 10 net0 out: macfilter")
	arp := &Packet{From: web, To: out, EtherType: EtherARP, ARPSender: addr("192.0.2.10")}
	verdicts(t, w, arp, "ACCEPT: guest 10 net0 out: layer 2")
	arp.ARPSender = addr("192.0.2.20")
	verdicts(t, w, arp, "DROP: guest 10 net0 out: ipfilter")
	ra := &Packet{From: web, To: out, Src: addr("fe80::ff:fe00:10"), Dst: addr("ff02::1"), Proto: protoICMP6, ICMPType: routerAdvertisement}
	verdicts(t, w, ra, "DROP: guest 10 net0 out: radv")
	ra.ICMPType = neighborSolicitation
	verdicts(t, w, ra, "ACCEPT: forward: forwarded")
	ra.Src = addr("fe80::1")
	verdicts(t, w, ra, "DROP: guest 10 net0 out: ipfilter")
	dhcp := &Packet{From: web, To: out, Src: addr("0.0.0.0"), Dst: addr("255.255.255.255"), Proto: protoUDP, SrcPort: 68, DstPort: 67}
	verdicts(t, w, dhcp, "ACCEPT: forward: forwarded")
	dhcp.SrcPort, dhcp.DstPort = 67, 68 // it is no server
	verdicts(t, w, dhcp, "DROP: guest 10 net0 out: ipfilter")
	w.Guests[0].Config.Options["layer2_protocols"] = "ARP"
	verdicts(t, w, &Packet{From: web, To: out, EtherType: 0x88cc}, "DROP: guest 10 net0 out: layer2_protocols")
}

func TestVerdictsOfTheNode(t *testing.T) {
	w := office(t, "policy_out: REJECT\n[IPSET management]\n198.51.100.0/28\n[IPSET blacklist]\n198.51.100.3\n[RULES]\nIN DROP -p tcp -dport 3128\nOUT ACCEPT -p udp -dport 53 -i br0\n",
		"[OPTIONS]\ntcpflags: 1\n[RULES]\nIN ACCEPT -p icmp -icmp-type echo-request\n", "", "")
	out, node := Outside("br0"), Endpoint{}
	w.Node.Corosync = Corosync{Links: []CorosyncLink{{Own: addr("192.0.2.1"), Peer: addr("192.0.2.2")}}}
	verdicts(t, w, tcp(out, node, "198.51.100.1", "192.0.2.1", 8006), "ACCEPT: host in: management")
	verdicts(t, w, tcp(out, node, "192.0.2.77", "192.0.2.1", 60050), "ACCEPT: host in: management")
	verdicts(t, w, tcp(out, node, "198.51.100.1", "192.0.2.1", 3128), "DROP: host in: cluster rule 0")
	verdicts(t, w, tcp(out, node, "198.51.100.3", "192.0.2.1", 8006), "DROP: host in: blacklist")
	verdicts(t, w, tcp(out, node, "224.0.0.9", "192.0.2.1", 8006), "DROP: host in: smurfs")
	verdicts(t, w, tcp(out, node, "198.51.100.99", "192.0.2.1", 8006), "DROP: host in: policy DROP")
	verdicts(t, w, tcp(node, out, "192.0.2.1", "192.0.2.9", 22), "ACCEPT: host out: local network")
	verdicts(t, w, tcp(node, out, "192.0.2.1", "8.8.8.8", 22), "REJECT: host out: policy REJECT")
	verdicts(t, w, &Packet{From: node, To: out, Src: addr("192.0.2.1"), Dst: addr("8.8.8.8"), Proto: protoUDP, SrcPort: 9999, DstPort: 53}, "ACCEPT: host out: cluster rule 1")
	verdicts(t, w, &Packet{From: out, To: node, Src: addr("192.0.2.2"), Dst: addr("192.0.2.1"), Proto: protoUDP, SrcPort: 1, DstPort: 5405}, "ACCEPT: host in: corosync")
	verdicts(t, w, &Packet{From: out, To: node, Src: addr("192.0.2.3"), Dst: addr("192.0.2.1"), Proto: protoUDP, SrcPort: 1, DstPort: 5405}, "DROP: host in: policy DROP")
	verdicts(t, w, &Packet{From: out, To: node, Src: addr("8.8.8.8"), Dst: addr("192.0.2.1"), Proto: protoICMP, ICMPType: 8}, "ACCEPT: host in: host rule 0")
	p := tcp(out, node, "192.0.2.77", "192.0.2.1", 22)
	p.Flags = SYN | FIN
	verdicts(t, w, p, "DROP: host in: tcpflags")
	p.Flags, p.State = ACK, Established
	verdicts(t, w, p, "ACCEPT: host in: known connection")
	p.State = Invalid
	verdicts(t, w, p, "DROP: host in: invalid connection state")
	p.Interface = "lo"
	verdicts(t, w, p, "ACCEPT: host in: not filtered")
	w.Host.Options["enable"] = "0"
	verdicts(t, w, tcp(out, node, "198.51.100.99", "192.0.2.1", 8006), "ACCEPT: nothing filters this packet")
}

func TestTrialEnds(t *testing.T) {
	w := office(t, "", "", "", "")
	p := tcp(Outside("br0"), Endpoint{}, "8.8.8.8", "192.0.2.1", 22)
	w.Cluster.Options["enable"] = "990"
	require.Equal(t, Drop, w.Verdict(p).Action)
	require.Equal(t, time.Unix(1050, 0), w.Expires())
	w.Now = time.Unix(1050, 0)
	require.Equal(t, Accept, w.Verdict(p).Action)
	require.Empty(t, w.Compile().Tables)
	require.True(t, w.Expires().IsZero())
}

func TestPortsOfRules(t *testing.T) {
	w := office(t, "", "", "[RULES]\nIN ACCEPT -p tcp -dport 1000:1010,https -sport 40000\nIN DROP -p udp -dport 0\nIN ACCEPT -p icmp -dport 0\nIN ACCEPT -p icmp -icmp-type host-unreachable\n", "")
	in := func(p *Packet) *Packet {
		p.From, p.To, p.Src, p.Dst = Outside("br0"), GuestNIC(10, 0), addr("8.8.8.8"), addr("192.0.2.10")
		return p
	}
	verdicts(t, w, in(&Packet{Proto: protoTCP, SrcPort: 40000, DstPort: 1005}), "ACCEPT: guest 10 net0 in: guest rule 0")
	verdicts(t, w, in(&Packet{Proto: protoTCP, SrcPort: 40000, DstPort: 443}), "ACCEPT: guest 10 net0 in: guest rule 0")
	verdicts(t, w, in(&Packet{Proto: protoTCP, SrcPort: 40001, DstPort: 443}), "DROP: guest 10 net0 in: policy DROP")
	verdicts(t, w, in(&Packet{Proto: protoUDP, SrcPort: 40001, DstPort: 7}), "DROP: guest 10 net0 in: guest rule 1")
	verdicts(t, w, in(&Packet{Proto: protoICMP, ICMPType: 0}), "ACCEPT: guest 10 net0 in: guest rule 2")
	verdicts(t, w, in(&Packet{Proto: protoICMP, ICMPType: 3, ICMPCode: 1}), "ACCEPT: guest 10 net0 in: guest rule 3")
	verdicts(t, w, in(&Packet{Proto: protoICMP, ICMPType: 3, ICMPCode: 2}), "DROP: guest 10 net0 in: policy DROP")
}

func TestWarnings(t *testing.T) {
	w := office(t, "[RULES]\nGROUP nope\n", "", "[RULES]\nIN ACCEPT -source +dc/own\n[IPSET own]\n10.0.0.1\n", "")
	require.Equal(t, []string{"cluster rule 0: no such security group 'nope'", "guest 10 rule 0: no such ipset 'dc/own'"}, w.Compile().Warnings)
}

func TestLogPrefixes(t *testing.T) {
	w := office(t, "log_ratelimit: 1,rate=2/minute,burst=3\n[group gg]\nIN DROP -log crit\n", "[OPTIONS]\nlog_level_in: info\n", "log_level_in: err\n[RULES]\nIN ACCEPT -p tcp -dport 1 -log debug\nGROUP gg\n", "")
	text := w.Compile().String()
	for _, want := range []string{
		`limit rate 2/minute burst 3 packets log prefix ":10:7:tap10i0-IN: ACCEPT: " group 0`,
		`log prefix ":10:3:tap10i0-IN: policy DROP: " group 0`, `log prefix ":0:6:PVEFW-HOST-IN: policy DROP: " group 0`, `log prefix ":0:2:GROUP-gg-IN: " group 0`,
	} {
		require.Contains(t, text, want)
	}
	w.Cluster.Options["log_ratelimit"] = "enable=0"
	require.NotContains(t, w.Compile().String(), "limit rate")
	require.False(t, strings.Contains(text, "tap20"))
}
