package qmp_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/qmptest"
)

// onSocket has a session over a unix socket, where callers read their replies themselves.
func onSocket(t *testing.T) (*qmptest.Machine, *qmp.Client) {
	t.Helper()
	peer := qmptest.NewMachine(t, nil)
	path := filepath.Join(t.TempDir(), "s")
	peer.Listen(path)
	peer.Handle("never", func(*qmptest.Request) (any, error) { return nil, qmptest.ErrNoReply })
	c, err := qmp.Dial(deadline(t), path, nil)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return peer, c
}

func TestCallerWhoReadsSeesItsContext(t *testing.T) {
	_, c := onSocket(t)
	for range 20 {
		require.NoError(t, c.Do(deadline(t), "query-status", nil, nil)) // the reader rests now
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Millisecond)
		start := time.Now()
		require.ErrorIs(t, c.Do(ctx, "never", nil, nil), context.DeadlineExceeded)
		require.Less(t, time.Since(start), 10*time.Second)
		cancel()
		ctx, cancel = context.WithCancel(t.Context())
		go cancel()
		if err := c.Do(ctx, "query-status", nil, nil); err != nil {
			require.ErrorIs(t, err, context.Canceled)
		}
	}
	require.Zero(t, c.Stats().Unmatched)
	require.NoError(t, c.Close())
}

func TestEventsReachThoseWhoWait(t *testing.T) {
	peer, c := onSocket(t)
	sub := c.Subscribe("LATE")
	peer.Handle("ask", func(r *qmptest.Request) (any, error) {
		peer.Reply(r, nil, nil)
		peer.Emit("LATE", nil) // behind the reply that the caller reads
		return nil, qmptest.ErrNoReply
	})
	for range 300 {
		require.NoError(t, c.Do(deadline(t), "ask", nil, nil))
		_, err := sub.Next(deadline(t), nil)
		require.NoError(t, err)
	}
	waiting := make(chan error, 1)
	go func() { _, err := sub.Next(deadline(t), nil); waiting <- err }()
	require.NoError(t, c.Do(deadline(t), "query-status", nil, nil))
	peer.Emit("LATE", nil)
	require.NoError(t, <-waiting)
}

func TestEndIsNoticedDuringARest(t *testing.T) {
	peer, c := onSocket(t)
	require.NoError(t, c.Do(deadline(t), "query-status", nil, nil))
	peer.HangUp()
	select {
	case <-c.Done():
	case <-deadline(t).Done():
		t.Fatal("the end was not noticed")
	}
	require.ErrorIs(t, c.Err(), qmp.ErrDisconnected)
	require.ErrorIs(t, c.Do(deadline(t), "query-status", nil, nil), qmp.ErrDisconnected)

	// Both at once: the one who reads a reply meets the end.
	_, c = onSocket(t)
	require.NoError(t, c.Do(deadline(t), "query-status", nil, nil))
	err := c.Do(deadline(t), "quit", nil, nil)
	require.True(t, err == nil || errors.Is(err, qmp.ErrUnanswered), "%v", err)
	<-c.Done()
	require.NoError(t, c.Close())
}

// TestAllSortsOfCallers mixes what reads by itself with what does not, and with what gives up.
func TestAllSortsOfCallers(t *testing.T) {
	peer, c := onSocket(t)
	null, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer null.Close()
	events := c.Subscribe()
	defer events.Close()
	end := time.Now().Add(time.Second)
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			for time.Now().Before(end) {
				var err error
				switch r.IntN(5) {
				case 0:
					err = c.DoFD(deadline(t), "getfd", map[string]string{"fdname": "x"}, null, nil)
				case 1:
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(r.IntN(200))*time.Microsecond)
					if err = c.Do(ctx, "query-status", nil, nil); errors.Is(err, context.DeadlineExceeded) {
						err = nil
					}
					cancel()
				case 2:
					peer.Emit("NOISE", nil)
				default:
					var s struct{ Status string }
					if err = c.Do(deadline(t), "query-status", nil, &s); err == nil && s.Status != "prelaunch" {
						err = errors.New("another's reply: " + s.Status)
					}
				}
				if err != nil {
					t.Error(err)
					return
				}
				if r.IntN(10) == 0 { // alone for a moment, the reader rests
					<-time.After(time.Duration(r.IntN(5)) * time.Millisecond)
				}
			}
		})
	}
	wg.Wait()
	require.NoError(t, c.Do(deadline(t), "query-status", nil, nil))
	require.Zero(t, c.Stats().Unmatched)
}

// rest returns when nobody reads. One call may not do: the reader can have been called back for something that is over.
func rest(t *testing.T, c *qmp.Client) {
	t.Helper()
	require.Eventually(t, func() bool {
		if c.Do(deadline(t), "query-status", nil, nil) != nil {
			return false
		}
		for range 1000 {
			if qmp.Resting(c) {
				return true
			}
			runtime.Gosched()
		}
		return false
	}, 20*time.Second, time.Microsecond)
}

// TestNoWakeUpIsLost has a reader that rests for an hour: the end of its rest does not make up for a call that got lost.
func TestNoWakeUpIsLost(t *testing.T) {
	peer := qmptest.NewMachine(t, nil)
	path := filepath.Join(t.TempDir(), "s")
	peer.Listen(path)
	c, err := qmp.Dial(deadline(t), path, &qmp.Options{Setup: func(c *qmp.Client) { qmp.RestFor(c, time.Hour) }})
	require.NoError(t, err)
	null, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer null.Close()
	call := func(ctx context.Context, withFD bool) error {
		if withFD { // by the writer
			return c.DoFD(ctx, "getfd", map[string]string{"fdname": "x"}, null, nil)
		}
		return c.Do(ctx, "query-status", nil, nil)
	}
	for _, callers := range []int{1, 2, 3, 8} { // alone, and those who find another at it
		ctx := deadline(t)
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(i), uint64(callers)))
				for range 12000 / callers {
					if err := call(ctx, r.IntN(8) == 0); err != nil {
						t.Errorf("%d callers: %v", callers, err)
						return
					}
				}
			})
		}
		wg.Wait()
	}
	sub := c.Subscribe("LATE")
	for range 100 {
		rest(t, c)
		peer.Emit("LATE", nil)
		_, err := sub.Next(deadline(t), nil)
		require.NoError(t, err)
	}
	rest(t, c)
	closed := make(chan error, 1)
	go func() { closed <- c.Close() }()
	select {
	case err := <-closed:
		require.NoError(t, err)
	case <-deadline(t).Done():
		t.Fatal("Close waits for a reader that rests")
	}
	_, err = sub.Next(deadline(t), nil)
	require.ErrorIs(t, err, qmp.ErrClosed)
}

// TestCloseWhileACallerReads has the one who reads meet the end, which the resting reader must not do again.
func TestCloseWhileACallerReads(t *testing.T) {
	peer := qmptest.NewMachine(t, nil)
	path := filepath.Join(t.TempDir(), "s")
	peer.Listen(path)
	asked := make(chan struct{}, 1)
	peer.Handle("never", func(*qmptest.Request) (any, error) { asked <- struct{}{}; return nil, qmptest.ErrNoReply })
	for range 100 {
		c, err := qmp.Dial(deadline(t), path, &qmp.Options{Setup: func(c *qmp.Client) { qmp.RestFor(c, time.Hour) }})
		require.NoError(t, err)
		rest(t, c)
		got := make(chan error, 1)
		go func() { got <- c.Do(deadline(t), "never", nil, nil) }()
		<-asked
		require.NoError(t, c.Close())
		err = <-got
		require.ErrorIs(t, err, qmp.ErrUnanswered)
		require.ErrorIs(t, err, qmp.ErrClosed)
		require.ErrorIs(t, c.Err(), qmp.ErrClosed)
	}
}
