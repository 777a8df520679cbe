package clustertest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
)

// Config says how to make the store under test.
type Config struct {
	// New returns a new store that is empty but for the format mark. The suite closes it.
	New func(t testing.TB) cluster.Store
	// Reopen closes a store of New and opens the same data again. Nil: the store forgets, nothing to test.
	Reopen func(t testing.TB, s cluster.Store) cluster.Store
	// NewSmall returns a store whose history for watches is no longer than 16 transactions. Nil: ErrCompacted is only
	// tested with revisions that never were.
	NewSmall func(t testing.TB) cluster.Store
}

// patience bounds every wait of the suite; it only passes when a test fails.
const patience = time.Minute

// Run runs the suite.
func Run(t *testing.T, c Config) {
	for _, tc := range []struct {
		name string
		run  func(*testing.T, cluster.Store)
	}{
		{"GetAndList", testGetAndList},
		{"TxnIsAllOrNothing", testTxnIsAllOrNothing},
		{"Conditions", testConditions},
		{"Revisions", testRevisions},
		{"Limits", testLimits},
		{"ValuesAreCopies", testValuesAreCopies},
		{"CancelledContext", testCancelledContext},
		{"Closed", testClosed},
		{"Format", testFormat},
		{"WatchFromNow", testWatchFromNow},
		{"WatchResumes", testWatchResumes},
		{"WatchKeepsTransactionsWhole", testWatchKeepsTransactionsWhole},
		{"WatchEnds", testWatchEnds},
		{"WatchUnknownRevision", testWatchUnknownRevision},
		{"SlowWatcherHoldsNobodyUp", testSlowWatcher},
		{"CounterLosesNothing", testCounter},
		{"SnapshotsAreConsistent", testSnapshots},
		{"WatchRebuildsTheState", testWatchRebuilds},
		{"HistoriesAreLinearizable", testLinearizable},
		{"Collection", testCollection},
		{"LeaseExcludes", testLeaseExcludes},
		{"LeaseIsTakenFromTheDead", testLeaseTakeover},
		{"LeaseGuardsLateWrites", testLeaseGuard},
		{"Election", testElection},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := c.New(t)
			t.Cleanup(func() { require.NoError(t, s.Close()) })
			tc.run(t, s)
		})
	}
	if c.NewSmall != nil {
		t.Run("WatchCompacted", func(t *testing.T) {
			s := c.NewSmall(t)
			t.Cleanup(func() { require.NoError(t, s.Close()) })
			testWatchCompacted(t, s)
		})
	}
	if c.Reopen != nil {
		t.Run("Reopen", func(t *testing.T) { testReopen(t, c) })
	}
}

// deadline returns the test's context with the suite's patience.
func deadline(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func mustPut(t testing.TB, s cluster.Store, key, value string) int64 {
	t.Helper()
	rev, err := s.Txn(deadline(t), cluster.Put(key, []byte(value)))
	require.NoError(t, err)
	return rev
}

func values(kvs []cluster.KV) string {
	out := ""
	for _, kv := range kvs {
		out += fmt.Sprintf("%s=%s ", kv.Key, kv.Value)
	}
	return out
}

func testReopen(t *testing.T, c Config) {
	s := c.New(t)
	rev := mustPut(t, s, "/r/a", "1")
	mustPut(t, s, "/r/b", "2")
	last, err := s.Txn(deadline(t), cluster.Delete("/r/b"), cluster.Put("/r/c", nil))
	require.NoError(t, err)
	s = c.Reopen(t, s)
	t.Cleanup(func() { require.NoError(t, s.Close()) })

	kvs, now, err := s.List(deadline(t), "/r/")
	require.NoError(t, err)
	require.Equal(t, "/r/a=1 /r/c= ", values(kvs))
	require.Equal(t, last, now, "opening is no transaction")
	require.Equal(t, rev, kvs[0].ModRev)
	require.Equal(t, last+1, mustPut(t, s, "/r/a", "3"))
	for _, err := range s.Watch(deadline(t), "/r/", rev) { // the history may be gone, but never wrong
		if err != nil {
			require.ErrorIs(t, err, cluster.ErrCompacted)
		}
		break
	}
}
