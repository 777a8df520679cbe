package firewall

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheckRule(t *testing.T) {
	cluster, _ := parse(t, "[ALIASES]\nlan 192.0.2.0/24\nsix 2001:db8::/32\n[IPSET admins]\n192.0.2.1\n", Cluster, nil)
	scope := &Scope{Cluster: cluster, SDN: []*IPSet{{Name: "vnet0-all"}}}
	guest, _ := parse(t, "[ALIASES]\nhome 10.0.0.1\n[IPSET own]\n10.0.0.1\n", Guest, scope)
	tests := []struct {
		in      *Config
		inGroup bool
		rule    Rule
		key     string
		text    string
	}{
		{guest, false, Rule{}, "type", "missing property"},
		{guest, false, Rule{Type: "in"}, "action", "missing property"},
		{guest, false, Rule{Type: "forward", Action: "DROP"}, "type", "invalid rule type 'forward' for rule_env 'vm'"},
		{cluster, true, Rule{Type: "group", Action: "xx"}, "type", "invalid rule type 'group' for rule_env 'group'"},
		{cluster, false, Rule{Type: "forward", Action: "REJECT"}, "action", "cannot define REJECT rules on forward chain"},
		{cluster, false, Rule{Type: "in", Action: "accept"}, "action", "unknown action 'accept'"},
		{cluster, false, Rule{Type: "group", Action: `a";`}, "action", "invalid characters in security group name"},
		{cluster, true, Rule{Type: "in", Action: "DROP", Iface: "eth0"}, "type", "parameter -i not allowed for this rule type"},
		{guest, false, Rule{Type: "in", Action: "DROP", Iface: "eth0"}, "iface", `value does not match the regex pattern 'net\d+'`},
		{guest, false, Rule{Type: "in", Action: "DROP", Macro: "Nope"}, "macro", "unknown macro 'Nope'"},
		{guest, false, Rule{Type: "in", Action: "DROP", Proto: "tpc"}, "proto", "unknown protocol 'tpc'"},
		{guest, false, Rule{Type: "in", Action: "DROP", Dport: "80"}, "proto", "missing property - 'dport' requires this property"},
		{guest, false, Rule{Type: "in", Action: "DROP", Sport: "80", Proto: "gre"}, "sport", "protocol 'gre' does not support ports"},
		{guest, false, Rule{Type: "in", Action: "DROP", Sport: "80", Proto: "icmp"}, "sport", "protocol 'icmp' does not support ports"},
		{guest, false, Rule{Type: "in", Action: "DROP", Dport: "99:1", Proto: "tcp"}, "dport", "backwards range '99:1' not allowed, did you mean '1:99'?"},
		{guest, false, Rule{Type: "in", Action: "DROP", Dport: "1:99999", Proto: "tcp"}, "dport", "invalid port '1:99999'"},
		{guest, false, Rule{Type: "in", Action: "DROP", Dport: "echo-request", Proto: "tcp"}, "dport", "invalid port 'echo-request'"},
		{guest, false, Rule{Type: "in", Action: "DROP", Dport: "8", ICMPType: "any", Proto: "icmp"}, "icmp-type", "'icmp-type' cannot be specified together with 'dport'"},
		{guest, false, Rule{Type: "in", Action: "DROP", ICMPType: "no-route", Proto: "icmp"}, "icmp-type", "invalid icmp-type 'no-route' for proto 'icmp'"},
		{guest, false, Rule{Type: "in", Action: "DROP", ICMPType: "8", Proto: "icmp"}, "icmp-type", "invalid icmp-type '8' for proto 'icmp'"},
		{guest, false, Rule{Type: "in", Action: "DROP", Source: "192.168.1.5/24"}, "source", "invalid IP address: 192.168.1.5/24"},
		{guest, false, Rule{Type: "in", Action: "DROP", Source: "fe80::1%eth0"}, "source", "invalid IP address: fe80::1%eth0"},
		{guest, false, Rule{Type: "in", Action: "DROP", Source: "10.0.0.1", Dest: "2001:db8::1"}, "dest", "detected mixed ipv4/ipv6 addresses in rule"},
		{guest, false, Rule{Type: "in", Action: "DROP", Source: "+nope"}, "source", "no such ipset 'nope'"},
		{guest, false, Rule{Type: "in", Action: "DROP", Source: `+a"b`}, "source", `invalid ipset name '+a"b'`},
		{guest, false, Rule{Type: "in", Action: "DROP", Source: "guest/lan"}, "source", "no such alias 'guest/lan'"},
		{cluster, false, Rule{Type: "in", Action: "DROP", Source: "home"}, "source", "no such alias 'home'"},
		{guest, false, Rule{Type: "in", Action: "DROP", Macro: "SSH", Dport: "23", Proto: "tcp"}, "dport", "parameter 'dport' already define in macro (value = '22')"},
		{guest, false, Rule{Type: "in", Action: "DROP", Macro: "ssh", Source: "lan", Dest: "home", Log: "info"}, "", ""},
		{guest, false, Rule{Type: "in", Action: "DROP", Source: "+guest/admins"}, "", ""}, // the scope of sets is not checked
		{guest, false, Rule{Type: "in", Action: "DROP", Source: "+sdn/vnet0-all", Dport: "0"}, "", ""},
		{guest, false, Rule{Type: "in", Action: "DROP", Proto: "icmp", Dport: "echo-reply", Dest: "10.0.0.1-10.0.0.9"}, "", ""},
		{guest, false, Rule{Type: "in", Action: "DROP", Macro: "NeighborDiscovery"}, "", ""},
		{cluster, false, Rule{Type: "in", Action: "DROP", Proto: "udp", Dport: "domain,ntp,1:2", Iface: "vmbr0"}, "", ""},
	}
	for _, tt := range tests {
		r := tt.rule
		fault := CheckRule(tt.in, scope, &r, tt.inGroup)
		if tt.key == "" {
			require.Nil(t, fault, "%+v", tt.rule)
			require.Empty(t, r.Faults)
			continue
		}
		require.NotNil(t, fault, "%+v", tt.rule)
		require.Equal(t, [2]string{tt.key, tt.text}, [2]string{fault.Key, fault.Error()}, "%+v", tt.rule)
		require.Equal(t, tt.text, r.Faults[tt.key])
	}
}

func TestMacroNames(t *testing.T) {
	names := MacroNames()
	require.IsIncreasing(t, names)
	require.Contains(t, names, "NeighborDiscovery")
	name, ok := macroName("https")
	require.True(t, ok)
	require.Equal(t, "HTTPS", name)
}

func TestDigest(t *testing.T) {
	r := &Rule{Type: "in", Action: "ACCEPT", Enable: true, Proto: "tcp", Comment: "x", IPVersion: 4, Faults: map[string]string{"a": "b"}}
	require.Equal(t, map[string]string{"type": "in", "action": "ACCEPT", "enable": "1", "proto": "tcp", "comment": "x", "ipversion": "4"}, r.Members())
	require.Equal(t, "da39a3ee5e6b4b0d3255bfef95601890afd80709", RulesDigest(nil))
	// printf 'cidr:10.0.0.1\nnomatch:1\ncidr:lan\n' | sha1sum
	require.Equal(t, "60a93b64cd634c806f93f76a208482d3ddac2541",
		EntriesDigest([]Entry{{CIDR: "10.0.0.1", NoMatch: true, Fault: "x"}, {CIDR: "lan"}}))
	require.NotEqual(t, RulesDigest([]*Rule{r}), RulesDigest([]*Rule{r, r}))
	require.Equal(t, AliasesDigest([]Alias{{Name: "b", CIDR: "::1"}, {Name: "A", CIDR: "1.1.1.1"}}), AliasesDigest([]Alias{{Name: "A", CIDR: "1.1.1.1"}, {Name: "b", CIDR: "::1"}}))
}

func TestMoveRule(t *testing.T) {
	list := []*Rule{{Action: "0"}, {Action: "1"}, {Action: "2"}, {Action: "3"}}
	for _, tt := range []struct {
		from, to int
		want     string
	}{{0, 1, "0123"}, {0, 2, "1023"}, {3, 0, "3012"}, {1, 9, "0231"}, {2, 2, "0123"}, {0, 4, "1230"}} {
		out, err := MoveRule(list, tt.from, tt.to)
		require.NoError(t, err)
		got := ""
		for _, r := range out {
			got += r.Action
		}
		require.Equal(t, tt.want, got, "%d to %d", tt.from, tt.to)
	}
	_, err := MoveRule(list, 4, 0)
	require.ErrorIs(t, err, ErrNoRule)
	out, err := DeleteRule(list, 1)
	require.NoError(t, err)
	require.Len(t, InsertRule(out, &Rule{}), 4)
	_, err = DeleteRule(list, -1)
	require.ErrorIs(t, err, ErrNoRule)
}

func TestCloneAndRename(t *testing.T) {
	c, _ := parse(t, "[OPTIONS]\nenable: 1\n[IPSET ab]\n10.0.0.1\n[RULES]\nGROUP web\nIN ACCEPT -dport 1\n[group web]\nIN DROP\n", Cluster, nil)
	d := c.Clone()
	require.Equal(t, c, d)
	require.True(t, RenameGroup(d.Rules, "web", "shop"))
	require.False(t, RenameGroup(d.Rules, "web", "shop"))
	d.Sets[0].Entries[0].CIDR, d.Options["enable"], d.Groups[0].Rules[0].Action = "x", "0", "ACCEPT"
	require.Equal(t, "web", c.Rules[0].Action)
	require.Equal(t, "10.0.0.1", c.Sets[0].Entries[0].CIDR)
	require.Equal(t, "1", c.Options["enable"])
	require.Equal(t, "DROP", c.Groups[0].Rules[0].Action)
}
