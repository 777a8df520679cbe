package cloudinit

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

func file(t *testing.T, m Medium, path string) string {
	t.Helper()
	for _, f := range m.Files {
		if f.Path == path {
			return string(f.Data)
		}
	}
	require.Failf(t, "missing file", "%s", path)
	return ""
}

func TestNoCloud(t *testing.T) {
	m, err := Generate(vmconfig.Section{
		"name":         "db7",
		"searchdomain": "corp.example",
		"nameserver":   "192.0.2.53 2001:db8::53",
		"ciuser":       "alice",
		"cipassword":   "$5$salt$hash",
		"sshkeys":      "ssh-ed25519%20QUJD%20alice%40laptop%0A%0Assh-rsa%20REVG%0A",
		"net0":         "virtio=BC:24:11:0A:0B:0C,bridge=vmbr0",
		"net1":         "virtio=BC:24:11:0A:0B:0D,bridge=vmbr1",
		"net2":         "virtio=BC:24:11:0A:0B:0E,bridge=vmbr1",
		"net10":        "virtio=BC:24:11:0A:0B:0F,bridge=vmbr1",
		"ipconfig0":    "ip=192.0.2.10/20,gw=192.0.2.1,ip6=2001:DB8::10/64,gw6=2001:db8::1",
		"ipconfig1":    "ip=dhcp,ip6=auto",
		"ipconfig10":   "ip6=dhcp",
	}, Options{VMID: 107, HostDNS: DNS{Servers: []string{"unused"}}})
	require.NoError(t, err)
	require.Equal(t, "cidata", m.Label)
	user := `#cloud-config
hostname: db7
manage_etc_hosts: true
fqdn: db7.corp.example
user: alice
password: $5$salt$hash
ssh_authorized_keys:
  - ssh-ed25519 QUJD alice@laptop
  - ssh-rsa REVG
chpasswd:
  expire: False
users:
  - default
package_upgrade: true
`
	network := `version: 1
config:
    - type: physical
      name: eth0
      mac_address: 'bc:24:11:0a:0b:0c'
      subnets:
      - type: static
        address: '192.0.2.10'
        netmask: '255.255.240.0'
        gateway: '192.0.2.1'
      - type: static6
        address: '2001:DB8::10/64'
        gateway: '2001:db8::1'
    - type: physical
      name: eth1
      mac_address: 'bc:24:11:0a:0b:0d'
      subnets:
      - type: dhcp4
      - type: ipv6_slaac
    - type: physical
      name: eth10
      mac_address: 'bc:24:11:0a:0b:0f'
      subnets:
      - type: dhcp6
    - type: nameserver
      address:
      - '192.0.2.53'
      - '2001:db8::53'
      search:
      - 'corp.example'
`
	sum := sha1.Sum([]byte(user + network))
	require.Equal(t, user, file(t, m, "user-data"))
	require.Equal(t, network, file(t, m, "network-config"))
	require.Equal(t, "instance-id: "+hex.EncodeToString(sum[:])+"\n", file(t, m, "meta-data"))
	require.Empty(t, file(t, m, "vendor-data"))
}

func TestDefaults(t *testing.T) {
	m, err := Generate(vmconfig.Section{"ciupgrade": "0", "ciuser": "root"}, Options{VMID: 42})
	require.NoError(t, err)
	require.Equal(t, `#cloud-config
hostname: VM42
manage_etc_hosts: true
fqdn: VM42
user: root
disable_root: False
chpasswd:
  expire: False
`, file(t, m, "user-data"))
	require.Equal(t, "version: 1\nconfig:\n    - type: nameserver\n", file(t, m, "network-config"))
}

func TestConfigDrive2(t *testing.T) {
	main := vmconfig.Section{
		"citype": "configdrive2", "name": "h.lan",
		"net0": "e1000=BC:24:11:0A:0B:0C", "ipconfig0": "ip=198.51.100.4/24,gw=198.51.100.1,ip6=2001:db8::4/48",
		"net1": "e1000=BC:24:11:0A:0B:0D", "ipconfig1": "ip=dhcp,ip6=auto",
	}
	o := Options{VMID: 1, HostDNS: DNS{Servers: []string{"198.51.100.53"}, Search: []string{"lan"}}}
	m, err := Generate(main, o)
	require.NoError(t, err)
	require.Equal(t, "config-2", m.Label)
	require.Equal(t, `auto lo
iface lo inet loopback

        dns_nameservers 198.51.100.53
        dns_search lan
auto eth0
iface eth0 inet static
        address 198.51.100.4
        netmask 255.255.255.0
        gateway 198.51.100.1
iface eth0 inet6 static
        address 2001:db8::4
        netmask 48
auto eth1
iface eth1 inet dhcp
iface eth1 inet6 auto
`, file(t, m, "openstack/content/0000"))
	require.Contains(t, file(t, m, "openstack/latest/user_data"), "hostname: h\n")
	require.Contains(t, file(t, m, "openstack/latest/user_data"), "fqdn: h.lan\n")
	require.Empty(t, file(t, m, "openstack/latest/vendor_data.json"))
	var meta map[string]any
	require.NoError(t, json.Unmarshal([]byte(file(t, m, "openstack/latest/meta_data.json")), &meta))
	require.Len(t, meta["uuid"], 40)
	require.Equal(t, map[string]any{"content_path": "/content/0000"}, meta["network_config"])
	require.Len(t, meta, 2)
}

func TestConfigDrive2Windows(t *testing.T) {
	main := vmconfig.Section{
		"ostype": "win11", "cipassword": `p"w`, "sshkeys": "ssh-rsa%20QUJD",
		"net0": "e1000=BC:24:11:0A:0B:0C", "ipconfig0": "ip=198.51.100.4/24,gw=198.51.100.1", "nameserver": "192.0.2.1,192.0.2.2",
	}
	m, err := Generate(main, Options{VMID: 1})
	require.NoError(t, err)
	require.Equal(t, "config-2", m.Label)
	require.Equal(t, `auto eth0
iface eth0 inet static
        address 198.51.100.4
        netmask 255.255.255.0
        gateway 198.51.100.1
        dns-nameservers 192.0.2.1 192.0.2.2
`, file(t, m, "openstack/content/0000"))
	var meta map[string]any
	require.NoError(t, json.Unmarshal([]byte(file(t, m, "openstack/latest/meta_data.json")), &meta))
	require.Equal(t, `p"w`, meta["admin_pass"])
	require.Equal(t, map[string]any{"key-0": "ssh-rsa QUJD"}, meta["public_keys"])
}

func TestOpenNebula(t *testing.T) {
	m, err := Generate(vmconfig.Section{
		"citype": "opennebula", "name": "a.b", "ciuser": "$(id)", "searchdomain": "`x`", "cipassword": "abc",
		"net3": "virtio=BC:24:11:0A:0B:0C,mtu=1400", "ipconfig3": "ip=dhcp,ip6=2001:db8::4/48,gw6=2001:db8::1",
	}, Options{VMID: 1, Snippets: Snippets{User: []byte("ignored")}})
	require.NoError(t, err)
	require.Equal(t, "CONTEXT", m.Label)
	require.Len(t, m.Files, 1)
	require.Equal(t, `USERNAME="\$(id)"
CRYPTED_PASSWORD_BASE64=YWJj
SET_HOSTNAME=a
DNS=""
SEARCH_DOMAIN="\`+"`x\\`"+`"
ETH3_DHCP=YES
ETH3_MTU=1400
ETH3_IP6=2001:db8::4
ETH3_MASK6=48
ETH3_MAC6=
ETH3_GATEWAY6=2001:db8::1
NETWORK=YES
`, file(t, m, "context.sh"))
}

func TestSnippets(t *testing.T) {
	o := Options{VMID: 1, Snippets: Snippets{User: []byte("U"), Network: []byte("N"), Vendor: []byte("V")}}
	m, err := Generate(vmconfig.Section{}, o)
	require.NoError(t, err)
	require.Equal(t, "U", file(t, m, "user-data"))
	require.Equal(t, "V", file(t, m, "vendor-data"))
	sum := sha1.Sum([]byte("UN"))
	require.Equal(t, "instance-id: "+hex.EncodeToString(sum[:])+"\n", file(t, m, "meta-data"))

	text, err := Dump(vmconfig.Section{}, o, "user", false)
	require.NoError(t, err)
	require.Contains(t, text, "hostname: VM1", "a dump shows what would be generated")

	o.Snippets.User = make([]byte, MaxSnippetsBytes)
	_, err = Generate(vmconfig.Section{}, o)
	require.EqualError(t, err, "Cloud-Init sum of snippets too big (> 3 MiB)")
}

func TestDump(t *testing.T) {
	main := vmconfig.Section{"cipassword": "secret", "citype": "opennebula"}
	text, err := Dump(main, Options{VMID: 1}, "user", true)
	require.NoError(t, err)
	require.NotContains(t, text, "secret")
	require.Equal(t, "secret", main["cipassword"], "the caller's section is untouched")
	text, err = Dump(main, Options{VMID: 1}, "network", false)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(text, "auto lo\n"))
	_, err = Dump(main, Options{VMID: 1}, "nonsense", false)
	require.Error(t, err)
}

func TestBadNetworkIsAnError(t *testing.T) {
	_, err := Generate(vmconfig.Section{"net0": "virtio=BC:24:11:0A:0B:0C", "ipconfig0": "ip=nonsense"}, Options{})
	require.ErrorContains(t, err, "ipconfig0")
}

// hostile values must come out of the YAML reader as they went in.
var hostile = []string{
	"x\"\nruncmd:\n - touch /tmp/p", "root\nruncmd: [id]", "a: b", "a #b", "#a", "- a", "&a b", "*a", "!x", "|", ">", "%a", "@a", "`a",
	"'", "\"", "''", "{a: b}", "[a]", "yes", "No", "null", "~", "12", "0x1f", "1_000", "12:30:45", "1e3", "2001-01-01", "true", "",
	" lead", "trail ", "tab\tx", "\x00\x01", "\u2028x", "\ufeffx", "key: |", "a:", "?", ": a", "=", "<<", "...", "---", "\x7f",
}

func checkUserData(t *testing.T, value string) {
	t.Helper()
	m, err := Generate(vmconfig.Section{"name": value, "ciuser": value, "cipassword": value}, Options{VMID: 1})
	require.NoError(t, err)
	var got map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(file(t, m, "user-data")), &got), "%q", value)
	require.Len(t, got, map[bool]int{false: 8, true: 8}[value == "root"])
	for _, key := range []string{"user", "password", "fqdn"} {
		if value == strings.Map(keepAllowed, value) {
			require.Equal(t, value, got[key], "%s of %q", key, value)
		} else {
			require.IsType(t, "", got[key])
		}
	}
}

// keepAllowed drops the characters that YAML cannot hold in any form of JSON string.
func keepAllowed(r rune) rune {
	if r >= 0x7f && r <= 0x9f || r == '\ufeff' || r == '\ufffd' {
		return -1
	}
	return r
}

func TestThreat22_CloudInitYAML(t *testing.T) {
	for _, value := range hostile {
		checkUserData(t, value)
		m, err := Generate(vmconfig.Section{"nameserver": value, "searchdomain": value}, Options{VMID: 1})
		require.NoError(t, err)
		var got struct {
			Version int
			Config  []struct {
				Type    string
				Address []string
				Search  []string
			}
		}
		require.NoError(t, yaml.Unmarshal([]byte(file(t, m, "network-config")), &got), "%q", value)
		require.Len(t, got.Config, 1)
		require.Len(t, got.Config[0].Search, len(strings.Fields(value)))
	}
}

func FuzzUserData(f *testing.F) {
	for _, value := range hostile {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if value == "root" || !strings.Contains(value, "\ufffd") && strings.ToValidUTF8(value, "") != value {
			return
		}
		checkUserData(t, value)
	})
}
