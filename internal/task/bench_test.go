package task_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster/boltstore"
	"github.com/turtacn/go-proxmox/internal/task"
)

// BenchmarkOperations submits operations that do nothing and waits for their ends, on a store that syncs.
func BenchmarkOperations(b *testing.B) {
	for _, hidden := range []bool{true, false} {
		for _, clients := range []int{1, 64} {
			b.Run(fmt.Sprintf("hidden=%v/clients=%d", hidden, clients), func(b *testing.B) {
				store, err := boltstore.Open(filepath.Join(b.TempDir(), "state.db"), nil)
				require.NoError(b, err)
				defer store.Close()
				e, err := task.New(store, task.Options{Node: "pve1", LogDir: b.TempDir(), Retain: 1000})
				require.NoError(b, err)
				e.Register("t", simple(func(context.Context, *task.Op) error { return nil }))
				run, cancel := context.WithCancel(context.Background())
				ended := make(chan error)
				go func() { ended <- e.Run(run) }()
				<-e.Ready()
				before := store.Stats().Commits
				b.SetParallelism(clients)
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if _, err := e.SubmitWait(run, task.Spec{Type: "t", ID: "100", User: "root@pam", Hidden: hidden}); err != nil {
							b.Error(err)
						}
					}
				})
				b.StopTimer()
				b.ReportMetric(float64(store.Stats().Commits-before)/float64(b.N), "commits/op")
				cancel()
				require.NoError(b, <-ended)
			})
		}
	}
}
