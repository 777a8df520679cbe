package daemon

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/cluster/memstore"
	"github.com/turtacn/go-proxmox/internal/inventory"
)

// A node that has guests keeps its name.
func TestNodeNameIsForGood(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(statePath(dir), 0o700))
	store := memstore.New()
	defer store.Close()
	claim := func(name string, adopt bool) error { return claimNode(t.Context(), store, dir, name, adopt) }
	require.NoError(t, claim("alpha", false))
	require.NoError(t, claim("beta", false), "there are no guests yet")
	_, err := store.Txn(t.Context(), cluster.Put(inventory.Key(100), inventory.Encode("beta", "memory: 16\n")))
	require.NoError(t, err)
	require.NoError(t, claim("beta", false))
	err = claim("gamma", false)
	require.ErrorIs(t, err, ErrRenamed)
	require.ErrorContains(t, err, `"beta"`)
	require.ErrorContains(t, err, `"gamma"`)
	require.NoError(t, claim("beta", false), "what was refused has left no trace")

	// A state from before the name was noted down is asked itself.
	require.NoError(t, os.Remove(nodeFile(dir)))
	require.ErrorIs(t, claim("gamma", false), ErrRenamed)
	require.NoError(t, claim("beta", false))
	require.NoError(t, claim("gamma", true))
	require.NoError(t, claim("gamma", false))
}
