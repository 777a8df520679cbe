package pveconf_test

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/pveconf"
)

// fact is the description of a rule in the pinned table of formats.
type fact struct {
	Regex  string   `json:"regex"`
	Rule   string   `json:"rule"`
	Error  string   `json:"error"`
	Errors []string `json:"errors"`
	OK     []string `json:"ok"`
	Bad    []string `json:"bad"`
}

func facts(t *testing.T) map[string]fact {
	data, err := os.ReadFile("../../proxmoxapi/schema/formats.json")
	require.NoError(t, err)
	var file struct{ Rules map[string]fact }
	require.NoError(t, json.Unmarshal(data, &file))
	require.NotEmpty(t, file.Rules)
	return file.Rules
}

func TestRulesMatchTheirFacts(t *testing.T) {
	elsewhere := []string{"pve-priv", "pve-fw-icmp-type-spec"} // they stand on tables of the API
	for name, f := range facts(t) {
		t.Run(name, func(t *testing.T) {
			if slices.Contains(elsewhere, name) {
				return
			}
			for _, v := range f.OK {
				require.NoError(t, pveconf.CheckFormat(name, v), v)
			}
			for _, v := range f.Bad {
				require.Error(t, pveconf.CheckFormat(name, v), v)
			}
			require.NotContains(t, errorText(name, "\x01"), "undefined format")
			if f.Error != "" && !strings.Contains(f.Error, "{h}") && !strings.Contains(f.Error, "{f}") {
				require.Equal(t, strings.ReplaceAll(f.Error, "{v}", "\x01"), errorText(name, "\x01"))
			}
		})
	}
}

func errorText(name, value string) string {
	if err := pveconf.CheckFormat(name, value); err != nil {
		return err.Error()
	}
	return ""
}

// TestRulesAgreeWithExpressions compares the checks with the regular expressions they stand for, on random texts made of
// what makes a difference.
func TestRulesAgreeWithExpressions(t *testing.T) {
	// Checks that want more than the expression says.
	stricter := []string{
		"pve-phys-bits", "pve-replication-job-id", "pve-sdn-bgp-rt", "pve-sdn-prefix-list-id", "pve-sdn-route-map-id",
		"pve-storage-zfs-blocksize", "pve-userid", "pve-vlan-id-or-range",
	}
	pieces := []string{
		"a", "Z", "b7", "0", "1", "9", "12", "100", "-", "_", ".", ":", "/", "@", "!", "+", "~", "*", "%", "host", "raw", "K", "iB", "m", "M",
		"x.y", "a-b", "ct:", "v2-0x", "0123456789abcdef", "QRST2345", "00", "02:", "ff", "49.0001", "dc/", "mon", "ok", " ", ",", "(", ")", "'",
		"pve_x", "é", "\n",
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for name, f := range facts(t) {
		if f.Regex == "" || name == "IPorCIDRorAlias" || name == "IPorCIDR" {
			continue
		}
		expr := strings.ReplaceAll(f.Regex, "$", `\z`)
		if strings.HasPrefix(name, "email") { // letters of any script
			expr = strings.ReplaceAll(expr, `\w`, `\p{L}\p{Nd}_`)
		}
		re := regexp.MustCompile(expr)
		for range 4000 {
			var b strings.Builder
			for range rnd.IntN(7) {
				b.WriteString(pieces[rnd.IntN(len(pieces))])
			}
			v := b.String()
			if strings.HasPrefix(name, "pve-storage-path") && strings.ContainsAny(v, "\n") || strings.Contains(v, "é") && !strings.HasPrefix(name, "email") {
				continue
			}
			matches, passes := re.MatchString(v), pveconf.CheckFormat(name, v) == nil
			if passes && !matches || matches && !passes && !slices.Contains(stricter, name) {
				t.Errorf("%s: %q: expression %v, check %v", name, v, matches, passes)
			}
		}
	}
}

func TestRules(t *testing.T) {
	tests := []struct {
		name    string
		ok, bad []string
	}{
		{"ip", []string{"192.0.2.7", "2001:db8::1", "::", "::ffff:192.0.2.7"}, []string{"", "192.0.2", "192.0.2.07", "fe80::1%eth0", "[::1]", "::1/64", "1.2.3.4.5"}},
		{"CIDR", []string{"192.0.2.7/24", "10.0.0.0/8", "2001:db8::/32", "10.0.0.0/08"}, []string{"10.0.0.0", "10.0.0.0/7", "10.0.0.0/33", "::/0", "10.0.0.0/", "10.0.0.0/8 "}},
		{"FullRangeCIDR", []string{"0.0.0.0/0", "::/0"}, []string{"10.0.0.0/33"}},
		{"IPorCIDR", []string{"0.0.0.0/0", "192.0.2.7", "::1"}, []string{"10.0.0.0/33", "x"}},
		{"IPorCIDRorAlias", []string{"lan", "dc/lan", "guest/web_1", "::1"}, []string{"1lan", "sdn/lan", "dc/", "a b"}},
		{"ipv4mask", []string{"0.0.0.0", "255.255.255.255", "255.255.254.0"}, []string{"255.0.255.0", "0.0.0.255", "24", ""}},
		{"address", []string{"pve1.example.org", "10.0.0.1", "::1", "a"}, []string{"a..b", "-a", "a.", ""}},
		{"mac-addr", []string{"BC:24:11:00:00:01", "02:00:00:00:00:00"}, []string{"01:00:00:00:00:00", "BC:24:11:00:00", "BC:24:11:00:00:0", "BC-24-11-00-00-01", "BC:24:11:00:00:01:02"}},
		{"mac-prefix", []string{"bc", "BC:24", "BC:24:11", "BC:24:1", "BC:24:"}, []string{"", "b", "bd", "bc24", "BC:24:11:2:", "BC::24"}},
		{"pve-iface", []string{"eth0", "vmbr0.100", "eno1:1", "ab"}, []string{"e", "0eth", "eth0.", "eth0.1.2", "averyveryverylongname1", "eth 0"}},
		{"pve-ipv6-config", []string{"auto", "dhcp", "manual", "2001:db8::5/64"}, []string{"2001:db8::5", "static", ""}},
		{"lxc-ip-with-ll-iface", []string{"fe80::1%eth0", "10.0.0.1"}, []string{"2001:db8::1%eth0", "fe80::1%", "fe80::1%0"}},
		{"email", []string{"jürgen.w+x@example.org", "a@b"}, []string{"a", "a@", "@b", "a..b@c", "a@b@c", "a b@c"}},
		{"pve-vlan-id-or-range", []string{"2", "4094", "10-20"}, []string{"1", "4095", "20-10", "10-10", "10-", "a"}},
		{"bridge-pair", []string{"1", "vmbr0", "vmbr0:vmbr1"}, []string{"", "vmbr0:", "a:b:c", "a b"}},
		{"storage-pair", []string{"1", "local", "local:other"}, []string{"local:", "a:b:c", "2x"}},
		{"disk-size", []string{"32G", "1.5T", "10GiB", "512", "4M"}, []string{"", "G", "1.", ".5G", "10GB", "10iB", "-1", "10 G", "10Gi"}},
		{"pve-storage-path", []string{"/mnt/a b", "/x;y"}, []string{"", "/", "/;", "mnt", "/a\nb"}},
		{"pve-storage-portal-dns", []string{"10.0.0.1", "10.0.0.1:3260", "san.example.org:3260", "[2001:db8::1]:3260", "2001:db8::1", "2001:db8::1.3260"}, []string{"", "san:", "[::1", "a b", "[]:1"}},
		{"pve-storage-zfs-blocksize", []string{"", "512", "4k", "16M", "16384"}, []string{"0", "256", "3k", "32M", "04k", "4kb", "99999999999999"}},
		{"pve-dir-override", []string{"iso=images/iso", "backup=x"}, []string{"iso", "iso=", "foo=x", "iso=../x", "iso=a/..", "iso=a."}},
		{"pve-volume-id-or-qm-path", []string{"none", "cdrom", "local:iso/x.iso", "/dev/sda"}, []string{"", "x", "local:", "9x:y"}},
		{"pve-hotplug-features", []string{"0", "1", "network,disk", "cpu"}, []string{"2", "network,foo"}},
		{"pve-cpuset", []string{"0", "0-3,7", "0, 2 - 3"}, []string{"", "3-0", "a", "0-", "0,,1"}},
		{"pve-startup-order", []string{"1", "order=1,up=30", "up=1,,down=2"}, []string{"", "0", "order=a", "foo=1", "1,x"}},
		{"pve-qm-bootdev", []string{"scsi30", "net0", "usb13", "hostpci15", "virtio0"}, []string{"scsi31", "net32", "efidisk0", "scsi", "scsi00", "scsi-1", ""}},
		{"pve-qm-bootdisk", []string{"ide3", "efidisk0"}, []string{"ide4", "net0", "unused0"}},
		{"pve-lxc-dev-string", []string{"/dev/ttyS0", "/dev/.x"}, []string{"/etc", "/dev/../etc", "/dev/x/."}},
		{"pve-lxc-mp-string", []string{"local:1", "/mnt/x"}, []string{"../x", "/a/../b", "a/..", "a/./b"}},
		{"pve-ct-timezone", []string{"host", "UTC", "Europe/Berlin"}, []string{"", "Nowhere/City", "../UTC", "utc"}},
		{"pve-fw-addr-spec", []string{"+trusted", "+dc/trusted", "lan", "guest/lan", "10.0.0.1,10.0.0.0/8", "10.0.0.1-10.0.0.9", "2001:db8::/0"}, []string{"", "10.0.0.1,", "10.0.0.1,2001:db8::1", "10.0.0.1-10.0.0.2,10.0.0.5", "10.0.0.1-::1", "+" + strings.Repeat("a", 65), strings.Repeat("a", 65), "1x"}},
		{"pve-fw-sport-spec", []string{"22", "ssh,80", "1000:2000", "0"}, []string{"", "65536", "20:10", "22,", "nosuchservice", "1:2,1:2,1:2,1:2,1:2,1:2,1:2,1:2"}},
		{"pve-fw-protocol-spec", []string{"", "tcp", "udp", "17", "icmpv6"}, []string{"tpc", "300", "tcp udp"}},
		{"pve-fw-conntrack-helper", []string{"ftp", "sip,tftp"}, []string{"", "ftp,", "http"}},
		{"pve-calendar-event", []string{"daily", "semi-annually", "mon,wed 02:30", "mon..fri", "2030-1-1", "*-*-1/2 0/2:15:30 UTC", "Saturday 3:00", "1..3,30"}, []string{"", "Daily", "noday", "25:00", "mon 1:60", "2200-1-1", "5..3", "*/0", "1:2:3:4", "mon 1:00 x", "13-1 0"}},
		{"pve-userid", []string{"root@pam", "a@b@pve", "ü@pve"}, []string{"a@", "@pve", "root", "a:b@pve", "a b@pve", strings.Repeat("x", 61) + "@pve"}},
		{"pve-tokenid", []string{"root@pam!mon"}, []string{"root@pam", "root@pam!1x", "root!mon"}},
		{"pve-sdn-subnet-id", []string{"10.0.0.0/24", "zone1-10.0.0.0-24"}, []string{"10.0.0.0-24", "zone1-10.0.0.0-7", "x"}},
		{"pve-sdn-route-map-id", []string{"in-1"}, []string{"pve_x", "MAP_VTEP_IN", "-x"}},
		{"pve-command-batch", []string{`[]`, `[{"path":"/x","method":"GET","args":{"a":1}}]`}, []string{``, `{}`, `[{"path":"/x"}]`, `[{"path":"/x","method":"HEAD"}]`, `[1]`, `[{"path":"/x","method":"GET","more":1}]`}},
		{"pem-string", []string{"-----BEGIN X-----\nAAAA\n-----END X-----\n"}, []string{"", "x", "-----BEGIN X-----\nAAAA\n-----END Y-----", "-----BEGIN X-----\n!\n-----END X-----"}},
		{"pem-certificate", []string{"Bag\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"}, []string{"-----BEGIN X-----\nAAAA\n-----END X-----"}},
		{"pve-vmid-list", []string{"", "100", "100,101;102 103", "100\x00101", " 100"}, []string{"100,99", "a"}},
		{"email-opt", []string{"", "0", "a@b"}, []string{"1"}},
		{"pve-configid-list", []string{"abc, def"}, []string{"abc,1"}},
		{"regex", []string{"(", ""}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, v := range tt.ok {
				require.NoError(t, pveconf.CheckFormat(tt.name, v), "%q", v)
			}
			for _, v := range tt.bad {
				require.Error(t, pveconf.CheckFormat(tt.name, v), "%q", v)
			}
		})
	}
	require.EqualError(t, pveconf.CheckFormat("nonesuch", "x"), "undefined format 'nonesuch'")
}

// A value with a line break at its end would become a line of its own in a configuration file.
func TestThreat21_NoRuleTakesALineBreak(t *testing.T) {
	values := map[string]string{
		"pve-configid": "abc", "pve-node": "n1", "pve-vmid": "100", "pve-storage-id": "local", "pve-volume-id": "local:x", "pve-storage-path": "/x",
		"pve-volume-id-or-qm-path": "/x", "pve-userid": "root@pam", "ip": "10.0.0.1", "dns-name": "a", "mac-addr": "02:00:00:00:00:00", "pve-tag": "a",
		"disk-size": "1G", "pve-bridge-id": "vmbr0", "pve-storage-options": "a", "urlencoded": "a", "email": "a@b",
	}
	for name, v := range values {
		require.NoError(t, pveconf.CheckFormat(name, v), name)
		require.Error(t, pveconf.CheckFormat(name, v+"\n"), name)
		require.Error(t, pveconf.CheckFormat(name, v+"\nargs: -x"), name)
	}
}
