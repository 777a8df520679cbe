package need

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDiskIsFoundByItsSerial(t *testing.T) {
	sys := t.TempDir()
	for name, serial := range map[string]string{"vda": "", "vdb": "lab1\n", "vdc": "lab0\n"} {
		require.NoError(t, os.MkdirAll(filepath.Join(sys, name), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(sys, name, "serial"), []byte(serial), 0o644))
	}
	device, ok := deviceWithSerial(sys, "lab0")
	require.True(t, ok)
	require.Equal(t, "/dev/vdc", device)
	_, ok = deviceWithSerial(sys, "lab2")
	require.False(t, ok)
}

func TestUnknownModuleDoesNotLoad(t *testing.T) {
	require.Error(t, loadModule("no_such_module_anywhere"))
	require.Error(t, loadModule("--version"))
}
