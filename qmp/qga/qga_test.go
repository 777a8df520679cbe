package qga_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/qga"
)

// agent plays qemu-ga over a pipe. It answers the handshake as the real one does, unless sync says otherwise.
type agent struct {
	conn net.Conn
	sync func(id int64) string                // nil: like qemu-ga
	do   func(cmd string, args string) string // "" is no answer
	seen []string
}

func (a *agent) serve() {
	defer a.conn.Close()
	outs := make(chan string, 1000) // the port between agent and host has a buffer: the agent reads on
	defer close(outs)
	go func() {
		for out := range outs {
			_, _ = io.WriteString(a.conn, out)
		}
	}()
	in := bufio.NewReader(a.conn)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		text, fresh := bytes.CutPrefix(line, []byte{0xff})
		var m struct {
			Execute   string
			Arguments json.RawMessage
		}
		if json.Unmarshal(text, &m) != nil {
			return
		}
		var out string
		if m.Execute == "guest-sync-delimited" {
			var sync struct{ ID int64 }
			_ = json.Unmarshal(m.Arguments, &sync)
			out = fmt.Sprintf("\xff{\"return\": %d}\n", sync.ID)
			if fresh { // the byte itself is a syntax error to the agent's parser
				out = `{"error": {"class": "GenericError", "desc": "JSON parse error"}}` + "\n" + out
			}
			if a.sync != nil {
				out = a.sync(sync.ID)
			}
		} else {
			a.seen = append(a.seen, m.Execute)
			out = a.do(m.Execute, string(m.Arguments))
		}
		outs <- out
	}
}

// run gives fn a client of the agent, in a bubble of its own time.
func run(t *testing.T, a *agent, opts *qga.Options, fn func(t *testing.T, c *qga.Client)) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		a.conn = theirs
		var wg sync.WaitGroup
		wg.Go(a.serve)
		c, err := qga.NewClient(ours, opts)
		require.NoError(t, err)
		fn(t, c)
		require.NoError(t, c.Close())
		require.NoError(t, c.Close())
		wg.Wait()
	})
}

func ok(string, string) string { return `{"return": {}}` + "\n" }

func TestPingAndErrors(t *testing.T) {
	a := &agent{do: func(cmd, args string) string {
		if cmd == "guest-ping" {
			return ok(cmd, args)
		}
		return `{"error": {"class": "CommandNotFound", "desc": "The command has not been found"}}`
	}}
	run(t, a, nil, func(t *testing.T, c *qga.Client) {
		for range 3 {
			require.NoError(t, c.Ping(t.Context()))
		}
		err := c.Do(t.Context(), "guest-nothing", map[string]int{"a": 1}, nil)
		require.ErrorIs(t, err, qmp.ErrCommandNotFound)
		require.ErrorContains(t, c.Do(t.Context(), "x", []int{1}, nil), "no JSON object")
		require.NoError(t, c.Close())
		require.ErrorIs(t, c.Ping(t.Context()), qga.ErrClosed)
	})
}

func TestNetworkGetInterfaces(t *testing.T) {
	a := &agent{do: func(string, string) string {
		return `{"return": [{"name": "lo", "ip-addresses": [{"ip-address-type": "ipv4", "ip-address": "127.0.0.1", "prefix": 8}]},
			{"name": "eth0", "hardware-address": "52:54:00:00:00:01", "statistics": {"rx-bytes": 7}, "new": {"member": 1}}]}`
	}}
	run(t, a, nil, func(t *testing.T, c *qga.Client) {
		list, err := c.NetworkGetInterfaces(t.Context())
		require.NoError(t, err)
		require.Equal(t, []qga.Interface{
			{Name: "lo", IPAddresses: []qga.IPAddress{{Address: "127.0.0.1", Type: "ipv4", Prefix: 8}}},
			{Name: "eth0", HardwareAddress: "52:54:00:00:00:01", Statistics: map[string]int64{"rx-bytes": 7}},
		}, list)
	})
}

func TestNobodyListens(t *testing.T) {
	a := &agent{sync: func(int64) string { return "" }, do: ok}
	run(t, a, nil, func(t *testing.T, c *qga.Client) {
		start := time.Now()
		err := c.Ping(t.Context())
		require.ErrorIs(t, err, qga.ErrNotRunning)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, 3*time.Second, time.Since(start))

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, c.Ping(ctx), qga.ErrNotRunning)
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		err = c.Ping(ctx)
		require.ErrorIs(t, err, context.Canceled)
		require.NotErrorIs(t, err, qga.ErrNotRunning)

		a.sync = nil // the agent starts at last
		require.NoError(t, c.Ping(t.Context()))
	})
}

func TestLateReplyIsNotTakenForAnother(t *testing.T) {
	late := ""
	a := &agent{do: func(cmd, _ string) string {
		if cmd == "guest-slow" {
			return ""
		}
		return `{"return": "quick"}`
	}}
	a.sync = func(id int64) string {
		defer func() { late = `{"return": "slow"}` + "\n\xff" + `{"return": 1}` }()
		return late + fmt.Sprintf("\xff{\"return\": %d}", id)
	}
	run(t, a, nil, func(t *testing.T, c *qga.Client) {
		start := time.Now()
		err := c.Do(t.Context(), "guest-slow", nil, nil)
		require.ErrorIs(t, err, qga.ErrNoReply)
		require.NotErrorIs(t, err, qga.ErrNotRunning)
		require.Equal(t, 5*time.Second, time.Since(start))
		var out string
		require.NoError(t, c.Do(t.Context(), "guest-quick", nil, &out))
		require.Equal(t, "quick", out)
	})
}

func TestShutdown(t *testing.T) {
	refuse := false
	a := &agent{do: func(cmd, args string) string {
		if refuse {
			return `{"error": {"class": "GenericError", "desc": "not now"}}`
		}
		return ""
	}}
	run(t, a, nil, func(t *testing.T, c *qga.Client) {
		require.NoError(t, c.Shutdown(t.Context(), ""))
		require.NoError(t, c.Shutdown(t.Context(), qga.Reboot))
		refuse = true
		require.ErrorContains(t, c.Shutdown(t.Context(), ""), "not now")
		refuse = false
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		require.ErrorIs(t, c.Shutdown(ctx, ""), context.Canceled)
		a.conn.Close() // the guest has gone
		require.ErrorIs(t, c.Shutdown(t.Context(), ""), qga.ErrClosed)
	})
}

func TestOneCommandAtATime(t *testing.T) {
	a := &agent{do: func(cmd, _ string) string { return fmt.Sprintf(`{"return": %q}`, cmd) }}
	run(t, a, nil, func(t *testing.T, c *qga.Client) {
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				var out string
				cmd := fmt.Sprint("guest-", i)
				if err := c.Do(t.Context(), cmd, nil, &out); err != nil || out != cmd {
					t.Errorf("%s got %q, %v", cmd, out, err)
				}
			})
		}
		wg.Wait()
	})
}

func TestThreat23_HostileReplies(t *testing.T) {
	cases := map[string]struct {
		reply string
		want  error
	}{
		"text":              {"hello\n", qga.ErrBadReply},
		"deep":              {`{"return":` + strings.Repeat("[", 1000), qga.ErrBadReply},
		"large line":        {`{"return":"` + strings.Repeat("x", 2<<20) + `"}`, qga.ErrBadReply},
		"mark inside":       {"{\"return\":\"\xff\"}", qga.ErrBadReply},
		"no kind":           {`{"id": 1}`, qga.ErrBadReply},
		"wrong type":        {`{"return": {"a": 1}}`, qga.ErrBadReply},
		"wrong error":       {`{"error": 7}`, qga.ErrBadReply},
		"broken":            {`{"return": "a" "b"}`, qga.ErrBadReply},
		"half and silence":  {`{"return": "a`, qga.ErrNoReply},
		"blanks and silent": {strings.Repeat(" ", 1<<16), qga.ErrNoReply},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			bad := true
			a := &agent{do: func(string, string) string {
				if bad {
					return tc.reply
				}
				return `{"return": "good"}`
			}}
			run(t, a, &qga.Options{MaxReply: 1 << 20}, func(t *testing.T, c *qga.Client) {
				var out string
				require.ErrorIs(t, c.Do(t.Context(), "guest-ask", nil, &out), tc.want)
				bad = false // whatever is left in the pipe, the next command is not taken in
				require.NoError(t, c.Do(t.Context(), "guest-ask", nil, &out))
				require.Equal(t, "good", out)
			})
		})
	}
}

func TestThreat23_InvalidUTF8(t *testing.T) {
	a := &agent{do: func(string, string) string { return "{\"return\": \"a\xc3(\xa0\xa1\"}" }}
	run(t, a, nil, func(t *testing.T, c *qga.Client) {
		var raw json.RawMessage
		require.NoError(t, c.Do(t.Context(), "guest-ask", nil, &raw))
		require.Equal(t, "\"a\uFFFD(\uFFFD\"", string(raw))
	})
}

func TestThreat23_HostileHandshake(t *testing.T) {
	cases := map[string]func(id int64) string{
		"wrong id":        func(id int64) string { return fmt.Sprintf("\xff{\"return\": %d}", id+1) },
		"no mark":         func(id int64) string { return fmt.Sprintf("{\"return\": %d}", id) },
		"marks only":      func(int64) string { return strings.Repeat("\xff", 1<<16) },
		"marks and depth": func(int64) string { return strings.Repeat("\xff"+strings.Repeat("{", 100), 100) },
		"endless text":    func(int64) string { return strings.Repeat("x", 4<<20) },
		"id as text":      func(id int64) string { return fmt.Sprintf("\xff{\"return\": \"%d\"}", id) },
		"half":            func(id int64) string { return fmt.Sprintf("\xff{\"return\": %d", id) },
	}
	for name, sync := range cases {
		t.Run(name, func(t *testing.T) {
			a := &agent{sync: sync, do: ok}
			run(t, a, &qga.Options{MaxReply: 1 << 20}, func(t *testing.T, c *qga.Client) {
				start := time.Now()
				require.ErrorIs(t, c.Ping(t.Context()), qga.ErrNotRunning)
				require.Equal(t, 3*time.Second, time.Since(start))
				require.Empty(t, a.seen, "no command is sent to who has not answered the handshake")
				a.sync = nil
				require.NoError(t, c.Ping(t.Context()))
			})
		})
	}
}

// flood never stops sending and reads nothing but the start.
func TestThreat23_FloodEndsWithTheContext(t *testing.T) {
	ours, theirs := net.Pipe()
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = io.Copy(io.Discard, theirs) })
	wg.Go(func() {
		for piece := []byte(strings.Repeat("\xff{\"return\": 1}", 1000)); ; {
			if _, err := theirs.Write(piece); err != nil {
				return
			}
		}
	})
	c, err := qga.NewClient(ours, &qga.Options{SyncTimeout: 50 * time.Millisecond})
	require.NoError(t, err)
	require.ErrorIs(t, c.Ping(t.Context()), qga.ErrNotRunning)
	require.NoError(t, c.Close())
	theirs.Close()
	wg.Wait()
}

// The real agent, on this machine: only questions are put to it.
func TestQEMUGuestAgent(t *testing.T) {
	need.Tool(t, "qemu-ga")
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	agent := exec.Command("qemu-ga", "-m", "unix-listen", "-p", path, "-t", dir, "-f", filepath.Join(dir, "pid"), "-b", "guest-shutdown")
	require.NoError(t, agent.Start())
	t.Cleanup(func() {
		_ = agent.Process.Kill()
		_ = agent.Wait()
	})
	require.Eventually(t, func() bool { _, err := os.Stat(path); return err == nil }, 10*time.Second, 10*time.Millisecond)
	c, err := qga.Dial(t.Context(), path, nil)
	require.NoError(t, err)
	defer c.Close()
	for range 3 {
		require.NoError(t, c.Ping(t.Context()))
	}
	list, err := c.NetworkGetInterfaces(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, list)
	require.ErrorIs(t, c.Do(t.Context(), "guest-nothing", nil, nil), qmp.ErrCommandNotFound)
	require.NoError(t, agent.Process.Signal(os.Kill))
	require.ErrorIs(t, c.Ping(t.Context()), qga.ErrClosed)
}

func TestOptionsAndDial(t *testing.T) {
	_, err := qga.NewClient(nil, &qga.Options{MaxReply: -1})
	require.Error(t, err)
	_, err = qga.Dial(t.Context(), t.TempDir()+"/absent", nil)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func FuzzReply(f *testing.F) {
	for _, s := range []string{`{"return": [{"name": "eth0", "ip-addresses": [{"prefix": 1}]}]}`, "\xff{", `{"error": {}}`, "{\"return\":\"\xff\"}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		ours, theirs := net.Pipe()
		a := &agent{conn: theirs, do: func(string, string) string { theirs.Close(); return "" }}
		first := true
		a.sync = func(id int64) string {
			if first {
				first = false
				return string(in) + fmt.Sprintf("\xff{\"return\": %d}", id) + string(in)
			}
			return ""
		}
		go a.serve()
		c, err := qga.NewClient(ours, &qga.Options{MaxReply: 1 << 12, SyncTimeout: 20 * time.Millisecond, Timeout: 20 * time.Millisecond})
		require.NoError(t, err)
		list, err := c.NetworkGetInterfaces(t.Context())
		var qerr *qmp.Error
		known := errors.Is(err, qga.ErrNotRunning) || errors.Is(err, qga.ErrNoReply) || errors.Is(err, qga.ErrBadReply) || errors.Is(err, qga.ErrClosed)
		require.True(t, err == nil || known || errors.As(err, &qerr), "%v %v", list, err)
		require.NoError(t, c.Close())
	})
}
