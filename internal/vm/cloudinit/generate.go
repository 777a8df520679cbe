package cloudinit

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

// Kind is the option citype: the kind of medium.
type Kind string

// The kinds of media.
const (
	NoCloud      Kind = "nocloud"
	ConfigDrive2 Kind = "configdrive2"
	OpenNebula   Kind = "opennebula"
)

// KindOf returns the kind of medium of a VM: citype, else configdrive2 for Windows and nocloud for everything else.
func KindOf(main vmconfig.Section) Kind {
	if kind, ok := main["citype"]; ok {
		return Kind(kind)
	}
	if vmconfig.WindowsVersion(main["ostype"]) > 0 {
		return ConfigDrive2
	}
	return NoCloud
}

// Label returns the volume label by which guests find the medium.
func (k Kind) Label() string {
	switch k {
	case ConfigDrive2:
		return "config-2"
	case OpenNebula:
		return "CONTEXT"
	}
	return "cidata"
}

// DNS are resolver settings.
type DNS struct {
	Servers []string
	Search  []string
}

// Snippets are the contents of the option cicustom's files, nil where a file is generated. See CheckSnippets.
type Snippets struct {
	User, Network, Meta, Vendor []byte
}

// MaxSnippetBytes and MaxSnippetsBytes bound one snippet and all of a VM.
const (
	MaxSnippetBytes  = 1 << 20
	MaxSnippetsBytes = 3 << 20
)

// Check refuses snippets that are too big for the medium.
func (s Snippets) Check() error {
	if len(s.User)+len(s.Network)+len(s.Meta)+len(s.Vendor) > MaxSnippetsBytes {
		return fmt.Errorf("Cloud-Init sum of snippets too big (> 3 MiB)") //nolint:staticcheck // the public text
	}
	return nil
}

// Options are what Generate needs besides the configuration.
type Options struct {
	VMID     int
	HostDNS  DNS      // stands in for nameserver and searchdomain where they are unset
	Snippets Snippets // ignored for opennebula
}

// File is one file of a medium; Path has no leading slash.
type File struct {
	Path string
	Data []byte
}

// Medium is the content of a cloud-init medium.
type Medium struct {
	Label string
	Files []File
}

// Generate returns the medium for the main section of a configuration.
func Generate(main vmconfig.Section, o Options) (Medium, error) {
	if err := o.Snippets.Check(); err != nil {
		return Medium{}, err
	}
	g, err := newGuest(main, o)
	if err != nil {
		return Medium{}, err
	}
	kind := KindOf(main)
	medium := Medium{Label: kind.Label()}
	add := func(path string, data []byte) { medium.Files = append(medium.Files, File{path, data}) }
	if kind == OpenNebula {
		add("context.sh", []byte(g.contextScript()))
		return medium, nil
	}
	user := either(o.Snippets.User, g.userData)
	network := either(o.Snippets.Network, func() string { return g.network(kind) })
	meta := either(o.Snippets.Meta, func() string { return g.metaData(kind, string(user)+string(network)) })
	vendor := either(o.Snippets.Vendor, func() string { return "" })
	if kind == ConfigDrive2 {
		add("openstack/latest/user_data", user)
		add("openstack/content/0000", network)
		add("openstack/latest/meta_data.json", meta)
		add("openstack/latest/vendor_data.json", vendor)
		return medium, nil
	}
	add("user-data", user)
	add("network-config", network)
	add("meta-data", meta)
	add("vendor-data", vendor)
	return medium, nil
}

func either(snippet []byte, generate func() string) []byte {
	if snippet != nil {
		return snippet
	}
	return []byte(generate())
}

// Dump returns one generated file as GET …/cloudinit/dump shows it: part is user, network or meta; snippets are not
// looked at, and opennebula has the texts of configdrive2. maskPassword hides cipassword.
func Dump(main vmconfig.Section, o Options, part string, maskPassword bool) (string, error) {
	if maskPassword && main.Has("cipassword") {
		main = main.Clone()
		main["cipassword"] = "**********"
	}
	g, err := newGuest(main, o)
	if err != nil {
		return "", err
	}
	kind := KindOf(main)
	if kind != NoCloud {
		kind = ConfigDrive2
	}
	switch part {
	case "user":
		return g.userData(), nil
	case "network":
		return g.network(kind), nil
	case "meta":
		return g.metaData(kind, g.userData()+g.network(kind)), nil
	}
	return "", fmt.Errorf("no such part: %q", part)
}

func (g *guest) network(kind Kind) string {
	if kind == ConfigDrive2 {
		return g.networkENI()
	}
	return g.networkConfig()
}

func (g *guest) metaData(kind Kind, seed string) string {
	sum := sha1.Sum([]byte(seed))
	id := hex.EncodeToString(sum[:])
	if kind == ConfigDrive2 {
		return g.metaDataJSON(id)
	}
	return "instance-id: " + id + "\n"
}

// userData is the cloud-config of the guest.
func (g *guest) userData() string {
	var b strings.Builder
	b.WriteString("#cloud-config\n")
	fmt.Fprintf(&b, "hostname: %s\n", scalar(g.hostname))
	b.WriteString("manage_etc_hosts: true\n")
	fmt.Fprintf(&b, "fqdn: %s\n", scalar(g.fqdn))
	user, hasUser := g.main["ciuser"]
	if hasUser {
		fmt.Fprintf(&b, "user: %s\n", scalar(user))
		if user == "root" {
			b.WriteString("disable_root: False\n")
		}
	}
	if password, ok := g.main["cipassword"]; ok {
		fmt.Fprintf(&b, "password: %s\n", scalar(password))
	}
	if g.main.Has("sshkeys") {
		b.WriteString("ssh_authorized_keys:\n")
		for _, key := range g.sshKeys {
			fmt.Fprintf(&b, "  - %s\n", scalar(key))
		}
	}
	b.WriteString("chpasswd:\n  expire: False\n")
	if user != "root" {
		b.WriteString("users:\n  - default\n")
	}
	if g.main.Bool("ciupgrade", true) {
		b.WriteString("package_upgrade: true\n")
	}
	return b.String()
}
