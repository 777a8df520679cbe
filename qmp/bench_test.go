package qmp_test

import (
	"bufio"
	"encoding/json"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	dgqmp "github.com/digitalocean/go-qemu/qmp"
	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/qmptest"
)

// fastPeer answers as quickly as a peer can, so that the client's share shows. It does not look at the command.
func fastPeer(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
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
					_, _ = w.WriteString(`{"return": {"status": "running", "singlestep": false, "running": true}`)
					if i := lastIndex(line, `"id":`); i >= 0 {
						_, _ = w.WriteString(`, `)
						_, _ = w.Write(line[i : len(line)-2])
					}
					_, _ = w.WriteString("}\r\n")
				}
			}()
		}
	}()
	return path
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

// bareLoop is the least that a round trip can cost with encoding/json: no goroutines, no events, and ids, which QEMU charges
// for by the byte, only on request.
func bareLoop(b *testing.B, path string, id bool) {
	conn, err := net.Dial("unix", path)
	require.NoError(b, err)
	defer conn.Close()
	dec, enc := json.NewDecoder(conn), json.NewEncoder(conn)
	var greeting json.RawMessage
	require.NoError(b, dec.Decode(&greeting))
	ask := func(cmd string) error {
		command := map[string]any{"execute": cmd}
		if id {
			command["id"] = 1
		}
		if err := enc.Encode(command); err != nil {
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
	b.ReportAllocs()
	for b.Loop() {
		if err := ask("query-status"); err != nil {
			b.Fatal(err)
		}
	}
}

func ours(b *testing.B, path string, callers int) {
	c, err := qmp.Dial(b.Context(), path, nil)
	require.NoError(b, err)
	defer c.Close()
	ctx := b.Context()
	b.ReportAllocs()
	share(b, callers, func() error {
		var s status
		return c.Do(ctx, "query-status", nil, &s)
	})
}

func theirs(b *testing.B, path string, callers int) {
	m, err := dgqmp.NewSocketMonitor("unix", path, 5*time.Second)
	require.NoError(b, err)
	require.NoError(b, m.Connect())
	defer m.Disconnect()
	command := []byte(`{"execute":"query-status"}` + "\n")
	b.ReportAllocs()
	share(b, callers, func() error {
		raw, err := m.Run(command)
		if err != nil {
			return err
		}
		var r struct{ Return status }
		return json.Unmarshal(raw, &r)
	})
}

// share splits b.N among callers.
func share(b *testing.B, callers int, fn func() error) {
	tokens := make(chan struct{}, b.N)
	for range b.N {
		tokens <- struct{}{}
	}
	close(tokens)
	b.ResetTimer()
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range tokens {
				if err := fn(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
}

func BenchmarkRoundTrip(b *testing.B) {
	for _, peer := range []struct {
		name string
		path func() string
	}{
		{"fake", func() string { return fastPeer(b) }},
		{"qemu", func() string { return startQEMU(b, "-M", "none") }},
	} {
		path := peer.path()
		b.Run(peer.name+"/bare", func(b *testing.B) { bareLoop(b, path, false) })
		b.Run(peer.name+"/bare-id", func(b *testing.B) { bareLoop(b, path, true) })
		b.Run(peer.name+"/ours", func(b *testing.B) { ours(b, path, 1) })
		b.Run(peer.name+"/go-qemu", func(b *testing.B) { theirs(b, path, 1) })
		b.Run(peer.name+"/ours-64", func(b *testing.B) { ours(b, path, 64) })
		b.Run(peer.name+"/go-qemu-64", func(b *testing.B) { theirs(b, path, 64) })
	}
}

func BenchmarkLargeReply(b *testing.B) {
	path := startQEMU(b, "-M", "none")
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
