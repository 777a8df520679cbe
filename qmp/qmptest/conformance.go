package qmptest

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/qmp"
)

// Config tells the suite how to reach what it tests.
type Config struct {
	// Path starts a fresh machine in the state "prelaunch" and returns its monitor socket. It ends with the test.
	Path func(t *testing.T) string
	// Patience bounds each step that a machine may take time for: 30 s.
	Patience time.Duration
}

// Run checks a machine against what a client relies on. The peer of NewMachine and real QEMUs pass it, so a test with the
// former says something about the latter.
func Run(t *testing.T, cfg Config) {
	if cfg.Patience == 0 {
		cfg.Patience = 30 * time.Second
	}
	cases := []struct {
		name string
		run  func(*testing.T, context.Context, string, *qmp.Client)
	}{
		{"greeting", testGreeting},
		{"error classes", testErrorClasses},
		{"large reply", testLargeReply},
		{"pipelined", testPipelined},
		{"abandoned", testAbandoned},
		{"events", testEvents},
		{"file descriptor", testFileDescriptor},
		{"out of band", testOutOfBand},
		{"second client", testSecondClient},
		{"quit", testQuit},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), cfg.Patience)
			defer cancel()
			path := cfg.Path(t)
			client, err := qmp.Dial(ctx, path, &qmp.Options{OutOfBand: []string{"migrate-pause"}})
			require.NoError(t, err)
			defer client.Close()
			c.run(t, ctx, path, client)
		})
	}
}

func testGreeting(t *testing.T, ctx context.Context, _ string, c *qmp.Client) {
	require.True(t, c.Greeting().Version.AtLeast(5, 0), c.Greeting().Version)
	require.Contains(t, c.Greeting().Capabilities, "oob")
	var v struct {
		QEMU struct{ Major, Minor int }
	}
	require.NoError(t, c.Do(ctx, "query-version", nil, &v))
	require.Equal(t, c.Greeting().Version.Major, v.QEMU.Major)
}

func testErrorClasses(t *testing.T, ctx context.Context, _ string, c *qmp.Client) {
	err := c.Do(ctx, "no-such-command", nil, nil)
	require.ErrorIs(t, err, qmp.ErrCommandNotFound)
	require.ErrorIs(t, err, errors.ErrUnsupported)

	err = c.Do(ctx, "device_del", map[string]any{"id": "no \"such\" <device> ü"}, nil)
	require.ErrorIs(t, err, qmp.ErrDeviceNotFound)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.Contains(t, err.Error(), `no "such" <device> ü`)

	err = c.Do(ctx, "device_del", map[string]any{}, nil)
	var qerr *qmp.Error
	require.ErrorAs(t, err, &qerr)
	require.Equal(t, "GenericError", qerr.Class)
	require.Equal(t, "device_del", qerr.Command)
	require.NotErrorIs(t, err, qmp.ErrDeviceNotFound)
}

func testLargeReply(t *testing.T, ctx context.Context, _ string, c *qmp.Client) {
	var raw json.RawMessage
	require.NoError(t, c.Do(ctx, "query-qmp-schema", nil, &raw))
	require.Greater(t, len(raw), 150_000)
	requireStatus(t, ctx, c, "prelaunch")
}

func testPipelined(t *testing.T, ctx context.Context, _ string, c *qmp.Client) {
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for range 10 {
				if i%2 == 0 {
					var s struct{ Status string }
					err := c.Do(ctx, "query-status", nil, &s)
					if err != nil || s.Status != "prelaunch" {
						t.Errorf("query-status: %q, %v", s.Status, err)
					}
				} else if err := c.Do(ctx, "device_del", map[string]any{"id": "x"}, nil); !errors.Is(err, qmp.ErrDeviceNotFound) {
					t.Errorf("device_del: %v", err)
				}
			}
		})
	}
	wg.Wait()
	require.Zero(t, c.Stats().Unmatched)
}

func testAbandoned(t *testing.T, ctx context.Context, _ string, c *qmp.Client) {
	for range 20 {
		short, cancel := context.WithCancel(ctx)
		sent := make(chan error, 1)
		go func() { sent <- c.Do(short, "query-qmp-schema", nil, nil) }()
		cancel()
		if err := <-sent; err != nil {
			require.ErrorIs(t, err, context.Canceled)
		}
	}
	requireStatus(t, ctx, c, "prelaunch")
	require.Zero(t, c.Stats().Unmatched)
}

func testEvents(t *testing.T, ctx context.Context, _ string, c *qmp.Client) {
	all, stops := c.Subscribe(), c.Subscribe("STOP")
	defer all.Close()
	defer stops.Close()
	for range 3 {
		require.NoError(t, c.Do(ctx, "cont", nil, nil))
		requireStatus(t, ctx, c, "running")
		require.NoError(t, c.Do(ctx, "stop", nil, nil))
		requireStatus(t, ctx, c, "paused")
	}
	for range 3 {
		for _, name := range []string{"RESUME", "STOP"} {
			e, err := all.Next(ctx, func(e qmp.Event) bool { return e.Name == "RESUME" || e.Name == "STOP" })
			require.NoError(t, err)
			require.Equal(t, name, e.Name)
			require.False(t, e.Time.IsZero())
		}
		e, err := stops.Next(ctx, nil)
		require.NoError(t, err)
		require.Equal(t, "STOP", e.Name)
	}
	stops.Close()
	_, err := stops.Next(ctx, nil)
	require.ErrorIs(t, err, qmp.ErrClosed)
}

func testFileDescriptor(t *testing.T, ctx context.Context, _ string, c *qmp.Client) {
	require.Error(t, c.Do(ctx, "getfd", map[string]any{"fdname": "none"}, nil), "without a descriptor")
	f, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer f.Close()
	var wg sync.WaitGroup
	for i := range 8 { // at once: each must arrive with its own command
		wg.Go(func() {
			name := map[string]any{"fdname": string(rune('a' + i))}
			if err := c.DoFD(ctx, "getfd", name, f, nil); err != nil {
				t.Errorf("getfd: %v", err)
			}
			if err := c.Do(ctx, "closefd", name, nil); err != nil {
				t.Errorf("closefd: %v", err)
			}
		})
	}
	wg.Wait()
}

func testOutOfBand(t *testing.T, ctx context.Context, _ string, c *qmp.Client) {
	var qerr *qmp.Error // there is no migration, but the command is accepted in this form, and refused for that reason alone
	require.ErrorAs(t, c.Do(ctx, "migrate-pause", nil, nil), &qerr)
	require.Equal(t, "GenericError", qerr.Class)
	requireStatus(t, ctx, c, "prelaunch")
}

func testSecondClient(t *testing.T, ctx context.Context, path string, c *qmp.Client) {
	_, err := qmp.Dial(ctx, path, &qmp.Options{GreetingTimeout: 50 * time.Millisecond})
	require.ErrorIs(t, err, qmp.ErrNoGreeting)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	requireStatus(t, ctx, c, "prelaunch")
	require.NoError(t, c.Close())
	c, err = qmp.Dial(ctx, path, nil) // the socket serves again
	require.NoError(t, err)
	requireStatus(t, ctx, c, "prelaunch")
	require.NoError(t, c.Close())
}

func testQuit(t *testing.T, ctx context.Context, _ string, c *qmp.Client) {
	sub := c.Subscribe("SHUTDOWN")
	if err := c.Do(ctx, "quit", nil, nil); err != nil {
		require.ErrorIs(t, err, qmp.ErrUnanswered) // QEMU may be gone before its answer is out
	}
	e, err := sub.Next(ctx, nil)
	require.NoError(t, err)
	require.Equal(t, "host-qmp-quit", e.Str("reason"))
	require.False(t, e.Bool("guest"))
	_, err = sub.Next(ctx, nil)
	require.ErrorIs(t, err, qmp.ErrDisconnected)
	<-c.Done()
	require.ErrorIs(t, c.Err(), qmp.ErrDisconnected)
	require.ErrorIs(t, c.Do(ctx, "query-status", nil, nil), qmp.ErrDisconnected)
	_ = c.Close()
	require.NoError(t, c.Close())
}

func requireStatus(t *testing.T, ctx context.Context, c *qmp.Client, want string) {
	t.Helper()
	var s struct{ Status string }
	require.NoError(t, c.Do(ctx, "query-status", nil, &s))
	require.Equal(t, want, s.Status)
}
