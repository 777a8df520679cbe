package daemon

import (
	"crypto/tls"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Connections that cost the server something and bring nothing leave others served.
func TestThreat35_OthersAreServedUnderLoad(t *testing.T) {
	h := newHouse(t)
	before := runtime.NumGoroutine()
	var mu sync.Mutex
	var held []net.Conn
	hold := func(c net.Conn, err error) net.Conn {
		require.NoError(t, err)
		mu.Lock()
		defer mu.Unlock()
		held = append(held, c)
		return c
	}
	together(900, func(i int) {
		switch i % 3 {
		case 0: // says nothing
			hold(net.Dial("tcp", h.addr))
		case 1: // half a handshake
			hold(net.Dial("tcp", h.addr)).Write([]byte{0x16, 3, 1})
		case 2: // a header that does not end
			fmt.Fprintf(hold(tls.Dial("tcp", h.addr, insecure())), "GET /api2/json/version HTTP/1.1\r\nX: ")
		}
	})
	var took []time.Duration
	for range 50 {
		at := time.Now()
		require.Equal(t, 200, h.raw("GET", "/api2/json/version", auth(h.root, false), "").Status)
		took = append(took, time.Since(at))
	}
	slices.Sort(took)
	require.Less(t, took[len(took)-1], 2*time.Second, "slowest of %d", len(took))
	for _, c := range held {
		c.Close()
	}
	require.Eventually(t, func() bool { return runtime.NumGoroutine() < before+50 }, 20*time.Second, 50*time.Millisecond, "goroutines end with their connections")
}

func TestThreat35_SizesHaveLimits(t *testing.T) {
	h := newHouse(t)
	login := "POST /api2/json/access/ticket HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
	for name, c := range map[string]struct {
		head string
		want string // beginning of the answer; empty: none
	}{
		"a body that is too large": {login + "Content-Length: 1000000000\r\n\r\n", "HTTP/1.1 501 for data too large"},
		"chunks":                   {login + "Transfer-Encoding: chunked\r\n\r\n5\r\nusern\r\n", "HTTP/1.1 501 chunked transfer encoding not supported"},
		"two lengths":              {login + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nusern", "HTTP/1.1 400"},
		"length and chunks":        {login + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 "},
		"many lines":               {"GET /api2/json/version HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("A: b\r\n", 100) + "\r\n", ""},
		"long lines":               {"GET /api2/json/version HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("b", 20000) + "\r\n\r\n", ""},
		"long path":                {"GET /api2/json/" + strings.Repeat("a", 20000) + " HTTP/1.1\r\nHost: x\r\n\r\n", ""},
		"HTTP/2":                   {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 "},
	} {
		conn := h.dial()
		_, err := conn.Write([]byte(c.head))
		require.NoError(t, err, name)
		buf := make([]byte, 64)
		n, _ := conn.Read(buf)
		conn.Close()
		got := string(buf[:n])
		if c.want == "" {
			require.False(t, strings.HasPrefix(got, "HTTP/1.1 200"), "%s: %q", name, got)
		} else {
			require.True(t, strings.HasPrefix(got, c.want), "%s: %q", name, got)
			require.False(t, strings.HasPrefix(got, "HTTP/1.1 200"), "%s: %q", name, got)
		}
	}
	deep := strings.Repeat("[", 200_000)
	headers := auth(h.root, true)
	headers.Set("Content-Type", "application/json")
	r := h.raw("POST", "/api2/json/pools", headers, `{"poolid":`+deep)
	require.GreaterOrEqual(t, r.Status, 400)
	require.Equal(t, 200, h.raw("GET", "/api2/json/version", auth(h.root, false), "").Status, "the daemon lives")
}
