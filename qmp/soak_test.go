package qmp_test

import (
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/qmp"
)

// soakVar names the environment variable with the number of sessions that TestSoakSessions goes through; make soak sets it.
const soakVar = "GPVE_SOAK_SESSIONS"

// TestSoakSessions opens and closes sessions of all fates and sees nothing pile up: no goroutine, descriptor or memory.
func TestSoakSessions(t *testing.T) {
	sessions := 4000
	if s := os.Getenv(soakVar); s != "" {
		var err error
		sessions, err = strconv.Atoi(s)
		require.NoError(t, err)
	}
	path := otherProcess(t)
	null, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer null.Close()

	const workers = 8
	round := func(n int) {
		var next atomic.Int64
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for i := next.Add(1); i <= int64(n); i = next.Add(1) {
					if err := oneSession(t, path, null, int(i)); err != nil {
						t.Errorf("session %d: %v", i, err)
						return
					}
				}
			})
		}
		wg.Wait()
	}
	round(200) // what the runtime allocates once is there
	bytes, goroutines := inUse()
	files := openFiles(t)
	round(sessions)
	require.False(t, t.Failed())
	moreBytes, moreGoroutines := inUse()
	t.Logf("%d sessions: %+d bytes, %+d goroutines, %+d descriptors", sessions, moreBytes-bytes, moreGoroutines-goroutines, openFiles(t)-files)
	require.LessOrEqual(t, moreGoroutines, goroutines)
	require.LessOrEqual(t, openFiles(t), files)
	// A leak of 16 bytes each would show in the long run, of 256 in the short one. The race detector keeps more stacks.
	limit := int64(1 << 20)
	if raceDetector {
		limit *= 4
	}
	require.LessOrEqual(t, moreBytes-bytes, limit)
}

// oneSession is one of the ways that a session can go.
func oneSession(t *testing.T, path string, file *os.File, i int) error {
	c, err := qmp.Dial(t.Context(), path, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	sub := c.Subscribe("STOP")
	switch i % 5 {
	case 0: // closed at once, by two
		var wg sync.WaitGroup
		wg.Go(func() { c.Close() })
		err = c.Close()
		wg.Wait()
		return err
	case 1: // with a subscription that is left open, after a command
		return c.Do(t.Context(), "query-status", nil, nil)
	case 2: // with a descriptor
		err = c.DoFD(t.Context(), "getfd", map[string]string{"fdname": "x"}, file, nil)
	case 3: // the peer hangs up on a command that it does not read to its end
		_ = c.Do(t.Context(), "hang-up", nil, nil)
		<-c.Done()
	case 4: // closed under a waiting command and a waiting reader of events
		var wg sync.WaitGroup
		wg.Go(func() { _ = c.Do(t.Context(), "keep-silent", nil, nil) })
		wg.Go(func() { _, _ = sub.Next(t.Context(), nil) })
		err = c.Close()
		wg.Wait()
	}
	sub.Close()
	return err
}

// openFiles counts the descriptors of this process.
func openFiles(t *testing.T) int {
	t.Helper()
	dir := "/dev/fd"
	if runtime.GOOS == "linux" {
		dir = "/proc/self/fd"
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	return len(entries)
}
