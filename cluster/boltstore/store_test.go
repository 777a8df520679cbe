package boltstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/cluster/boltstore"
)

func TestOneProcessAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path, nil)
	_, err := boltstore.Open(path, nil)
	require.ErrorIs(t, err, cluster.ErrInUse)
	require.NoError(t, s.Close())
	open(t, path, nil)
	st, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), st.Mode().Perm())
}

func TestNewerFormatIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path, &boltstore.Options{Format: cluster.Format + 1})
	require.NoError(t, s.Close())
	_, err := boltstore.Open(path, nil)
	require.ErrorIs(t, err, cluster.ErrNewerFormat)

	db, err := bolt.Open(path, 0o600, nil) // the lock was released
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("meta")).Put([]byte("layout"), []byte{0, 0, 0, 0, 0, 0, 0, 2})
	}))
	require.NoError(t, db.Close())
	_, err = boltstore.Open(path, &boltstore.Options{Format: 9})
	require.ErrorIs(t, err, cluster.ErrNewerFormat)
}

func TestForeignFilesAreRefused(t *testing.T) {
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage")
	require.NoError(t, os.WriteFile(garbage, bytes.Repeat([]byte("not a database "), 5000), 0o600))
	_, err := boltstore.Open(garbage, nil)
	require.Error(t, err)

	other := filepath.Join(dir, "other")
	db, err := bolt.Open(other, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucket([]byte("meta"))
		return err
	}))
	require.NoError(t, db.Close())
	_, err = boltstore.Open(other, nil)
	require.ErrorContains(t, err, "not a state file")

	_, err = boltstore.Open(filepath.Join(dir, "absent", "state.db"), nil)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = boltstore.Open(filepath.Join(dir, "x"), &boltstore.Options{HistoryTxns: -1})
	require.ErrorIs(t, err, cluster.ErrInvalid)
}

func TestTransactionsShareCommits(t *testing.T) {
	s := newStore(t)
	before := s.Stats()
	const writers, each = 64, 20
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if _, err := s.Txn(t.Context(), cluster.Put(fmt.Sprintf("/g/%d", w), fmt.Append(nil, i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	after := s.Stats()
	require.EqualValues(t, writers*each, after.Txns-before.Txns)
	require.EqualValues(t, writers*each, after.Revision-before.Revision, "each keeps a revision of its own")
	require.Less(t, after.Commits-before.Commits, int64(writers*each/2))

	_, err := s.Txn(t.Context(), cluster.If(cluster.Absent("/g/0")), cluster.Put("/g/0", nil))
	require.ErrorIs(t, err, cluster.ErrConflict)
	_, err = s.Txn(t.Context(), cluster.If(cluster.Exists("/g/0")))
	require.NoError(t, err)
	require.Equal(t, after.Commits, s.Stats().Commits, "nothing to write, no commit")
	require.EqualValues(t, 1, s.Stats().Conflicts)
	require.Positive(t, after.FileBytes)
}

func TestAbandonedTransactionsDoNotBlockTheQueue(t *testing.T) {
	s := newStore(t)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			go cancel()
			_, err := s.Txn(ctx, cluster.Put(fmt.Sprintf("/a/%d", i), nil))
			_, gerr := s.Get(t.Context(), fmt.Sprintf("/a/%d", i))
			switch {
			case err == nil && gerr != nil:
				t.Error("acknowledged and absent")
			case err != nil && !errors.Is(err, context.Canceled):
				t.Error(err)
			case err != nil && gerr == nil:
				t.Error("withdrawn and present")
			}
		})
	}
	wg.Wait()
	_, err := s.Txn(t.Context(), cluster.Put("/a/last", nil))
	require.NoError(t, err)
}

func BenchmarkTxn(b *testing.B) {
	for _, writers := range []int{1, 16, 128} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s := newStore(b)
			value := make([]byte, 1024)
			before := s.Stats()
			b.SetParallelism(writers)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					if _, err := s.Txn(b.Context(), cluster.Put(fmt.Sprintf("/vm/%d", i%1000), value)); err != nil {
						b.Error(err)
					}
				}
			})
			after := s.Stats()
			b.ReportMetric(float64(after.Commits-before.Commits)/float64(b.N), "commits/op")
		})
	}
}

// BenchmarkWatchFanOut writes while 100 watches follow; an iteration is done when all have seen it.
func BenchmarkWatchFanOut(b *testing.B) {
	const watches = 100
	s := newStore(b)
	ctx, cancel := context.WithCancel(b.Context())
	var watching sync.WaitGroup
	seen := make(chan struct{}, watches)
	for range watches {
		watching.Go(func() {
			for ev := range s.Watch(ctx, "/vm/", 0) {
				if len(ev.Changes) > 0 {
					seen <- struct{}{}
				}
			}
		})
	}
	value := make([]byte, 1024)
	for b.Loop() {
		if _, err := s.Txn(b.Context(), cluster.Put("/vm/100", value)); err != nil {
			b.Fatal(err)
		}
		for range watches {
			<-seen
		}
	}
	cancel()
	watching.Wait()
}
