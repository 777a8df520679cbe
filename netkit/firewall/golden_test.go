package firewall

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// goldenWorlds are configurations whose rulesets are kept as files.
func goldenWorlds(t testing.TB) map[string]*World {
	plain := office(t, "", "", "[RULES]\nIN ACCEPT -p tcp -dport 80\n", "")
	full := office(t, "policy_out: DROP\n[ALIASES]\nlan 192.0.2.0/24\n[IPSET blacklist]\n203.0.113.0/24\n[IPSET peers]\nlan\n2001:db8::/32\n!2001:db8:bad::/48\n"+
		"[RULES]\nOUT ACCEPT -dest +peers -p tcp\nIN Ping(ACCEPT)\n[group web]\nIN HTTP(ACCEPT)\nIN HTTPS(ACCEPT) -log info\n",
		"[OPTIONS]\nlog_level_in: warning\nprotection_synflood: 1\ntcpflags: 1\nnf_conntrack_helpers: ftp,sip\n[RULES]\nIN ACCEPT -i br0 -p tcp -dport 9100,9200 -source lan\n",
		"ipfilter: 1\nradv: 1\npolicy_in: REJECT\n[IPSET ipfilter-net0]\n192.0.2.10\n[RULES]\nGROUP web\nIN DROP -source 198.51.100.0/24\nIN ACCEPT -p tcp -dport 22 -source 192.0.2.1\nIN ACCEPT -p tcp -dport 23 -source 192.0.2.2\nIN REJECT -p tcp -dport 24 -source 192.0.2.0/28\nOUT DROP -p tcp -dport 25\n",
		"ips: 1\nips_queues: 2:3\nlayer2_protocols: ARP\n")
	full.Node.Corosync = Corosync{Multicast: true, Links: []CorosyncLink{{Own: addr("192.0.2.1"), Peer: addr("192.0.2.2")}}}
	return map[string]*World{"plain": plain, "full": full, "off": {Cluster: NewConfig(Cluster)}}
}

func TestGolden(t *testing.T) {
	for name, w := range goldenWorlds(t) {
		path := filepath.Join("testdata", name+".nft")
		text := w.Compile().String()
		if *update {
			require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(want), text, name)
	}
}

// checkNFT lets nft read a ruleset. Where the kernel lacks what bridges are filtered with, its refusals of exactly that are
// no fault of the ruleset.
func checkNFT(t *testing.T, rs *Ruleset) {
	t.Helper()
	cmd := exec.Command("nft", "-c", "-f", "-")
	cmd.Stdin = strings.NewReader(rs.String())
	out, err := cmd.CombinedOutput()
	if err == nil {
		return
	}
	refusal := regexp.MustCompile(`Error: Could not process rule: (Protocol error|Operation not supported|No such file or directory)`)
	lines := strings.Split(string(out), "\n")
	for i, line := range lines {
		if !strings.Contains(line, "Error:") {
			continue
		}
		optional := i+2 < len(lines) && regexp.MustCompile(`\bct |reject|ibrname|queue|ct helper`).MatchString(lines[i+1])
		require.True(t, refusal.MatchString(line) && optional, "%s\n%s", out, rs)
	}
}

func TestNFTReadsRulesets(t *testing.T) {
	need.Root(t)
	need.Tool(t, "nft")
	for _, w := range goldenWorlds(t) {
		checkNFT(t, w.Compile())
	}
	for seed := range uint64(25) {
		checkNFT(t, newRandom(seed).world(t).Compile())
	}
}

// TestThreat50_NamesDoNotInject: nothing that a user may call things gets out of its place in the ruleset.
func TestThreat50_NamesDoNotInject(t *testing.T) {
	need.Root(t)
	need.Tool(t, "nft")
	hostile := "[IPSET a\";drop]\n1.2.3.4\n[IPSET drop]\n1.2.3.4 # \"; flush ruleset; #\n[ALIASES]\naccept 1.2.3.4 # }\n[RULES]\n" +
		"IN ACCEPT -source +drop -i reject # }; flush ruleset\nGROUP chain\nIN ACCEPT -source accept -i a\"b\nIN ACCEPT -p tcp -dport 1:99999\nIN ACCEPT -source fe80::1%lo\n" +
		"IN ACCEPT -source 1.2.3.4;drop\n[group chain] # \n{}\nIN ACCEPT -log info # ${x}\n"
	w := office(t, hostile, "[RULES]\nIN ACCEPT -i accept\nIN ACCEPT -i drop.1\n", strings.ReplaceAll(hostile, "-i reject", ""), "")
	w.Guests[0].NICs[0].Bridge = `br"; flush ruleset; "`
	w.Guests[0].Config.Options["policy_in"] = "REJECT"
	rs := w.Compile()
	require.NotContains(t, rs.String(), "flush")
	checkNFT(t, rs)
}

func FuzzNFT(f *testing.F) {
	need.Root(f)
	need.Tool(f, "nft")
	f.Add("IN ACCEPT -source +aa -log info # x", "aa")
	f.Fuzz(func(t *testing.T, rule, name string) {
		c, _, err := Parse("[OPTIONS]\nenable: 1\n[IPSET "+name+"]\n10.0.0.1\n[RULES]\n"+rule+"\n[group "+name+"]\n"+rule+"\n", Cluster, nil)
		require.NoError(t, err)
		checkNFT(t, (&World{Cluster: c, Host: NewConfig(Host)}).Compile())
	})
}
