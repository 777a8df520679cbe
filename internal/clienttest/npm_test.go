package clienttest

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// testNPM runs the script of the folder npm with the packages that its lock file names.
func testNPM(t *testing.T, h *house) {
	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "life.js"} {
		data, err := os.ReadFile(filepath.Join("npm", name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o644))
	}
	install := exec.CommandContext(t.Context(), "npm", "ci", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund")
	install.Dir = dir
	out, err := install.CombinedOutput()
	require.NoError(t, err, "npm ci: %s", out)

	uploadGuest(t, h)
	host, port, err := net.SplitHostPort(h.listen)
	require.NoError(t, err)
	script := exec.CommandContext(t.Context(), "node", "life.js")
	script.Dir = dir
	script.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+h.caFile(), "GPVE_HOST="+host, "GPVE_PORT="+port,
		"GPVE_PASSWORD="+h.password, "GPVE_NODE="+node, "GPVE_BRIDGE="+bridge, "GPVE_IMPORT="+diskVol)
	out, err = script.CombinedOutput()
	t.Logf("%s", out)
	require.NoError(t, err)
}
