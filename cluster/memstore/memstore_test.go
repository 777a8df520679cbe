package memstore_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/cluster/clustertest"
	"github.com/turtacn/go-proxmox/cluster/memstore"
)

func TestConformance(t *testing.T) {
	clustertest.Run(t, clustertest.Config{
		New:      func(testing.TB) cluster.Store { return memstore.New() },
		NewSmall: func(testing.TB) cluster.Store { return memstore.WithHistory(16) },
	})
}

func TestCommits(t *testing.T) {
	s := memstore.New()
	require.EqualValues(t, 1, s.Commits(), "the format mark")
	_, err := s.Txn(t.Context(), cluster.If(cluster.Absent("/x")))
	require.NoError(t, err)
	require.EqualValues(t, 1, s.Commits(), "nothing changed")
}
