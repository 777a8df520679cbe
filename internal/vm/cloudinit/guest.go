package cloudinit

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

// guest is the configuration read for generation.
type guest struct {
	main     vmconfig.Section
	hostname string // up to the first dot
	fqdn     string
	dns      DNS
	sshKeys  []string
	windows  bool
	nics     []nic
}

// nic is a netN that has an ipconfigN.
type nic struct {
	name string // ethN
	mac  string // lower case
	mtu  int    // 0: not set
	ip4  address
	ip6  address
}

// address is one family's half of an ipconfigN.
type address struct {
	mode    string       // "" nothing, "static", or the word: dhcp, auto, manual
	prefix  netip.Prefix // of static
	gateway string
}

func newGuest(main vmconfig.Section, o Options) (*guest, error) {
	g := &guest{main: main, dns: o.HostDNS, windows: vmconfig.WindowsVersion(main["ostype"]) > 0}
	name := main.Text("name", fmt.Sprintf("VM%d", o.VMID))
	g.fqdn = name
	var dotted bool
	g.hostname, _, dotted = strings.Cut(name, ".")
	if domain := main["searchdomain"]; !dotted && domain != "" {
		g.fqdn = name + "." + domain
	}
	if servers, ok := main["nameserver"]; ok {
		g.dns.Servers = vmconfig.SplitList(servers)
	}
	if search, ok := main["searchdomain"]; ok {
		g.dns.Search = strings.Fields(search)
	}
	g.sshKeys = vmconfig.DecodeSSHKeys(main["sshkeys"])
	var err error
	g.nics, err = readNICs(main)
	return g, err
}

// readNICs goes through netN in text order of the keys, so that net10 comes before net2.
func readNICs(main vmconfig.Section) ([]nic, error) {
	var nics []nic
	for _, key := range main.Keys() {
		if !vmconfig.IsNet(key) {
			continue
		}
		_, index := vmconfig.SplitKey(key)
		ipKey := fmt.Sprintf("ipconfig%d", index)
		value, ok := main[ipKey]
		if !ok {
			continue
		}
		net, err := vmconfig.ParseNet(main[key])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		ip, err := vmconfig.ParseIPConfig(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", ipKey, err)
		}
		n := nic{name: fmt.Sprintf("eth%d", index), mac: strings.ToLower(net.MAC), mtu: net.MTU.Or(0)}
		if n.ip4, err = readAddress(ip.IP, ip.Gateway); err != nil {
			return nil, fmt.Errorf("%s: %w", ipKey, err)
		}
		if n.ip6, err = readAddress(ip.IP6, ip.Gateway6); err != nil {
			return nil, fmt.Errorf("%s: %w", ipKey, err)
		}
		nics = append(nics, n)
	}
	return nics, nil
}

func readAddress(value, gateway string) (address, error) {
	if value == "" || slices.Contains([]string{"dhcp", "auto", "manual"}, value) {
		return address{mode: value}, nil
	}
	prefix, err := netip.ParsePrefix(value)
	if err != nil {
		return address{}, err
	}
	return address{mode: "static", prefix: prefix, gateway: gateway}, nil
}

// netmask returns the dotted netmask of an IPv4 prefix.
func (a address) netmask() string {
	bits := ^uint32(0) << (32 - a.prefix.Bits())
	if a.prefix.Bits() == 0 {
		bits = 0
	}
	return fmt.Sprintf("%d.%d.%d.%d", bits>>24, bits>>16&255, bits>>8&255, bits&255)
}
