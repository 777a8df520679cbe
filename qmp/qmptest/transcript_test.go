package qmptest_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/qmptest"
)

func TestParseTranscript(t *testing.T) {
	text := "# comment\n\nS {\"QMP\": {}, \"timestamp\": {\"seconds\": 1}}\n  C {\"id\":1, \"execute\":\"x<&>\"}\nEND\n"
	got, err := qmptest.ParseTranscript([]byte(text))
	require.NoError(t, err)
	require.Equal(t, "S {\"QMP\":{}}\nC {\"execute\":\"x<&>\",\"id\":1}\nEND\n", string(got.Text()))
	for name, bad := range map[string]string{
		"no kind": `{"QMP":{}}`, "other kind": `X {}`, "no JSON": `S {`, "no object": `S 1`, "null": `C null`, "after the end": "END\nS {}", "bare": "S",
	} {
		_, err := qmptest.ParseTranscript([]byte(bad))
		require.ErrorContains(t, err, "line ", name)
	}
}

func FuzzParseTranscript(f *testing.F) {
	for _, s := range []string{"S {\"QMP\":{}}\nC {}\nEND", "C {\"a\":\"\\u003c\"}", "# x\n\n", "S \xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := qmptest.ParseTranscript(in)
		if err != nil {
			return
		}
		again, err := qmptest.ParseTranscript(got.Text())
		require.NoError(t, err)
		require.Equal(t, string(got.Text()), string(again.Text()))
	})
}

// complaints stands in for a test and collects what it would say.
type complaints struct {
	testing.TB
	mu   sync.Mutex
	list []string
}

func (c *complaints) Helper()        {}
func (c *complaints) Cleanup(func()) {}
func (c *complaints) Errorf(f string, a ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, fmt.Sprintf(f, a...))
}

const script = `S {"QMP":{"version":{"qemu":{"major":7,"minor":2,"micro":0},"package":""},"capabilities":[]}}
C {"execute":"qmp_capabilities","id":"a"}
S {"id":"a","return":{}}
C {"execute":"first","arguments":{"n":1},"id":"b"}
C {"execute":"second","id":"c"}
S {"id":"c","return":{"of":"second"}}
S {"event":"LATE"}
S {"id":"b","return":{"of":"first"}}
`

func TestReplayAnswersByID(t *testing.T) {
	transcript, err := qmptest.ParseTranscript([]byte(script))
	require.NoError(t, err)
	peer := qmptest.New(t, &qmptest.Options{Transcript: transcript})
	c, err := qmp.NewClient(t.Context(), peer.Conn(), nil)
	require.NoError(t, err)
	defer c.Close()
	var first struct{ Of string }
	done := make(chan error, 1)
	go func() { done <- c.Do(t.Context(), "first", map[string]int{"n": 1}, &first) }()
	peer.Await(t.Context(), "first", 1)
	var second struct{ Of string }
	require.NoError(t, c.Do(t.Context(), "second", nil, &second))
	require.NoError(t, <-done)
	require.Equal(t, "first second", first.Of+" "+second.Of)
}

func TestReplayInsistsOnTheRecording(t *testing.T) {
	for name, say := range map[string]func(context.Context, *qmp.Client) error{
		"other command":   func(ctx context.Context, c *qmp.Client) error { return c.Do(ctx, "second", nil, nil) },
		"other arguments": func(ctx context.Context, c *qmp.Client) error { return c.Do(ctx, "first", nil, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			transcript, err := qmptest.ParseTranscript([]byte(script))
			require.NoError(t, err)
			tb := &complaints{TB: t}
			peer := qmptest.New(tb, &qmptest.Options{Transcript: transcript})
			defer peer.Close()
			c, err := qmp.NewClient(t.Context(), peer.Conn(), nil)
			require.NoError(t, err)
			defer c.Close()
			require.ErrorIs(t, say(t.Context(), c), qmp.ErrDisconnected)
			peer.Close()
			require.Len(t, tb.list, 1)
			require.Contains(t, tb.list[0], "in place of")
		})
	}
}

func TestRecorderPassesDescriptors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	qmptest.NewMachine(t, nil).Listen(path)
	conn, err := net.Dial("unix", path)
	require.NoError(t, err)
	rec := qmptest.Record(conn.(*net.UnixConn))
	c, err := qmp.NewClient(t.Context(), rec, nil)
	require.NoError(t, err)
	f, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, c.DoFD(t.Context(), "getfd", map[string]string{"fdname": "x"}, f, nil))
	require.NoError(t, c.Close())
	transcript, err := rec.Transcript()
	require.NoError(t, err)
	require.False(t, transcript.Ended, "we hung up")
	require.Len(t, transcript.Lines, 5)
	require.JSONEq(t, `{"execute":"getfd","arguments":{"fdname":"x"}}`, string(transcript.Lines[3].Message))
}
