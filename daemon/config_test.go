package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func load(t *testing.T, text string) (*Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return LoadConfig(path, "/data")
}

const head = "apiVersion: gpve.io/v1\nkind: ServerConfiguration\nagent:\n  nodeName: alpha\n"

func TestConfigDefaults(t *testing.T) {
	c, err := load(t, head)
	require.NoError(t, err)
	require.Equal(t, "0.0.0.0:8006", c.Listen())
	require.Equal(t, "/data/pki/server.crt", c.Server.TLSCertFile)
	require.Equal(t, "auto", c.QEMU.Accel)
	require.Equal(t, UIDRange{First: 700000, Count: 65536}, c.QEMU.UIDs)
	require.NoError(t, c.SetListen("[::1]:443"))
	require.Equal(t, "[::1]:443", c.Listen())
	require.NoError(t, c.SetListen("127.0.0.1:0"))
	require.NoError(t, c.SetAccel("tcg"))
	require.Equal(t, "127.0.0.1:0", c.Listen(), "a free port stays one")
	require.EqualError(t, c.SetAccel("xen"), `qemu.accel: "xen" is none of auto, kvm, tcg`)
	require.NoError(t, c.SetAccel("auto"))
	require.EqualError(t, c.SetListen("127.0.0.1:70000"), "server.port: 70000 is not in 1-65535")
	require.Error(t, c.SetListen("8006"))
	require.Error(t, c.SetListen("localhost:http"))
}

func TestConfigFaultsNameTheKey(t *testing.T) {
	for text, want := range map[string]string{
		"":                                             "the file is empty",
		head + "servr: {}\n":                           `line 5: unknown key "servr"`,
		head + "server:\n  prot: 1\n":                  `line 6: unknown key "prot"`,
		head + "server: {port: x}\n":                   "line 5: cannot unmarshal",
		head + "server: {port: 70000}\n":               "server.port: 70000",
		head + "server: {address: here}\n":             "server.address",
		head + "qemu: {accel: xen}\n":                  `qemu.accel: "xen" is none of auto, kvm, tcg`,
		head + "qemu: {uids: {first: 0, count: -1}}\n": "qemu.uids",
		head + "logging: {level: loud}\n":              "logging.level",
		head + "network: {bridges: [{name: vmbr0, cidr: 10.0.0.1}]}\n":              "network.bridges[0].cidr",
		head + "network: {bridges: [{name: vmbr0, cidr: 10.0.0.0/24}]}\n":           "network.bridges[0]: bridge vmbr0",
		"apiVersion: v2\nkind: ServerConfiguration\n":                               "apiVersion",
		"apiVersion: gpve.io/v1\nkind: Pod\n":                                       "kind",
		"apiVersion: gpve.io/v1\nkind: ServerConfiguration\nagent: {nodeName: a.b}": "agent.nodeName",
		head + "---\nx: 1\n":            "more than one",
		head + "agent: {runDir: run}\n": "line 5",
		"apiVersion: gpve.io/v1\nkind: ServerConfiguration\nagent: {nodeName: a, runDir: run}":                              `agent.runDir: "run" is no absolute path`,
		"apiVersion: gpve.io/v1\nkind: ServerConfiguration\nagent: {nodeName: a, runDir: /" + strings.Repeat("r", 72) + "}": "agent.runDir: ",
		head + "logging: {output: gpved.log}\n": "logging.output",
		head + "server: {port: -1}\n":           "server.port: -1",
		head + "network: {bridges: [{name: vmbr0, cidr: 10.0.0.1/24}, {name: vmbr0, cidr: 10.0.1.1/24}]}\n": "network.bridges[1].name",
		head + "network: {bridges: [{name: vmbr0, cidr: 10.0.0.1/24}, {name: vmbr1, cidr: 10.0.0.9/8}]}\n":  "network.bridges[1].cidr",
		"a: [": "line 1",
	} {
		_, err := load(t, text)
		require.ErrorContains(t, err, want, text)
		require.ErrorContains(t, err, "config.yaml")
	}
}
