package qmp_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	dgqmp "github.com/digitalocean/go-qemu/qmp"
	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/internal/qemutest"
	"github.com/turtacn/go-proxmox/qmp/qmptest"
)

// fastPeer answers as quickly as a peer can, so that the client's share shows. It does not look at the command, but that
// "hang-up" ends the session and "keep-silent" has no answer.
func fastPeer(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go acceptPeers(l)
	return path
}

// servePeers is fastPeer as a process of its own.
func servePeers(path string) {
	l, err := net.Listen("unix", path)
	if err != nil {
		panic(err)
	}
	acceptPeers(l)
}

func acceptPeers(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go answerFast(conn)
	}
}

func answerFast(conn net.Conn) {
	defer conn.Close()
	w, lines := bufio.NewWriter(conn), bufio.NewReader(conn)
	_, _ = w.WriteString(qmptest.Greeting + "\r\n")
	for {
		if lines.Buffered() == 0 {
			_ = w.Flush()
		}
		line, err := lines.ReadSlice('\n')
		if err != nil {
			return
		}
		switch {
		case bytes.Contains(line, []byte(`"hang-up"`)):
			return
		case bytes.Contains(line, []byte(`"keep-silent"`)):
			continue
		}
		_, _ = w.WriteString(`{"return": {"status": "running", "singlestep": false, "running": true}`)
		if i := lastIndex(line, `"id":`); i >= 0 {
			_, _ = w.WriteString(`, `)
			_, _ = w.Write(line[i : len(line)-2])
		}
		_, _ = w.WriteString("}\r\n")
	}
}

func lastIndex(b []byte, s string) int {
	for i := len(b) - len(s); i >= 0; i-- {
		if string(b[i:i+len(s)]) == s {
			return i
		}
	}
	return -1
}

type status struct {
	Status  string `json:"status"`
	Running bool   `json:"running"`
}

// implementation is one way to ask a peer for its status.
type implementation struct {
	name    string
	callers int
	ask     func() error
}

// bareLoop is the least that a round trip can cost with encoding/json: no goroutines, no events, no ids.
func bareLoop(b *testing.B, path string) func() error {
	b.Helper()
	conn, err := net.Dial("unix", path)
	require.NoError(b, err)
	b.Cleanup(func() { conn.Close() })
	dec, enc := json.NewDecoder(conn), json.NewEncoder(conn)
	var greeting json.RawMessage
	require.NoError(b, dec.Decode(&greeting))
	ask := func(cmd string) error {
		if err := enc.Encode(map[string]any{"execute": cmd}); err != nil {
			return err
		}
		for {
			var m struct {
				Return *status         `json:"return"`
				Event  json.RawMessage `json:"event"`
			}
			if err := dec.Decode(&m); err != nil || m.Event == nil {
				return err
			}
		}
	}
	require.NoError(b, ask("qmp_capabilities"))
	return func() error { return ask("query-status") }
}

// bareTrain sends 64 commands in one write and reads their replies: what a peer can do at most for 64 callers.
func bareTrain(b *testing.B, path string) func() error {
	b.Helper()
	conn, err := net.Dial("unix", path)
	require.NoError(b, err)
	b.Cleanup(func() { conn.Close() })
	dec := json.NewDecoder(conn)
	var m json.RawMessage
	require.NoError(b, dec.Decode(&m))
	send := func(text string, replies int) error {
		if _, err := conn.Write([]byte(text)); err != nil {
			return err
		}
		for range replies {
			if err := dec.Decode(&m); err != nil {
				return err
			}
		}
		return nil
	}
	require.NoError(b, send(`{"execute":"qmp_capabilities"}`+"\n", 1))
	var train strings.Builder
	for i := range 64 {
		fmt.Fprintf(&train, `{"execute":"query-status","id":%d}`+"\n", i+1)
	}
	return func() error { return send(train.String(), 64) }
}

func ours(b *testing.B, path string) func() error {
	b.Helper()
	c, err := qmp.Dial(b.Context(), path, nil)
	require.NoError(b, err)
	b.Cleanup(func() { c.Close() })
	ctx := b.Context()
	return func() error {
		var s status
		return c.Do(ctx, "query-status", nil, &s)
	}
}

func theirs(b *testing.B, path string) func() error {
	b.Helper()
	m, err := dgqmp.NewSocketMonitor("unix", path, 5*time.Second)
	require.NoError(b, err)
	require.NoError(b, m.Connect())
	b.Cleanup(func() { _ = m.Disconnect() })
	command := []byte(`{"execute":"query-status"}` + "\n")
	return func() error {
		raw, err := m.Run(command)
		if err != nil {
			return err
		}
		var r struct{ Return status }
		return json.Unmarshal(raw, &r)
	}
}

// share splits n calls among callers and returns the time that they took.
func share(b *testing.B, callers, n int, fn func() error) time.Duration {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(n))
	start := time.Now()
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := fn(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(start)
}

// benchPeers are what the implementations are compared against.
var benchPeers = map[string]func(b *testing.B) func() string{
	"fake": func(b *testing.B) func() string { path := fastPeer(b); return func() string { return path } },
	"fake in another process": func(b *testing.B) func() string {
		path := otherProcess(b)
		return func() string { return path }
	},
	"qemu": func(b *testing.B) func() string { // it serves one client at a time
		return func() string { return qemutest.Start(b, "-M", "none") }
	},
	"qemu10": func(b *testing.B) func() string {
		return func() string { return qemutest.StartBinary(b, need.QEMU10(b), "-M", "none") }
	},
}

// BenchmarkSideBySide compares the client with the bare loop and with go-qemu's, in turns of some milliseconds, so that what
// else the machine does falls on all alike. A figure is the median of the turns: nanoseconds of a round trip, and how many
// times the floor that is; for 64 callers nanoseconds a command, how many times faster than go-qemu, and how many times what
// 64 commands in one write take of the peer.
func BenchmarkSideBySide(b *testing.B) {
	for _, peer := range slices.Sorted(maps.Keys(benchPeers)) {
		b.Run(peer, func(b *testing.B) {
			path := benchPeers[peer](b)
			const bare, one, one64, his, his64, train = 0, 1, 2, 3, 4, 5
			all := []implementation{
				bare: {"bare", 1, bareLoop(b, path())},
				one:  {"ours", 1, ours(b, path())}, one64: {"ours-64", 64, ours(b, path())},
				his: {"go-qemu", 1, theirs(b, path())}, his64: {"go-qemu-64", 64, theirs(b, path())},
				train: {"train", 1, bareTrain(b, path())},
			}
			turn := 500
			if strings.HasPrefix(peer, "qemu") {
				turn = 50
			}
			times := make([][]float64, len(all))
			for b.Loop() {
				for i, impl := range all {
					n, commands := turn, 1
					switch {
					case i == train:
						n, commands = turn/10, 64
					case impl.callers > 1:
						n = turn * 10 // starting the callers must not weigh
					}
					times[i] = append(times[i], float64(share(b, impl.callers, n, impl.ask).Nanoseconds())/float64(n*commands))
				}
			}
			median := make([]float64, len(all))
			for i := range all {
				slices.Sort(times[i])
				median[i] = times[i][len(times[i])/2]
				b.ReportMetric(median[i], "ns-"+all[i].name)
			}
			b.ReportMetric(0, "ns/op") // of all of them together: nothing
			b.ReportMetric(median[one]/median[bare], "x-bare")
			b.ReportMetric(median[his]/median[bare], "x-bare-go-qemu")
			b.ReportMetric(median[his64]/median[one64], "x-faster-64")
			b.ReportMetric(median[one64]/median[train], "x-train-64")
		})
	}
}

// BenchmarkRoundTrip tells the allocations of a command.
func BenchmarkRoundTrip(b *testing.B) {
	path := fastPeer(b)
	for _, impl := range []implementation{{"bare", 1, bareLoop(b, path)}, {"ours", 1, ours(b, path)}, {"go-qemu", 1, theirs(b, path)}} {
		b.Run(impl.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := impl.ask(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkLargeReply(b *testing.B) {
	path := qemutest.Start(b, "-M", "none")
	c, err := qmp.Dial(b.Context(), path, nil)
	require.NoError(b, err)
	defer c.Close()
	for b.Loop() {
		var raw json.RawMessage
		require.NoError(b, c.Do(b.Context(), "query-qmp-schema", nil, &raw))
		b.SetBytes(int64(len(raw)))
	}
}

// TestAllocationsPerCommand keeps the cost of a command from creeping up.
func TestAllocationsPerCommand(t *testing.T) {
	c, err := qmp.Dial(t.Context(), fastPeer(t), nil)
	require.NoError(t, err)
	defer c.Close()
	n := testing.AllocsPerRun(200, func() {
		if err := c.Do(t.Context(), "query-status", nil, nil); err != nil {
			t.Error(err)
		}
	})
	require.LessOrEqual(t, n, 10.0)
	t.Logf("%.0f allocations, both goroutines and the peer included", n)
}

// storm is a peer that raises events as fast as asked, whoever reads them, and answers meanwhile.
func storm(t testing.TB, perSecond int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	peer := qmptest.NewMachine(t, nil)
	peer.Listen(path)
	batch := bytes.Repeat([]byte(`{"timestamp": {"seconds": 1700000000, "microseconds": 5}, "event": "NOISE", "data": {"device": "drive-scsi0", "n": 123456}}`+"\r\n"), perSecond/1000)
	peer.Handle("storm", func(*qmptest.Request) (any, error) {
		go func() { // ends with the peer's session
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			start, sent := time.Now(), time.Duration(0)
			for range tick.C {
				for ; sent < time.Since(start); sent += time.Millisecond { // a late tick brings what was due
					if t.Context().Err() != nil {
						return
					}
					peer.Raw(batch)
				}
			}
		}()
		return nil, nil
	})
	return path
}

// BenchmarkStorm is a round trip while 100,000 events a second arrive for a subscriber who hardly reads.
func BenchmarkStorm(b *testing.B) {
	const perSecond = 100_000
	for _, noise := range []bool{false, true} {
		b.Run(map[bool]string{false: "quiet", true: "events"}[noise], func(b *testing.B) {
			c, err := qmp.Dial(b.Context(), storm(b, perSecond), nil)
			require.NoError(b, err)
			defer c.Close()
			slow := c.Subscribe("NOISE")
			defer slow.Close()
			if noise {
				require.NoError(b, c.Do(b.Context(), "storm", nil, nil))
			}
			var worst time.Duration
			start := time.Now()
			for b.Loop() {
				at := time.Now()
				require.NoError(b, c.Do(b.Context(), "query-status", nil, nil))
				worst = max(worst, time.Since(at))
			}
			b.ReportMetric(float64(worst.Microseconds()), "µs-worst")
			b.ReportMetric(float64(c.Stats().Events)/time.Since(start).Seconds(), "events/s")
		})
	}
}

// TestStormDelaysNoReply holds the client to its promise, widely: the machine may be busy.
func TestStormDelaysNoReply(t *testing.T) {
	c, err := qmp.Dial(t.Context(), storm(t, 100_000), nil)
	require.NoError(t, err)
	defer c.Close()
	slow := c.Subscribe("NOISE")
	defer slow.Close()
	require.NoError(t, c.Do(t.Context(), "storm", nil, nil))
	for end := time.Now().Add(500 * time.Millisecond); time.Now().Before(end); {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		require.NoError(t, c.Do(ctx, "query-status", nil, nil))
		cancel()
	}
	require.Greater(t, c.Stats().Events, uint64(1000))
	require.Greater(t, slow.Dropped(), uint64(500), "nobody read")
	_, err = slow.Next(t.Context(), nil)
	require.ErrorContains(t, err, "dropped")
}
