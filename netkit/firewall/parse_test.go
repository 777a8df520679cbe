package firewall

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func parse(t testing.TB, text string, l Level, s *Scope) (*Config, []string) {
	c, warnings, err := Parse(text, l, s)
	require.NoError(t, err)
	var texts []string
	for _, w := range warnings {
		texts = append(texts, w.String())
	}
	return c, texts
}

func TestParseAndWrite(t *testing.T) {
	text := strings.Join([]string{
		"# a comment line is lost",
		"[rules]", "in ssh(ACCEPT) -log info -source lan -i vmbr0 # from the office", "|OUT DROP --dport 25 --proto tcp", "GROUP Web -i vmbr1",
		"[Options]", "ENABLE: 1", "policy_in: reject", "ebtables: maybe", "log_ratelimit: 1,rate=5/minute",
		"[ALIASES]", "Lan 192.0.2.0/24 # all of it", "one 2001:db8::1/128", "LAN 192.0.2.9/24",
		"[IPSET Admins] # who may", "192.0.2.7/32", "!192.0.2.8", "lan", "nobody", "0.0.0.0/0",
		"[group WEB]", "IN ACCEPT -p tcp -dport 80,443", "IN ACCEPT -dport 1",
	}, "\n")
	c, warnings := parse(t, text, Cluster, nil)
	require.Equal(t, []string{
		"line 9: can't parse option 'ebtables: maybe'",
		"line 19: no such alias 'nobody'",
		"line 20: a zero prefix is not allowed in ipset entries",
		"line 23: errors in rule parameters: IN ACCEPT -dport 1",
		"line 23:   proto: missing property - 'dport' requires this property",
	}, warnings)
	out, err := c.Text()
	require.NoError(t, err)
	require.Equal(t, strings.Join([]string{
		"[OPTIONS]", "", "enable: 1", "log_ratelimit: 1,rate=5/minute", "policy_in: REJECT", "",
		"[ALIASES]", "", "LAN 192.0.2.9/24", "one 2001:db8::1", "",
		"[IPSET admins] # who may", "", "!192.0.2.8", "0.0.0.0/0", "192.0.2.7", "lan", "nobody", "",
		"[RULES]", "", "IN SSH(ACCEPT) -i vmbr0 -source lan -log info # from the office", "|OUT DROP -p tcp -dport 25", "GROUP Web -i vmbr1", "",
		"[group web]", "", "IN ACCEPT -p tcp -dport 80,443", "IN ACCEPT -dport 1", "", "",
	}, "\n"), out)
	require.Equal(t, 4, c.Rules[0].IPVersion)
	empty, err := NewConfig(Guest).Text()
	require.NoError(t, err)
	require.Empty(t, empty)
	require.True(t, NewConfig(Guest).Empty())
}

func TestParseWarnings(t *testing.T) {
	tests := []struct {
		level    Level
		text     string
		warnings []string
	}{
		{Guest, "enable: 1", []string{"line 1: skip line - no section"}},
		{Host, "[RULES]\n[ALIASES]\nx 1.2.3.4", []string{"line 2: unable to parse rule: [ALIASES]", "line 3: errors in rule parameters: X 1.2.3.4",
			"line 3:   action: unknown action '1.2.3.4'", "line 3:   type: invalid rule type 'x' for rule_env 'host'"}},
		{Guest, "[IPSET 1x]\n1.2.3.4\n[OPTIONS]", []string{"line 1: invalid ipset name '1x'", "line 2: skip line - no section"}},
		{Cluster, "[group averyveryverylongname]", []string{"line 1: security group name too long"}},
		{Cluster, "[group x]", []string{"line 1: invalid security group name 'x'"}},
		{Guest, "[RULES]\n| IN ACCEPT\nIN\nIN ACCEPT -p  tcp\nGROUP web -p tcp", []string{"line 2: unable to parse rule:  IN ACCEPT", "line 3: unable to parse rule: IN",
			"line 4: unable to parse rule parameters: -p  tcp", "line 5: unable to parse rule parameters: -p tcp"}},
		{Guest, "[OPTIONS]\nenable: 2\nlayer2_protocols: ARP,NOPE\nlog_level_in: \npolicy_in: no", []string{"line 2: can't parse option 'enable: 2'",
			"line 3: unknown ethernet protocol type: NOPE", "line 5: can't parse option 'policy_in: no'"}},
		{Guest, "[IPSET a1]\n10.0.0.1\n10.0.0.1/32\nx y", []string{"line 3: duplicate ipset entry for '10.0.0.1'", "line 4: can't parse ipset entry 'x y'"}},
		{Guest, "[ALIASES]\nx1  10.0.0.1\nx2 10.0.0.300\n9x 10.0.0.1", []string{"line 2: can't parse alias 'x1  10.0.0.1'",
			"line 3: value does not look like a valid IP address or CIDR network", "line 4: can't parse alias '9x 10.0.0.1'"}},
		{Guest, "[ALIASES]\nsix 2001:db8::1\n[RULES]\nIN ACCEPT -p icmp -source six", []string{"line 4: detected mixed ipv4/ipv6 addresses in rule"}},
	}
	for _, tt := range tests {
		_, warnings := parse(t, tt.text, tt.level, nil)
		require.Equal(t, tt.warnings, warnings, tt.text)
	}
}

func TestSectionsThatRepeat(t *testing.T) {
	c, _ := parse(t, "[IPSET aa]\n10.0.0.1\n[OPTIONS]\nenable: 0\n[IPSET aa] # again\n10.0.0.2\n[OPTIONS]\nenable: 1\n[RULES]\nIN DROP\n[RULES]\nOUT DROP\n", Guest, nil)
	require.Len(t, c.Sets, 1)
	require.Equal(t, []Entry{{CIDR: "10.0.0.2"}}, c.Sets[0].Entries)
	require.Equal(t, "1", c.Options["enable"])
	require.Len(t, c.Rules, 2)
}

// TestThreat50_NothingHostileIsWritten: what would come back as something else does not get into a file.
func TestThreat50_NothingHostileIsWritten(t *testing.T) {
	hostile := []func(c *Config){
		func(c *Config) {
			c.Rules = []*Rule{{Type: "in", Action: "ACCEPT", Enable: true, Comment: "x\nOUT ACCEPT"}}
		},
		func(c *Config) {
			c.Rules = []*Rule{{Type: "in", Action: "ACCEPT", Enable: true, Source: "1.2.3.4 -p tcp"}}
		},
		func(c *Config) { c.Rules = []*Rule{{Type: "in", Action: "ACCEPT # no", Enable: true}} },
		func(c *Config) { c.Rules = []*Rule{{Type: "|in", Action: "ACCEPT", Enable: true}} },
		func(c *Config) { c.Rules = []*Rule{{Type: "in", Action: "ACCEPT", Enable: true, Log: "loud"}} },
		func(c *Config) { c.Aliases = []Alias{{Name: `a"; drop`, CIDR: "1.2.3.4"}} },
		func(c *Config) { c.Aliases = []Alias{{Name: "ab", CIDR: "1.2.3.4\n[RULES]"}} },
		func(c *Config) { c.Sets = []*IPSet{{Name: "ab]\n[RULES"}} },
		func(c *Config) { c.Sets = []*IPSet{{Name: "ab", Entries: []Entry{{CIDR: "1.2.3.4 5"}}}} },
		func(c *Config) { c.Sets = []*IPSet{{Name: "ab", Entries: []Entry{{}}}} },
		func(c *Config) { c.Groups = []*Group{{Name: "ab", Comment: "x\n[RULES]"}} },
		func(c *Config) { c.Options["enable"] = "1\npolicy_in: ACCEPT" },
		func(c *Config) { c.Options["evil: 1\nenable"] = "1" },
	}
	for i, change := range hostile {
		c := NewConfig(Cluster)
		change(c)
		_, err := c.Text()
		require.ErrorIs(t, err, ErrUnwritable, "case %d", i)
	}
}

func TestFileTooLong(t *testing.T) {
	_, _, err := Parse(strings.Repeat("#", MaxFileBytes+1), Cluster, nil)
	require.Error(t, err)
}

func FuzzParse(f *testing.F) {
	for level, text := range []string{"[OPTIONS]\nenable: 1\n[group ab]\nIN ACCEPT -i x\n[IPSET ab]\n!1.2.3.4 # x", "[RULES]\nIN DROP -i vmbr0", "[ALIASES]\nab 1.2.3.4\n[IPSET ab]\n!ab\n[RULES]\n|IN ssh(DROP) -source +ab # c", "[RULES]\nFORWARD DROP"} {
		f.Add(level, text)
	}
	f.Fuzz(func(t *testing.T, level int, text string) {
		l := Level(level & 3)
		c, _, err := Parse(text, l, nil)
		require.NoError(t, err)
		out, err := c.Text()
		require.NoError(t, err)
		back, _, err := Parse(out, l, nil)
		require.NoError(t, err)
		again, err := back.Text()
		require.NoError(t, err)
		require.Equal(t, out, again)
		for i, r := range c.Rules {
			require.Equal(t, r, back.Rules[i])
		}
		require.Equal(t, c.Options, back.Options)
		(&World{Cluster: c, Host: NewConfig(Host)}).Compile()
	})
}
