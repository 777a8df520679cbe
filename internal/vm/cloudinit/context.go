package cloudinit

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// contextScript is OpenNebula's context: shell assignments.
func (g *guest) contextScript() string {
	var b strings.Builder
	set := func(key, value string) { fmt.Fprintf(&b, "%s=%s\n", key, shellWord(value)) }
	set("USERNAME", g.main.Text("ciuser", "root"))
	if password, ok := g.main["cipassword"]; ok {
		set("CRYPTED_PASSWORD_BASE64", base64.StdEncoding.EncodeToString([]byte(password)))
	}
	if len(g.sshKeys) > 0 {
		fmt.Fprintf(&b, "SSH_PUBLIC_KEY=%s\n", shellQuoted(strings.Join(g.sshKeys, "\n")))
	}
	set("SET_HOSTNAME", g.hostname)
	fmt.Fprintf(&b, "DNS=%s\n", shellQuoted(strings.Join(g.dns.Servers, " ")))
	fmt.Fprintf(&b, "SEARCH_DOMAIN=%s\n", shellQuoted(strings.Join(g.dns.Search, " ")))
	for _, n := range g.nics {
		name := strings.ToUpper(n.name)
		switch n.ip4.mode {
		case "dhcp":
			set(name+"_DHCP", "YES")
		case "static":
			set(name+"_IP", n.ip4.prefix.Addr().String())
			set(name+"_MASK", n.ip4.netmask())
			set(name+"_MAC", "") // the context scripts find the card by its number
			setIf(set, name+"_GATEWAY", n.ip4.gateway)
		}
		if n.mtu > 0 {
			set(name+"_MTU", strconv.Itoa(n.mtu))
		}
		switch n.ip6.mode {
		case "dhcp":
			set(name+"_DHCP6", "YES")
		case "auto":
			set(name+"_AUTO6", "YES")
		case "static":
			set(name+"_IP6", n.ip6.prefix.Addr().String())
			set(name+"_MASK6", strconv.Itoa(n.ip6.prefix.Bits()))
			set(name+"_MAC6", "")
			setIf(set, name+"_GATEWAY6", n.ip6.gateway)
		}
	}
	set("NETWORK", "YES")
	return b.String()
}

func setIf(set func(key, value string), key, value string) {
	if value != "" {
		set(key, value)
	}
}
