package firewall_test

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/turtacn/go-proxmox/netkit/firewall"
)

func Example() {
	cluster, _, _ := firewall.Parse("[OPTIONS]\nenable: 1\n", firewall.Cluster, nil)
	web, _, _ := firewall.Parse("[OPTIONS]\nenable: 1\n[RULES]\nIN HTTPS(ACCEPT)\n", firewall.Guest, &firewall.Scope{Cluster: cluster})
	w := &firewall.World{Cluster: cluster, Guests: []firewall.GuestConfig{{ID: 100, Config: web, NICs: []firewall.NIC{
		{Number: 0, MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, Bridge: "vmbr0", Firewall: true},
	}}}}
	p := &firewall.Packet{From: firewall.Outside("vmbr0"), To: firewall.GuestNIC(100, 0),
		Src: netip.MustParseAddr("203.0.113.5"), Dst: netip.MustParseAddr("192.0.2.10"), Proto: 6}
	for _, p.DstPort = range []uint16{443, 22} {
		fmt.Println(w.Verdict(p))
	}
	fmt.Println(len(w.Compile().Tables), "tables")
	// Output:
	// ACCEPT: guest 100 net0 in: guest rule 0
	// DROP: guest 100 net0 in: policy DROP
	// 2 tables
}
