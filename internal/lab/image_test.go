package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheRecipeIsComplete(t *testing.T) {
	for _, name := range []string{"build.sh", "init", "initrd", "packages"} {
		data, err := recipe.ReadFile("image/" + name)
		require.NoError(t, err)
		require.NotEmpty(t, data)
	}
	a, err := recipeSum()
	require.NoError(t, err)
	b, err := recipeSum()
	require.NoError(t, err)
	require.Equal(t, a, b)
	require.Len(t, a, 12)
}

func TestTheCacheIsOutsideTheTree(t *testing.T) {
	t.Setenv("GPVE_LAB_DIR", "")
	t.Setenv("XDG_CACHE_HOME", "/var/cache/someone")
	dir, err := cacheDir()
	require.NoError(t, err)
	require.Equal(t, "/var/cache/someone/go-proxmox/lab", dir)
	t.Setenv("GPVE_LAB_DIR", "/srv/lab")
	dir, err = cacheDir()
	require.NoError(t, err)
	require.Equal(t, "/srv/lab", dir)
}

func TestOldImagesAreRemoved(t *testing.T) {
	cache := t.TempDir()
	for _, name := range []string{"image-old", "image-new", "zfs-old"} {
		require.NoError(t, os.Mkdir(filepath.Join(cache, name), 0o755))
		if name != "image-new" {
			old := time.Now().Add(-2 * unusedFor)
			require.NoError(t, os.Chtimes(filepath.Join(cache, name), old, old))
		}
	}
	require.NoError(t, removeUnused(cache))
	require.NoDirExists(t, filepath.Join(cache, "image-old"))
	require.DirExists(t, filepath.Join(cache, "image-new"))
	require.DirExists(t, filepath.Join(cache, "zfs-old"), "compiled in minutes, small")
	require.NoError(t, touch(filepath.Join(cache, "image-new")))
	require.Error(t, touch(filepath.Join(cache, "image-old")))
}
