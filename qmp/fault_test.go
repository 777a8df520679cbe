package qmp_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/qmptest"
)

// TestHalfAMessageThenSilence gives up on a reply that stops in the middle, at every place of it, and finds the session whole
// when the rest comes.
func TestHalfAMessageThenSilence(t *testing.T) {
	const late = `{"return":{"whose":"slow"}}` + "\r\n"
	for cut := range len(late) - len("\r\n") { // an object ends with its brace
		synctest.Test(t, func(t *testing.T) {
			peer := qmptest.New(t, nil)
			peer.Handle("slow", func(*qmptest.Request) (any, error) {
				peer.Raw([]byte(late[:cut]))
				return nil, qmptest.ErrNoReply
			})
			peer.Handle("quick", func(*qmptest.Request) (any, error) { return map[string]string{"whose": "quick"}, nil })
			c, err := qmp.NewClient(t.Context(), peer.Conn(), nil)
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			start := time.Now()
			require.ErrorIs(t, c.Do(ctx, "slow", nil, nil), context.DeadlineExceeded)
			require.Equal(t, time.Minute, time.Since(start))
			peer.Raw([]byte(late[cut:]))
			var out struct{ Whose string }
			require.NoError(t, c.Do(t.Context(), "quick", nil, &out))
			require.Equal(t, "quick", out.Whose)
			require.Zero(t, c.Stats().Unmatched)
			c.Close()
			peer.Close()
		})
	}
}

// TestPeerThatDoesNotRead holds up nobody beyond their deadline, nor Close.
func TestPeerThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe() // takes nothing that nobody reads
		go func() {
			_, _ = server.Write([]byte(qmptest.Greeting + "\r\n"))
			line := make([]byte, 64)
			_, _ = server.Read(line)
			_, _ = server.Write([]byte(`{"return":{}}` + "\r\n"))
		}()
		c, err := qmp.NewClient(t.Context(), client, nil)
		require.NoError(t, err)
		failed := make(chan error, 20)
		for range cap(failed) {
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				failed <- c.Do(ctx, "query-status", nil, nil)
			}()
		}
		for range cap(failed) {
			require.ErrorIs(t, <-failed, context.DeadlineExceeded)
		}
		waiting := make(chan error, 1)
		go func() { waiting <- c.Do(t.Context(), "query-status", nil, nil) }()
		synctest.Wait()
		require.NoError(t, c.Close())
		require.ErrorIs(t, <-waiting, qmp.ErrClosed)
		server.Close()
	})
}

// TestRepliesUpToTheLimit takes what is just small enough, and ends the session at one byte more.
func TestRepliesUpToTheLimit(t *testing.T) {
	const limit = 4 << 20
	peer := qmptest.New(t, nil)
	reply := func(size int) {
		head, tail := `{"return":"`, `"}`
		peer.Raw([]byte(head + strings.Repeat("x", size-len(head)-len(tail)) + tail + "\r\n"))
	}
	peer.Handle("fits", func(*qmptest.Request) (any, error) { reply(limit); return nil, qmptest.ErrNoReply })
	peer.Handle("too-large", func(*qmptest.Request) (any, error) { reply(limit + 1); return nil, qmptest.ErrNoReply })
	c := open(t, peer, &qmp.Options{MaxMessage: limit})
	for range 3 {
		var out json.RawMessage
		require.NoError(t, c.Do(deadline(t), "fits", nil, &out))
		require.Greater(t, len(out), limit-100)
	}
	err := c.Do(deadline(t), "too-large", nil, nil)
	var perr *qmp.ProtocolError
	require.ErrorAs(t, err, &perr)
	require.ErrorIs(t, err, c.Err())
}

// breaking fails each operation of a connection in turn.
type breaking struct {
	net.Conn
	left int // operations until the break
	err  error
}

func (b *breaking) step() error {
	if b.left--; b.left < 0 {
		return b.err
	}
	return nil
}

func (b *breaking) Read(p []byte) (int, error) {
	if err := b.step(); err != nil {
		return 0, err
	}
	return b.Conn.Read(p)
}

// TestReadErrors ends the session with the error of the connection, at whatever read it comes.
func TestReadErrors(t *testing.T) {
	broken := errors.New("broken")
	for left := range 8 {
		peer := qmptest.New(t, &qmptest.Options{Chunk: 40})
		peer.Handle("ask", func(*qmptest.Request) (any, error) { return nil, nil })
		c, err := qmp.NewClient(deadline(t), &breaking{Conn: peer.Conn(), left: left, err: broken}, nil)
		for err == nil {
			if err = c.Do(deadline(t), "ask", nil, nil); err != nil {
				require.ErrorIs(t, c.Err(), broken)
				c.Close()
			}
		}
		require.ErrorIs(t, err, broken, left)
		require.NotErrorIs(t, err, io.EOF)
		peer.Close()
	}
}
