package boltstore_test

import (
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/cluster/boltstore"
	"github.com/turtacn/go-proxmox/cluster/clustertest"
)

func open(t testing.TB, path string, o *boltstore.Options) *boltstore.Store {
	t.Helper()
	s, err := boltstore.Open(path, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func newStore(t testing.TB) *boltstore.Store {
	return open(t, filepath.Join(t.TempDir(), "state.db"), nil)
}

func TestConformance(t *testing.T) {
	var mu sync.Mutex
	paths := map[cluster.Store]string{}
	clustertest.Run(t, clustertest.Config{
		New: func(t testing.TB) cluster.Store {
			path := filepath.Join(t.TempDir(), "state.db")
			s := open(t, path, nil)
			mu.Lock()
			defer mu.Unlock()
			paths[s] = path
			return s
		},
		Reopen: func(t testing.TB, s cluster.Store) cluster.Store {
			require.NoError(t, s.Close())
			mu.Lock()
			defer mu.Unlock()
			return open(t, paths[s], nil)
		},
		NewSmall: func(t testing.TB) cluster.Store {
			return open(t, filepath.Join(t.TempDir(), "state.db"), &boltstore.Options{HistoryTxns: 16})
		},
	})
}
