package qmp_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/qmptest"
)

const peerVar = "QMP_TEST_PEER" // the socket that a process of otherProcess listens at

// TestMain lets this binary be the peer, too: what a client needs shows only where its peer is another process.
func TestMain(m *testing.M) {
	if path := os.Getenv(peerVar); path != "" {
		servePeers(path)
		return
	}
	os.Exit(m.Run())
}

// otherProcess starts a process of fast peers, any number at one socket.
func otherProcess(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), peerVar+"="+path)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	require.Eventually(t, func() bool {
		c, err := qmp.Dial(t.Context(), path, nil)
		if err == nil {
			c.Close()
		}
		return err == nil
	}, 10*time.Second, 5*time.Millisecond)
	return path
}

// inUse returns the bytes of heap and stacks, and the goroutines.
func inUse() (bytes int64, goroutines int) {
	runtime.GC() // pools give up what they hold at the second collection, finalizers run after the first
	runtime.GC()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse), runtime.NumGoroutine()
}

// TestFootprintOfAnIdleClient measures what a node pays for each of its guests.
func TestFootprintOfAnIdleClient(t *testing.T) {
	const n = 1000
	path := otherProcess(t)
	bytes, goroutines := inUse()
	clients := make([]*qmp.Client, n)
	for i := range clients {
		c, err := qmp.Dial(deadline(t), path, nil)
		require.NoError(t, err)
		defer c.Close()
		require.NoError(t, c.Do(deadline(t), "query-status", nil, nil))
		clients[i] = c
	}
	moreBytes, moreGoroutines := inUse()
	per := (moreBytes - bytes) / n
	t.Logf("%d bytes and %.2f goroutines for each of %d idle clients", per, float64(moreGoroutines-goroutines)/n, n)
	if !raceDetector {
		require.LessOrEqual(t, per, int64(32<<10))
	}
	require.LessOrEqual(t, moreGoroutines-goroutines, 2*n)
	runtime.KeepAlive(clients)
}

// TestPoolOfAThousand keeps the sessions of a thousand machines, each with a socket of its own, through breaks and restarts.
func TestPoolOfAThousand(t *testing.T) {
	const n = 1000
	dir := t.TempDir()
	path := func(key string) string { return filepath.Join(dir, key) }
	keys, peers := make([]string, n), make([]*qmptest.Machine, n)
	boot := func() {
		for i := range peers {
			keys[i] = fmt.Sprint(i)
			peers[i] = qmptest.NewMachine(t, nil)
			peers[i].Listen(path(keys[i]))
		}
	}
	boot()
	_, before := inUse()
	pool := newPool(t, func(ctx context.Context, key string) (*qmp.Client, error) { return qmp.Dial(ctx, path(key), nil) })
	askAll := func() {
		var wg sync.WaitGroup
		for _, key := range keys {
			wg.Go(func() {
				c, err := pool.Get(deadline(t), key)
				if err == nil {
					err = c.Do(deadline(t), "query-status", nil, nil)
				}
				if err != nil {
					t.Errorf("%s: %v", key, err)
				}
			})
		}
		wg.Wait()
	}
	allLive := func() bool { return pool.Stats().Live == n }
	askAll()
	require.True(t, allLive())
	_, after := inUse()
	require.LessOrEqual(t, after-before, 3*n+10, "two of each client, one of each peer's session")

	for _, p := range peers { // the machines stay, the sessions break
		p.HangUp()
	}
	require.Eventually(t, func() bool { return pool.Stats().Broken == n && allLive() }, 20*time.Second, 5*time.Millisecond, "nobody asked")

	for _, p := range peers { // the machines go, and come back
		p.Close()
	}
	require.Eventually(t, func() bool { return pool.Stats().Live == 0 }, 20*time.Second, 5*time.Millisecond)
	_, err := pool.Get(t.Context(), keys[0])
	require.Error(t, err)
	boot()
	require.Eventually(t, func() bool { // after the pause that the failures left
		for _, key := range keys {
			if _, err := pool.Get(t.Context(), key); err != nil {
				return false
			}
		}
		return true
	}, 20*time.Second, 20*time.Millisecond)
	askAll()
	require.NoError(t, pool.CloseAll())
	require.Zero(t, pool.Stats().Keys)
	for _, p := range peers {
		p.Close()
	}
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before }, 10*time.Second, 5*time.Millisecond)
}
