package daemon

import (
	"os"
	"path/filepath"
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
		head + "---\nx: 1\n": "more than one",
		"a: [":               "line 1",
	} {
		_, err := load(t, text)
		require.ErrorContains(t, err, want, text)
		require.ErrorContains(t, err, "config.yaml")
	}
}
