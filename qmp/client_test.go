package qmp_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/qmptest"
)

func TestDialErrors(t *testing.T) {
	dir := t.TempDir()
	_, err := qmp.Dial(t.Context(), filepath.Join(dir, "absent"), nil)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = qmp.Dial(t.Context(), filepath.Join(dir, strings.Repeat("d", 120), "absent"), nil)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = qmp.NewClient(t.Context(), qmptest.New(t, nil).Conn(), &qmp.Options{MaxMessage: -1})
	require.ErrorContains(t, err, "negative")
}

func TestDialLongPath(t *testing.T) {
	if runtime.GOOS != "linux" {
		return // elsewhere the limit of sockaddr_un stands
	}
	long := filepath.Join(t.TempDir(), strings.Repeat("d", 120))
	require.NoError(t, os.Mkdir(long, 0o700))
	short := filepath.Join(t.TempDir(), "s")
	qmptest.NewMachine(t, nil).Listen(short)
	path := filepath.Join(long, "qmp.sock")
	require.NoError(t, os.Rename(short, path))
	c, err := qmp.Dial(deadline(t), path, nil)
	require.NoError(t, err)
	require.NoError(t, c.Close())
}

func TestGreetingAnyCut(t *testing.T) {
	for _, chunk := range []int{1, 2, 7} {
		c := open(t, qmptest.New(t, &qmptest.Options{Chunk: chunk}), nil)
		require.Equal(t, "7.2.22", c.Greeting().Version.String())
		require.Equal(t, "test", c.Greeting().Version.Package)
	}
}

func TestEventsBeforeGreeting(t *testing.T) {
	var sub *qmp.Subscription
	opts := &qmp.Options{Setup: func(c *qmp.Client) { sub = c.Subscribe("EARLY") }}
	peer := qmptest.New(t, &qmptest.Options{Before: []string{`{"event":"EARLY","data":{"n":1}}`, `{"event":"OTHER"}` + "\n\n" + `{"event":"EARLY","data":{"n":2}}`}})
	open(t, peer, opts)
	for n := int64(1); n <= 2; n++ {
		e, err := sub.Next(deadline(t), nil)
		require.NoError(t, err)
		require.Equal(t, n, e.Int("n"))
		require.True(t, e.Time.IsZero())
	}
}

func TestSilentPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := qmptest.New(t, &qmptest.Options{Silent: true})
		start := time.Now()
		_, err := qmp.NewClient(t.Context(), silent.Conn(), nil)
		require.ErrorIs(t, err, qmp.ErrNoGreeting)
		require.Equal(t, 10*time.Second, time.Since(start))

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = qmp.NewClient(ctx, silent.Conn(), &qmp.Options{GreetingTimeout: -1})
		require.ErrorIs(t, err, qmp.ErrNoGreeting)
		require.ErrorIs(t, err, context.DeadlineExceeded)

		ctx, cancel = context.WithCancel(t.Context())
		cancel()
		_, err = qmp.NewClient(ctx, silent.Conn(), nil)
		require.ErrorIs(t, err, context.Canceled)
		require.NotErrorIs(t, err, qmp.ErrNoGreeting)
		silent.Close()
	})
}

func TestDisconnectAtEveryByte(t *testing.T) {
	whole := len(qmptest.Greeting) + 2 + len(`{"return":{}}`) + 2 + len(`{"return":{"n":7}}`)
	for n := 1; n <= whole; n++ {
		peer := qmptest.New(t, &qmptest.Options{CutAfter: n})
		peer.Handle("ask", func(*qmptest.Request) (any, error) { return map[string]int{"n": 7}, nil })
		c, err := qmp.NewClient(deadline(t), peer.Conn(), nil)
		if err == nil {
			var out struct{ N int }
			if err = c.Do(deadline(t), "ask", nil, &out); err == nil {
				require.Equal(t, whole, n, "a reply that was not whole was taken")
				require.Equal(t, 7, out.N)
			}
			c.Close()
		}
		if n < whole {
			require.ErrorIs(t, err, qmp.ErrDisconnected, n)
		}
	}
}

func TestThreat24_HostileStreamEndsTheSessionAlone(t *testing.T) {
	cases := map[string]string{
		"text":              "HELLO\r\n",
		"array":             "[]",
		"no kind":           `{"id":2}`,
		"broken":            `{"return":}`,
		"wrong types":       `{"error":"boom","id":2}`,
		"second greeting":   qmptest.Greeting,
		"deep":              `{"return":` + strings.Repeat("[", 2000),
		"large":             `{"return":"` + strings.Repeat("x", 2<<20),
		"not UTF-8 between": "\xff{}",
		"control character": "{\"return\":\"\x01\",\"id\":2}",
	}
	for name, raw := range cases {
		t.Run(name, func(t *testing.T) {
			good, bad := qmptest.NewMachine(t, nil), qmptest.New(t, nil)
			bad.Handle("ask", func(*qmptest.Request) (any, error) {
				bad.Raw([]byte(raw))
				return nil, qmptest.ErrNoReply
			})
			other, c := open(t, good.Peer, nil), open(t, bad, &qmp.Options{MaxMessage: 1 << 20})
			sub := c.Subscribe()
			err := c.Do(deadline(t), "ask", nil, nil)
			var perr *qmp.ProtocolError
			require.ErrorAs(t, err, &perr)
			require.ErrorIs(t, err, qmp.ErrUnanswered)
			require.ErrorAs(t, c.Err(), &perr)
			_, err = sub.Next(deadline(t), nil)
			require.ErrorAs(t, err, &perr)
			require.NoError(t, other.Do(deadline(t), "query-status", nil, nil))
		})
	}
}

// TestReplyWithoutID has one taker at most: the command that was sent without. A second one belongs to nobody.
func TestReplyWithoutID(t *testing.T) {
	for name, raw := range map[string]string{
		"reply": `{"return":{}}`,
		"error": `{"error":{"class":"GenericError","desc":"JSON parse error"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			peer := qmptest.New(t, nil)
			peer.Handle("ask", func(*qmptest.Request) (any, error) { return nil, qmptest.ErrNoReply })
			c := open(t, peer, nil)
			first, second := make(chan error, 1), make(chan error, 1)
			go func() { first <- c.Do(deadline(t), "ask", nil, nil) }()
			require.Nil(t, peer.Await(deadline(t), "ask", 1).ID)
			go func() { second <- c.Do(deadline(t), "ask", nil, nil) }()
			require.NotNil(t, peer.Await(deadline(t), "ask", 2).ID)
			peer.Raw([]byte(raw))
			err := <-first
			require.NotErrorIs(t, err, qmp.ErrUnanswered)
			require.NoError(t, c.Err())
			peer.Raw([]byte(raw))
			var perr *qmp.ProtocolError
			require.ErrorAs(t, <-second, &perr)
			require.ErrorAs(t, c.Err(), &perr)
		})
	}
}

func TestThreat24_FloodNeedsBoundedMemory(t *testing.T) {
	peer := qmptest.New(t, nil)
	event := `{"event":"NOISE","data":{"pad":"` + strings.Repeat("x", 100<<10) + `"}}`
	peer.Handle("flood", func(*qmptest.Request) (any, error) {
		for range 100 { // 10 MB
			peer.Raw([]byte(event + `{"return":{},"id":123456789}{"error":{"class":"x","desc":"y"},"id":"never sent"}`))
		}
		return nil, nil
	})
	c := open(t, peer, nil)
	unread := c.Subscribe("NOISE") // nobody reads it
	require.NoError(t, c.Do(deadline(t), "flood", nil, nil))
	require.EqualValues(t, 200, c.Stats().Unmatched)
	require.EqualValues(t, 100, c.Stats().Events)

	var held, n int
	for {
		e, err := unread.Next(deadline(t), nil)
		var gap *qmp.OverflowError
		if errors.As(err, &gap) {
			require.Zero(t, n, "the gap comes where the lost events were")
			require.Equal(t, unread.Dropped(), gap.Dropped)
			continue
		}
		require.NoError(t, err)
		held, n = held+len(e.Data), n+1
		if n == 100-int(unread.Dropped()) {
			break
		}
	}
	require.LessOrEqual(t, held, 1<<20)
	require.Greater(t, n, 5)
}

func TestCloseFailsWhatWaits(t *testing.T) {
	peer := qmptest.New(t, nil)
	peer.Handle("never", func(*qmptest.Request) (any, error) { return nil, qmptest.ErrNoReply })
	c := open(t, peer, nil)
	sub := c.Subscribe()
	failed := make(chan error, 2)
	go func() { failed <- c.Do(t.Context(), "never", nil, nil) }()
	go func() { _, err := sub.Next(t.Context(), nil); failed <- err }()
	peer.Await(deadline(t), "never", 1)
	require.NoError(t, c.Err())
	require.NoError(t, c.Close())
	require.NoError(t, c.Close())
	for range 2 {
		err := <-failed
		require.ErrorIs(t, err, qmp.ErrClosed)
		require.ErrorIs(t, err, net.ErrClosed)
	}
	<-c.Done()
	require.ErrorIs(t, c.Err(), qmp.ErrClosed)
	require.ErrorIs(t, c.Do(t.Context(), "never", nil, nil), qmp.ErrClosed)
}

// oneWay is a connection whose writes fail while its reads go on.
type oneWay struct {
	net.Conn
	broken chan struct{}
}

func (o *oneWay) Write(b []byte) (int, error) {
	select {
	case <-o.broken:
		return 0, io.ErrClosedPipe
	default:
		return o.Conn.Write(b)
	}
}

func TestLastWordsAreReadAfterAFailedWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := qmptest.New(t, nil)
		conn := &oneWay{Conn: peer.Conn(), broken: make(chan struct{})}
		c, err := qmp.NewClient(t.Context(), conn, nil)
		require.NoError(t, err)
		sub := c.Subscribe()
		close(conn.broken)
		go func() {
			peer.Emit("SHUTDOWN", nil)
			peer.HangUp()
		}()
		err = c.Do(t.Context(), "query-status", nil, nil)
		require.ErrorIs(t, err, qmp.ErrDisconnected)
		e, err := sub.Next(t.Context(), nil)
		require.NoError(t, err)
		require.Equal(t, "SHUTDOWN", e.Name)
		c.Close()

		// And a peer that does not end its side is given up after a while.
		conn = &oneWay{Conn: peer.Conn(), broken: make(chan struct{})}
		c, err = qmp.NewClient(t.Context(), conn, nil)
		require.NoError(t, err)
		close(conn.broken)
		require.ErrorIs(t, c.Do(t.Context(), "query-status", nil, nil), qmp.ErrUnanswered)
		peer.Close()
		c.Close()
	})
}

func TestDead(t *testing.T) {
	c := qmp.Dead(qmp.ErrNoGreeting)
	require.ErrorIs(t, c.Err(), qmp.ErrNoGreeting)
	require.ErrorIs(t, c.Do(t.Context(), "x", nil, nil), qmp.ErrNoGreeting)
	f, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer f.Close()
	for range 2 {
		require.ErrorIs(t, c.DoFD(t.Context(), "x", nil, f, nil), qmp.ErrNoGreeting)
	}
	sub := c.Subscribe()
	_, err = sub.Next(t.Context(), nil)
	require.ErrorIs(t, err, qmp.ErrNoGreeting)
	sub.Close()
	require.NoError(t, c.Close())
	<-c.Done()
}

func TestGoroutinesOfAClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := qmptest.New(t, nil)
		count := runtime.NumGoroutine()
		c, err := qmp.NewClient(t.Context(), peer.Conn(), nil) // and one of the peer
		require.NoError(t, err)
		synctest.Wait()
		require.LessOrEqual(t, runtime.NumGoroutine()-count, 3)
		c.Close()
		peer.Close()
		synctest.Wait()
		require.LessOrEqual(t, runtime.NumGoroutine(), count) // others may end beside us
	})
}

func FuzzStream(f *testing.F) {
	for _, s := range []string{
		qmptest.Greeting, `{"return":{},"id":1}{"event":"STOP","timestamp":{"seconds":-1,"microseconds":-1}}`,
		`{"error":{"class":"DeviceNotFound","desc":"x"},"id":2}`, `{"QMP":null}`, `{"return":null,"id":2}{"id":`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		client, server := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, server) }()
		go func() {
			_, _ = server.Write([]byte(qmptest.Greeting))
			_, _ = server.Write([]byte(`{"return":{}}`))
			_, _ = server.Write(in)
			server.Close()
		}()
		c, err := qmp.NewClient(t.Context(), client, &qmp.Options{MaxMessage: 1 << 16, MaxEvents: 4})
		if err != nil {
			return // the input raced the handshake's end
		}
		sub := c.Subscribe()
		var out json.RawMessage
		if err := c.Do(t.Context(), "ask", nil, &out); err == nil {
			require.True(t, json.Valid(out))
		}
		<-c.Done()
		require.Error(t, c.Err())
		for {
			e, err := sub.Next(t.Context(), nil)
			var gap *qmp.OverflowError
			if err != nil && !errors.As(err, &gap) {
				break
			}
			_, _, _ = e.Str("a"), e.Int("b"), e.Bool("c")
		}
		require.NoError(t, c.Close())
	})
}
