package atomicfile_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/atomicfile"
)

func TestWriteReplacesContentAndMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, atomicfile.Write(path, []byte("old"), 0o644))
	require.NoError(t, atomicfile.Write(path, []byte("new"), 0o600))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "new", string(data))
	st, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), st.Mode().Perm())
	requireAlone(t, path)
}

func TestWriteFailureLeavesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "target")
	require.NoError(t, os.Mkdir(path, 0o755)) // a file cannot replace a folder: the rename fails
	require.Error(t, atomicfile.Write(path, []byte("x"), 0o600))
	requireAlone(t, path)
	require.ErrorIs(t, atomicfile.Write(filepath.Join(path, "absent", "f"), nil, 0o600), fs.ErrNotExist)
}

func requireAlone(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1)
}
