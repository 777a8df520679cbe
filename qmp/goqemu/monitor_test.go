package goqemu_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/goqemu"
	"github.com/turtacn/go-proxmox/qmp/qmptest"
)

func TestLifeOfAMonitor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	m := goqemu.New(path, &goqemu.Options{Timeout: 5 * time.Second})
	require.ErrorIs(t, m.Connect(), fs.ErrNotExist)
	_, err := m.Run([]byte(`{"execute":"query-status"}`))
	require.ErrorIs(t, err, goqemu.ErrNotConnected)
	_, err = m.Events(t.Context())
	require.ErrorIs(t, err, goqemu.ErrNotConnected)
	require.NoError(t, m.Disconnect())

	qmptest.NewMachine(t, nil).Listen(path)
	for range 2 { // a monitor can be connected again
		require.NoError(t, m.Connect())
		require.NoError(t, m.Connect())
		events, err := m.Events(context.Background())
		require.NoError(t, err)
		c, err := m.Client()
		require.NoError(t, err)
		require.NoError(t, m.Disconnect())
		_, open := <-events
		require.False(t, open)
		require.ErrorIs(t, c.Err(), qmp.ErrClosed)
		require.NoError(t, m.Disconnect())
	}
}

func TestSharedClientStaysOpen(t *testing.T) {
	peer := qmptest.NewMachine(t, nil)
	c, err := qmp.NewClient(t.Context(), peer.Conn(), nil)
	require.NoError(t, err)
	defer c.Close()
	m := goqemu.Wrap(c, nil)
	require.NoError(t, m.Connect())
	require.NoError(t, m.Disconnect())
	require.NoError(t, c.Err())
	require.ErrorIs(t, m.Connect(), goqemu.ErrNotConnected)
}

func TestStreamEndsWithItsContextAndTheSession(t *testing.T) {
	peer := qmptest.NewMachine(t, nil)
	c, err := qmp.NewClient(t.Context(), peer.Conn(), nil)
	require.NoError(t, err)
	defer c.Close()
	m := goqemu.Wrap(c, nil)
	defer m.Disconnect()
	ctx, cancel := context.WithCancel(t.Context())
	first, err := m.Events(ctx)
	require.NoError(t, err)
	second, err := m.Events(t.Context())
	require.NoError(t, err)
	cancel()
	_, open := <-first
	require.False(t, open)
	peer.HangUp()
	_, open = <-second
	require.False(t, open)
}

func TestCommandsThatAreRefused(t *testing.T) {
	peer := qmptest.NewMachine(t, nil)
	c, err := qmp.NewClient(t.Context(), peer.Conn(), nil)
	require.NoError(t, err)
	defer c.Close()
	m := goqemu.Wrap(c, nil)
	defer m.Disconnect()
	for in, want := range map[string]string{
		`{`: "command", `[]`: "command", `{"arguments":{}}`: "execute", `{"execute":"x","arguments":[1]}`: "no JSON object",
	} {
		_, err := m.Run([]byte(in))
		require.ErrorContains(t, err, want, in)
	}
	_, err = m.Run([]byte(`{"exec-oob":"yank"}`))
	require.ErrorIs(t, err, errors.ErrUnsupported)
	_, err = m.RunWithFile([]byte(`{"execute":"getfd","arguments":{"fdname":"x"}}`), os.Stdin)
	require.ErrorIs(t, err, errors.ErrUnsupported, "no unix socket")
	require.Empty(t, peer.Requests())
}

func TestAnyIDComesBack(t *testing.T) {
	c, err := qmp.NewClient(t.Context(), qmptest.NewMachine(t, nil).Conn(), nil)
	require.NoError(t, err)
	defer c.Close()
	m := goqemu.Wrap(c, nil)
	defer m.Disconnect()
	out, err := m.Run([]byte(`{"execute":"stop","id":{"mine":[1]}}`))
	require.NoError(t, err)
	require.JSONEq(t, `{"return":{},"id":{"mine":[1]}}`, string(out))
}

func TestTimeoutBoundsACommand(t *testing.T) {
	peer := qmptest.New(t, nil)
	peer.Handle("slow", func(*qmptest.Request) (any, error) { return nil, qmptest.ErrNoReply })
	c, err := qmp.NewClient(t.Context(), peer.Conn(), nil)
	require.NoError(t, err)
	defer c.Close()
	m := goqemu.Wrap(c, &goqemu.Options{Timeout: time.Millisecond})
	defer m.Disconnect()
	_, err = m.Run([]byte(`{"execute":"slow"}`))
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestRunWithFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	qmptest.NewMachine(t, nil).Listen(path)
	m := goqemu.New(path, nil)
	require.NoError(t, m.Connect())
	defer m.Disconnect()
	f, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer f.Close()
	out, err := m.RunWithFile([]byte(`{"execute":"getfd","arguments":{"fdname":"x"}}`), f)
	require.NoError(t, err)
	require.JSONEq(t, `{"return":{}}`, string(out))
}
