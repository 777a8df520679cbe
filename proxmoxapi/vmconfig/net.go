package vmconfig

import (
	"strings"
)

// Net is one netN: a network card.
type Net struct {
	Model      string    `pve:"model"`
	MAC        string    `pve:"macaddr"` // as written; "" only before one was generated
	Bridge     string    `pve:"bridge"`  // "" is QEMU's user networking (NAT)
	Tag        Opt[int]  `pve:"tag"`
	Trunks     Ranges    `pve:"trunks"`
	Firewall   Opt[bool] `pve:"firewall"`
	LinkDown   Opt[bool] `pve:"link_down"`
	MTU        Opt[int]  `pve:"mtu"` // 1 is the bridge's MTU
	Queues     Opt[int]  `pve:"queues"`
	Rate       Number    `pve:"rate"` // MB/s
	HostTunnel Opt[bool] `pve:"host-tunnel"`
}

// ParseNet reads a netN option, in both forms: virtio=MAC,… and model=virtio,macaddr=MAC,….
func ParseNet(value string) (Net, error) { return parseAs[Net]("@qemu.net", value) }

// String prints the option: MODEL=MAC first when there is a MAC.
func (n Net) String() string { return printAs("@qemu.net", &n) }

// IPConfig is one ipconfigN: the addresses cloud-init gives to netN.
type IPConfig struct {
	IP       string `pve:"ip"` // CIDR, dhcp or manual
	Gateway  string `pve:"gw"`
	IP6      string `pve:"ip6"` // CIDR, auto, dhcp or manual
	Gateway6 string `pve:"gw6"`
}

// ParseIPConfig reads an ipconfigN option.
func ParseIPConfig(value string) (IPConfig, error) {
	return parseAs[IPConfig]("pve-qm-ipconfig", value)
}

// String prints the option.
func (c IPConfig) String() string { return printAs("pve-qm-ipconfig", &c) }

// CICustom is the option cicustom: volumes whose content replaces generated cloud-init files.
type CICustom struct {
	User    string `pve:"user"`
	Network string `pve:"network"`
	Meta    string `pve:"meta"`
	Vendor  string `pve:"vendor"`
}

// ParseCICustom reads the option cicustom.
func ParseCICustom(value string) (CICustom, error) {
	return parseAs[CICustom]("pve-qm-cicustom", value)
}

// String prints the option.
func (c CICustom) String() string { return printAs("pve-qm-cicustom", &c) }

// Boot is the option boot.
type Boot struct {
	Order  List   `pve:"order"`  // device keys; not nil when the order was given, even an empty one
	Legacy string `pve:"legacy"` // letters of a, c, d, n of old configs
}

// ParseBoot reads the option boot. The blank value, which stands for "nothing to boot from", gives the zero Boot.
func ParseBoot(value string) (Boot, error) {
	if strings.TrimSpace(value) == "" {
		return Boot{}, nil
	}
	return parseAs[Boot]("pve-qm-boot", value)
}

// String prints the option.
func (b Boot) String() string { return printAs("pve-qm-boot", &b) }
