package volume_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster/memstore"
	"github.com/turtacn/go-proxmox/internal/access"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/internal/volume"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/dir"
)

// What somebody is still writing at the first sweep is swept when that one has died.
func TestSweepComesAgain(t *testing.T) {
	store := memstore.New()
	defer store.Close()
	acc, err := access.New(store, nil)
	require.NoError(t, err)
	tasks, err := task.New(store, task.Options{Node: "pve1", LogDir: t.TempDir()})
	require.NoError(t, err)
	reg, err := storage.NewRegistry(dir.Backend(nil))
	require.NoError(t, err)
	local := filepath.Join(t.TempDir(), "local")
	iso := filepath.Join(local, "template/iso")
	require.NoError(t, os.MkdirAll(iso, 0o755))
	s, err := volume.New(store, tasks, acc, reg, &volume.Options{Node: "pve1", LocalPath: local, ProbeInterval: 5 * time.Millisecond})
	require.NoError(t, err)

	writer, err := dir.New(local, nil) // another process, for all that the locks know
	require.NoError(t, err)
	stage, err := writer.Stage(t.Context(), "iso/x.iso")
	require.NoError(t, err)
	dead := filepath.Join(iso, ".gpve-DEAD.tmp")
	require.NoError(t, os.WriteFile(dead, nil, 0o600))
	temps := func() int {
		names, err := filepath.Glob(filepath.Join(iso, ".gpve-*.tmp"))
		require.NoError(t, err)
		return len(names)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	require.Eventually(t, func() bool { _, err := os.Stat(dead); return os.IsNotExist(err) }, 10*time.Second, time.Millisecond)
	require.Equal(t, 1, temps(), "what is being written stays")
	require.NoError(t, stage.File().Close()) // as the end of its process does
	require.Eventually(t, func() bool { return temps() == 0 }, 10*time.Second, time.Millisecond)
	cancel()
	require.NoError(t, <-done)
}
