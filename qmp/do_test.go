package qmp_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/qmptest"
)

func TestArgumentsAndReply(t *testing.T) {
	peer := qmptest.New(t, nil)
	peer.Handle("echo", func(r *qmptest.Request) (any, error) { return r.Arguments, nil })
	c := open(t, peer, nil)

	var out struct{ A string }
	require.NoError(t, c.Do(deadline(t), "echo", map[string]any{"a": "ü\n\"<&"}, &out))
	require.Equal(t, "ü\n\"<&", out.A)
	var raw json.RawMessage
	require.NoError(t, c.Do(deadline(t), "echo", json.RawMessage(`{"n": [1, {"m": 2}]}`), &raw))
	require.JSONEq(t, `{"n":[1,{"m":2}]}`, string(raw))
	var none map[string]string
	require.NoError(t, c.Do(deadline(t), "echo", none, nil))
	require.Nil(t, peer.Await(deadline(t), "echo", 3).Arguments)

	require.ErrorContains(t, c.Do(deadline(t), "echo", []int{1}, nil), "no JSON object")
	require.ErrorContains(t, c.Do(deadline(t), "echo", map[string]any{"f": func() {}}, nil), "encode arguments")
	var wrong struct{ A int }
	require.ErrorContains(t, c.Do(deadline(t), "echo", map[string]any{"a": "x"}, &wrong), "decode reply")
	require.ErrorIs(t, c.Do(deadline(t), `no "such\`, nil, nil), qmp.ErrCommandNotFound) // the session stands all this
	require.NoError(t, c.Err())
}

func TestRepliesMatchById(t *testing.T) {
	peer := qmptest.New(t, nil)
	var mu sync.Mutex
	var held []*qmptest.Request
	peer.Handle("hold", func(r *qmptest.Request) (any, error) {
		mu.Lock()
		defer mu.Unlock()
		if held = append(held, r); len(held) == 10 {
			for i := len(held) - 1; i >= 0; i-- { // the last one first
				peer.Reply(held[i], held[i].Arguments, nil)
			}
		}
		return nil, qmptest.ErrNoReply
	})
	c := open(t, peer, nil)
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			var out struct{ N int }
			if err := c.Do(deadline(t), "hold", map[string]int{"n": i}, &out); err != nil || out.N != i {
				t.Errorf("call %d got %d, %v", i, out.N, err)
			}
		})
	}
	wg.Wait()
}

func TestCancelAbandonsTheReply(t *testing.T) {
	peer := qmptest.New(t, nil)
	var late *qmptest.Request
	peer.Handle("slow", func(r *qmptest.Request) (any, error) { late = r; return nil, qmptest.ErrNoReply })
	peer.Handle("quick", func(*qmptest.Request) (any, error) {
		if late != nil {
			peer.Reply(late, map[string]string{"whose": "slow"}, nil)
		}
		return map[string]string{"whose": "quick"}, nil
	})
	c := open(t, peer, nil)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() { failed <- c.Do(ctx, "slow", nil, nil) }()
	peer.Await(deadline(t), "slow", 1) // the command is under way and will be executed
	cancel()
	require.ErrorIs(t, <-failed, context.Canceled)
	var out struct{ Whose string }
	require.NoError(t, c.Do(deadline(t), "quick", nil, &out))
	require.Equal(t, "quick", out.Whose)
	require.Zero(t, c.Stats().Unmatched)

	require.ErrorIs(t, c.Do(ctx, "slow", nil, nil), context.Canceled)
	require.Len(t, peer.Requests(), 2, "a command whose context has ended is not sent")
}

func TestInFlightIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := qmptest.New(t, nil)
		var held []*qmptest.Request
		peer.Handle("hold", func(r *qmptest.Request) (any, error) { held = append(held, r); return nil, qmptest.ErrNoReply })
		c, err := qmp.NewClient(t.Context(), peer.Conn(), &qmp.Options{MaxInFlight: 2})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if err := c.Do(ctx, "hold", nil, nil); !errors.Is(err, context.Canceled) {
					t.Errorf("hold: %v", err)
				}
			})
		}
		synctest.Wait()
		require.Len(t, held, 2)
		cancel() // all give up; two stay unanswered and count
		wg.Wait()
		answered := make(chan error, 1)
		go func() { answered <- c.Do(t.Context(), "hold", nil, nil) }()
		synctest.Wait()
		require.Len(t, held, 2)
		peer.Reply(held[0], nil, nil)
		synctest.Wait()
		require.Len(t, held, 3)
		peer.Reply(held[2], nil, nil)
		require.NoError(t, <-answered)
		c.Close()
		peer.Close()
	})
}

func TestWritesAreCoalesced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := qmptest.New(t, nil)
		peer.Handle("ask", func(*qmptest.Request) (any, error) { return nil, nil })
		gate := &gatedConn{readWriteCloser: peer.Conn(), gate: make(chan struct{}, 100)}
		gate.gate <- struct{}{}
		c, err := qmp.NewClient(t.Context(), gate, nil)
		require.NoError(t, err)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if err := c.Do(t.Context(), "ask", nil, nil); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait() // one write hangs, the rest queues up behind it
		for range 3 {
			gate.gate <- struct{}{}
		}
		wg.Wait()
		require.LessOrEqual(t, gate.writes, 3)
		c.Close()
		peer.Close()
	})
}

// gatedConn lets a write pass for each token.
type gatedConn struct {
	readWriteCloser
	gate   chan struct{}
	writes int
}

type readWriteCloser = interface {
	Read([]byte) (int, error)
	Write([]byte) (int, error)
	Close() error
}

func (g *gatedConn) Write(b []byte) (int, error) {
	<-g.gate
	g.writes++
	return g.readWriteCloser.Write(b)
}

func TestOutOfBandWhereOffered(t *testing.T) {
	for _, offered := range []bool{true, false} {
		o := &qmptest.Options{}
		if !offered {
			o.Greeting = `{"QMP":{"version":{"qemu":{"major":2,"minor":5,"micro":1},"package":""},"capabilities":[{"new":1},"other"]}}`
		}
		peer := qmptest.New(t, o)
		peer.Handle("yank", func(r *qmptest.Request) (any, error) { return map[string]bool{"oob": r.OOB}, nil })
		peer.Handle("stop", func(r *qmptest.Request) (any, error) { return map[string]bool{"oob": r.OOB}, nil })
		c := open(t, peer, &qmp.Options{OutOfBand: []string{"yank"}})
		var out struct{ OOB bool }
		require.NoError(t, c.Do(deadline(t), "yank", nil, &out))
		require.Equal(t, offered, out.OOB)
		require.NoError(t, c.Do(deadline(t), "stop", nil, &out))
		require.False(t, out.OOB)
	}
}

func TestDoFDNeedsAUnixSocket(t *testing.T) {
	f, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer f.Close()
	c := open(t, qmptest.NewMachine(t, nil).Peer, nil)
	require.ErrorIs(t, c.DoFD(deadline(t), "getfd", map[string]string{"fdname": "x"}, f, nil), errors.ErrUnsupported)
}

func TestDoFDPassesTheOpenFile(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "file"))
	require.NoError(t, err)
	peer := qmptest.New(t, nil)
	got := make(chan *os.File, 1)
	peer.Handle("add-fd", func(r *qmptest.Request) (any, error) { got <- r.TakeFile(); return nil, nil })
	path := filepath.Join(dir, "s")
	peer.Listen(path)
	c, err := qmp.Dial(deadline(t), path, nil)
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.DoFD(deadline(t), "add-fd", nil, f, nil))
	require.NoError(t, f.Close())
	passed := <-got
	require.NotNil(t, passed)
	_, err = passed.WriteString("through")
	require.NoError(t, err)
	data, err := os.ReadFile(filepath.Join(dir, "file"))
	require.NoError(t, err)
	require.Equal(t, "through", string(data))
	require.ErrorContains(t, c.DoFD(deadline(t), "add-fd", nil, f, nil), "closed file")
	require.ErrorIs(t, c.Do(deadline(t), "other", nil, nil), qmp.ErrCommandNotFound) // no slot was lost
}
