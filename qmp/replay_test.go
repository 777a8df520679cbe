package qmp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/internal/qemutest"
	"github.com/turtacn/go-proxmox/qmp/qmptest"
)

var update = flag.Bool("update", false, "record the transcripts in testdata anew")

// saying is what a session showed to its user, in a form that can be compared.
type saying struct {
	Greeting qmp.Greeting
	Replies  []string // as JSON, or the text of the error
	Classes  []string
	Events   []string // name and data
	End      error
}

// converse is a session with something of everything, ended by QEMU. It stops at the first failure of the session.
func converse(ctx context.Context, rw readWriteCloser) (said saying, err error) {
	var sub *qmp.Subscription
	c, err := qmp.NewClient(ctx, rw, &qmp.Options{OutOfBand: []string{"migrate-pause"}, Setup: func(c *qmp.Client) { sub = c.Subscribe() }})
	if err != nil {
		return said, err
	}
	defer c.Close()
	said.Greeting = c.Greeting()
	for _, cmd := range []struct {
		name string
		args any
	}{
		{"query-status", nil},
		{"query-name", nil},
		{"object-add", map[string]any{"qom-type": "secret", "id": "sec0", "data": "ü\n\"<&"}},
		{"no-such-command", nil},
		{"device_del", map[string]any{"id": "nothing"}},
		{"device_del", nil},
		{"cont", nil},
		{"stop", nil},
		{"system_reset", nil},
		{"migrate-pause", nil},
		{"qom-get", map[string]any{"path": "/objects/sec0", "property": "type"}},
		{"quit", nil},
	} {
		var out json.RawMessage
		err := c.Do(ctx, cmd.name, cmd.args, &out)
		var refused *qmp.Error
		switch {
		case errors.As(err, &refused):
			said.Replies = append(said.Replies, refused.Desc)
			said.Classes = append(said.Classes, refused.Class)
		case cmd.name == "quit" && errors.Is(err, qmp.ErrUnanswered): // QEMU may be gone before its answer is out
		case err != nil:
			return said, err
		default:
			said.Replies = append(said.Replies, compact(out))
		}
	}
	for {
		e, err := sub.Next(ctx, nil)
		if err != nil {
			said.End = c.Err()
			return said, nil
		}
		said.Events = append(said.Events, e.Name+" "+compact(e.Data))
	}
}

// recordSession has the conversation with a real QEMU.
func recordSession(t *testing.T, binary string) (saying, *qmptest.Transcript) {
	t.Helper()
	path := qemutest.StartBinary(t, binary, "-S", "-M", "none", "-name", "recorded")
	conn, err := net.Dial("unix", path)
	require.NoError(t, err)
	rec := qmptest.Record(conn.(*net.UnixConn))
	said, err := converse(deadline(t), rec)
	require.NoError(t, err)
	transcript, err := rec.Transcript()
	require.NoError(t, err)
	return said, transcript
}

// compact leaves out what JSON does not mean.
func compact(raw json.RawMessage) string {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return string(raw)
	}
	return b.String()
}

// TestRecordAndReplay has the same conversation with QEMU and with the recording of it.
func TestRecordAndReplay(t *testing.T) {
	for name, binary := range map[string]func(testing.TB) string{"7.2": need.QEMU, "10.0": need.QEMU10} {
		t.Run(name, func(t *testing.T) {
			said, transcript := recordSession(t, binary(t))
			require.True(t, transcript.Ended)
			require.Len(t, said.Classes, 4)
			require.ErrorIs(t, said.End, qmp.ErrDisconnected)
			again, err := qmptest.ParseTranscript(transcript.Text())
			require.NoError(t, err)
			require.Equal(t, transcript, again)
			replayed, err := converse(deadline(t), qmptest.New(t, &qmptest.Options{Transcript: again}).Conn())
			require.NoError(t, err)
			require.Equal(t, said, replayed)
			if *update {
				file := filepath.Join("testdata", "session-"+name+".txt")
				head := "# A session with QEMU " + said.Greeting.Version.String() + ", see TestRecordAndReplay.\n"
				require.NoError(t, os.WriteFile(file, append([]byte(head), transcript.Text()...), 0o644))
			}
		})
	}
}

// kept returns the transcripts in testdata.
func kept(t testing.TB) map[string]*qmptest.Transcript {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "session-*.txt"))
	require.NoError(t, err)
	require.Len(t, files, 2)
	list := map[string]*qmptest.Transcript{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		require.NoError(t, err)
		list[filepath.Base(f)], err = qmptest.ParseTranscript(text)
		require.NoError(t, err)
	}
	return list
}

// TestKeptSessions needs no QEMU: both versions' words are here.
func TestKeptSessions(t *testing.T) {
	for name, transcript := range kept(t) {
		t.Run(name, func(t *testing.T) {
			said, err := converse(deadline(t), qmptest.New(t, &qmptest.Options{Transcript: transcript}).Conn())
			require.NoError(t, err)
			require.Equal(t, []string{"CommandNotFound", "DeviceNotFound", "GenericError", "GenericError"}, said.Classes)
			require.Len(t, said.Replies, 12)
			require.Contains(t, said.Events, `RESUME `)
			require.ErrorIs(t, said.End, qmp.ErrDisconnected)
		})
	}
}

// TestEveryCutOfASession ends real sessions after each of their bytes, and has them arrive in pieces.
func TestEveryCutOfASession(t *testing.T) {
	for name, transcript := range kept(t) {
		t.Run(name, func(t *testing.T) {
			whole, err := converse(deadline(t), qmptest.New(t, &qmptest.Options{Transcript: transcript}).Conn())
			require.NoError(t, err)
			size := 0
			for _, l := range transcript.Lines {
				if !l.Client {
					size += len(l.Message) + 2
				}
			}
			step := 1
			if testing.Short() {
				step = 7
			}
			for cut := 1; cut < size; cut += step {
				peer := qmptest.New(t, &qmptest.Options{Transcript: transcript, CutAfter: cut, Chunk: 1 + cut%5})
				said, err := converse(deadline(t), peer.Conn())
				if err != nil {
					require.ErrorIs(t, err, qmp.ErrDisconnected, cut)
				}
				// Whatever was told is what was told in the whole session: nothing is made up of a half message.
				require.LessOrEqual(t, len(said.Replies), len(whole.Replies))
				require.Equal(t, whole.Replies[:len(said.Replies)], append([]string{}, said.Replies...), cut)
				require.Equal(t, whole.Events[:len(said.Events)], append([]string{}, said.Events...), cut)
				peer.Close()
			}
		})
	}
}
