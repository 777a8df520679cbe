package boltstore

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
)

// TestCommitOfUnknownOutcome is a failed commit after which the file shows another revision than before.
func TestCommitOfUnknownOutcome(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s, err := Open(path, nil)
	require.NoError(t, err)
	_, err = s.Txn(t.Context(), cluster.Put("/k", nil))
	require.NoError(t, err)

	require.ErrorIs(t, s.failed(syscall.EIO), syscall.EIO)
	_, err = s.Txn(t.Context(), cluster.Put("/k", nil))
	require.NoError(t, err, "the file was as before: the store goes on")

	s.rev-- // the committer is idle
	require.ErrorIs(t, s.failed(syscall.EIO), cluster.ErrBroken)
	for range 2 {
		_, err = s.Txn(t.Context(), cluster.Put("/k", nil))
		require.ErrorIs(t, err, cluster.ErrBroken)
		require.ErrorIs(t, err, syscall.EIO, "with its cause")
	}
	_, err = s.Get(t.Context(), "/k")
	require.ErrorIs(t, err, cluster.ErrBroken)
	require.NoError(t, s.Close())
	s, err = Open(path, nil)
	require.NoError(t, err)
	_, err = s.Txn(t.Context(), cluster.Put("/k", nil))
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

func TestClassify(t *testing.T) {
	require.ErrorIs(t, classify(syscall.EDQUOT), cluster.ErrNoSpace)
	other := errors.New("other")
	require.Equal(t, other, classify(other))
	_, err := decodeKV([]byte("/k"), []byte("short"))
	require.Error(t, err)
}
