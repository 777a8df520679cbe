package cloudinit

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// networkConfig is version 1 of cloud-init's network configuration.
func (g *guest) networkConfig() string {
	var b strings.Builder
	b.WriteString("version: 1\nconfig:\n")
	for _, n := range g.nics {
		b.WriteString("    - type: physical\n")
		fmt.Fprintf(&b, "      name: %s\n", n.name)
		fmt.Fprintf(&b, "      mac_address: %s\n", quoted(n.mac))
		b.WriteString("      subnets:\n")
		switch n.ip4.mode {
		case "dhcp":
			b.WriteString("      - type: dhcp4\n")
		case "static":
			b.WriteString("      - type: static\n")
			fmt.Fprintf(&b, "        address: %s\n", quoted(n.ip4.prefix.Addr().String()))
			fmt.Fprintf(&b, "        netmask: %s\n", quoted(n.ip4.netmask()))
			writeGateway(&b, n.ip4.gateway)
		}
		switch n.ip6.mode {
		case "dhcp":
			b.WriteString("      - type: dhcp6\n")
		case "auto":
			b.WriteString("      - type: ipv6_slaac\n")
		case "static":
			b.WriteString("      - type: static6\n")
			fmt.Fprintf(&b, "        address: %s\n", quoted(g.cidr6(n)))
			writeGateway(&b, n.ip6.gateway)
		}
	}
	b.WriteString("    - type: nameserver\n")
	writeList(&b, "address", g.dns.Servers)
	writeList(&b, "search", g.dns.Search)
	return b.String()
}

// cidr6 is the address as it was written: textual forms of IPv6 differ, and the guest's file should not.
func (g *guest) cidr6(n nic) string {
	value := g.main["ipconfig"+strings.TrimPrefix(n.name, "eth")]
	for part := range strings.SplitSeq(value, ",") {
		if text, ok := strings.CutPrefix(part, "ip6="); ok {
			return text
		}
	}
	return n.ip6.prefix.String()
}

func writeGateway(b *strings.Builder, gateway string) {
	if gateway != "" {
		fmt.Fprintf(b, "        gateway: %s\n", quoted(gateway))
	}
}

func writeList(b *strings.Builder, key string, values []string) {
	if len(values) == 0 {
		return
	}
	fmt.Fprintf(b, "      %s:\n", key)
	for _, value := range values {
		fmt.Fprintf(b, "      - %s\n", quoted(value))
	}
}

// networkENI is the network configuration in the form of Debian's interfaces file.
func (g *guest) networkENI() string {
	var b strings.Builder
	if !g.windows { // cloudbase-init knows no loopback, and takes name servers only from the blocks
		b.WriteString("auto lo\niface lo inet loopback\n\n")
		if len(g.dns.Servers) > 0 {
			fmt.Fprintf(&b, "        dns_nameservers %s\n", words(g.dns.Servers))
		}
		if len(g.dns.Search) > 0 {
			fmt.Fprintf(&b, "        dns_search %s\n", words(g.dns.Search))
		}
	}
	for _, n := range g.nics {
		fmt.Fprintf(&b, "auto %s\n", n.name)
		g.writeBlock(&b, n.name, "inet", n.ip4)
		g.writeBlock(&b, n.name, "inet6", n.ip6)
	}
	return b.String()
}

func (g *guest) writeBlock(b *strings.Builder, name, family string, a address) {
	if a.mode == "" {
		return
	}
	fmt.Fprintf(b, "iface %s %s %s\n", name, family, a.mode)
	if a.mode != "static" {
		return
	}
	mask := strconv.Itoa(a.prefix.Bits())
	if family == "inet" {
		mask = a.netmask()
	}
	fmt.Fprintf(b, "        address %s\n", a.prefix.Addr())
	fmt.Fprintf(b, "        netmask %s\n", mask)
	if a.gateway != "" {
		fmt.Fprintf(b, "        gateway %s\n", word(a.gateway))
	}
	if g.windows && len(g.dns.Servers) > 0 {
		fmt.Fprintf(b, "        dns-nameservers %s\n", words(g.dns.Servers))
	}
}

func words(values []string) string {
	out := make([]string, len(values))
	for i, value := range values {
		out[i] = word(value)
	}
	return strings.Join(out, " ")
}

// metaDataJSON is OpenStack's meta data. Windows guests also get password and keys there.
func (g *guest) metaDataJSON(id string) string {
	meta := map[string]any{
		"uuid":           id,
		"network_config": map[string]string{"content_path": "/content/0000"},
	}
	if g.windows {
		if password, ok := g.main["cipassword"]; ok {
			meta["admin_pass"] = password
		}
		if len(g.sshKeys) > 0 {
			keys := make(map[string]string)
			for i, key := range g.sshKeys {
				keys["key-"+strconv.Itoa(i)] = key
			}
			meta["public_keys"] = keys
		}
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	_ = enc.Encode(meta) // strings and maps of strings cannot fail
	return b.String()
}
