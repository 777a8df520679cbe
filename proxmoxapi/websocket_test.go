package proxmoxapi_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/proxmoxapi"
	"github.com/turtacn/go-proxmox/proxmoxapi/apitest"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

const streamURI = "/api2/json/nodes/localhost/vncwebsocket?port=5900&vncticket=PVEVNC%3A0%3A%3Ax"

// streamer serves WebSockets; calls counts how often its function ran.
func streamer(t *testing.T, opts *proxmoxapi.Options, serve func(context.Context, net.Conn) error) (srv *apitest.Server, calls *int) {
	calls = new(int)
	reg := proxmoxapi.NewRegistry()
	proxmoxapi.Handle(reg, func(context.Context, *schema.GetNodesVncwebsocket) (*call.Stream, error) {
		*calls++
		return &call.Stream{Serve: serve}, nil
	})
	return apitest.Start(t, proxmoxapi.New(reg, &apitest.Auth{}, opts)), calls
}

func echo(_ context.Context, conn net.Conn) error {
	_, err := io.Copy(conn, conn)
	return err
}

func dial(t *testing.T, srv *apitest.Server, protocols ...string) *websocket.Conn {
	t.Helper()
	ws, reply, err := websocket.Dial(t.Context(), "ws://"+srv.Addr+streamURI, &websocket.DialOptions{
		HTTPHeader:   http.Header{"Cookie": {strings.TrimPrefix(apitest.Root[0], "Cookie: ")}},
		Subprotocols: protocols,
	})
	require.NoError(t, err)
	require.Equal(t, 101, reply.StatusCode)
	t.Cleanup(func() { ws.CloseNow() })
	return ws
}

var upgradeLines = []string{"Connection: keep-alive, Upgrade", "Upgrade: WebSocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg=="}

func TestWebSocketHandshake(t *testing.T) {
	srv, _ := streamer(t, nil, echo)
	for protocol, want := range map[string][]string{"": nil, "binary": {"binary"}, "base64, binary": {"base64, binary"}} {
		lines := upgradeLines
		if protocol != "" {
			lines = append(lines[:len(lines):len(lines)], "Sec-WebSocket-Protocol: "+protocol)
		}
		reply := srv.Do("GET", streamURI, apitest.Root, lines)
		require.Equal(t, "HTTP/1.1 101 Switching Protocols", reply.Line)
		header := http.Header{"Upgrade": {"websocket"}, "Connection": {"upgrade"}, "Sec-Websocket-Accept": {"uULs1Oz+0NS+VZ/SxDpk+bCs+fM="}}
		if want != nil {
			header["Sec-Websocket-Protocol"] = want
		}
		reply.Header["Sec-Websocket-Accept"] = header["Sec-Websocket-Accept"] // its value is checked by the client below
		require.Equal(t, header, reply.Header)
	}
}

func TestWebSocketEcho(t *testing.T) {
	srv, _ := streamer(t, nil, echo)
	ws := dial(t, srv, "binary")
	require.Equal(t, "binary", ws.Subprotocol())
	for _, c := range []struct {
		kind websocket.MessageType
		text string
	}{{websocket.MessageBinary, "bytes"}, {websocket.MessageText, "text"}, {websocket.MessageBinary, strings.Repeat("x", 100<<10)}} {
		require.NoError(t, ws.Write(t.Context(), c.kind, []byte(c.text)))
		got := ""
		for len(got) < len(c.text) {
			kind, part, err := ws.Read(t.Context())
			require.NoError(t, err)
			require.Equal(t, websocket.MessageBinary, kind)
			got += string(part)
		}
		require.Equal(t, c.text, got)
	}
	go ws.Read(context.Background()) // takes the pong; ends with the connection
	require.NoError(t, ws.Ping(t.Context()))
}

func TestThreat44_WebSocketRefusals(t *testing.T) {
	srv, calls := streamer(t, &proxmoxapi.Options{Origins: []string{"*.example.org"}}, echo)
	replace := func(name, line string) []string {
		var lines []string
		for _, l := range upgradeLines {
			if strings.HasPrefix(l, name) {
				l = line
			}
			if l != "" {
				lines = append(lines, l)
			}
		}
		return lines
	}
	for name, c := range map[string]struct {
		lines []string
		line  string
	}{
		"no upgrade":     {nil, "400 unable to upgrade to ''"},
		"other protocol": {replace("Upgrade", "Upgrade: h2c"), "400 unable to upgrade to 'h2c'"},
		"old version":    {replace("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8"), "400 unsupported websocket-version '8'"},
		"no key":         {replace("Sec-WebSocket-Key", ""), "400 missing websocket-key"},
		"bad key":        {replace("Sec-WebSocket-Key", "Sec-WebSocket-Key: x"), "400 invalid websocket-key"},
		"foreign page":   {append(upgradeLines[:4:4], "Origin: https://evil.example.com"), "403 origin 'https://evil.example.com' not allowed"},
		"opaque page":    {append(upgradeLines[:4:4], "Origin: null"), "403 origin 'null' not allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, "HTTP/1.1 "+c.line, srv.Do("GET", streamURI, apitest.Root, c.lines).Line)
		})
	}
	require.Zero(t, *calls, "a ticket is not spent on a request that cannot be upgraded")
	for _, origin := range []string{"http://localhost", "https://ui.example.org"} {
		require.Equal(t, 101, srv.Do("GET", streamURI, apitest.Root, upgradeLines, []string{"Origin: " + origin}).Status, origin)
	}
}

func TestWebSocketLimits(t *testing.T) {
	ended := make(chan error, 1)
	srv, _ := streamer(t, &proxmoxapi.Options{MaxStreams: 1}, func(ctx context.Context, conn net.Conn) error {
		_, err := io.Copy(io.Discard, conn)
		ended <- err
		return err
	})
	ws := dial(t, srv)
	require.Equal(t, "HTTP/1.1 503 too many open streams", srv.Do("GET", streamURI, apitest.Root, upgradeLines).Line)

	require.NoError(t, ws.Write(t.Context(), websocket.MessageBinary, make([]byte, 128<<10)))
	require.NoError(t, ws.Write(t.Context(), websocket.MessageBinary, make([]byte, 128<<10+1)))
	_, _, err := ws.Read(t.Context())
	require.Equal(t, websocket.StatusMessageTooBig, websocket.CloseStatus(err))
	require.Error(t, <-ended)
}

func TestWebSocketRefusesUnmaskedFrames(t *testing.T) {
	ended := make(chan error, 1)
	srv, _ := streamer(t, nil, func(_ context.Context, conn net.Conn) error {
		_, err := io.ReadAll(conn)
		ended <- err
		return err
	})
	conn := srv.Dial()
	_, err := io.WriteString(conn, apitest.Request("GET", streamURI, "", apitest.Root, upgradeLines)+"\x82\x01x")
	require.NoError(t, err)
	reply, err := apitest.ReadReply(bufio.NewReader(conn), "GET")
	require.NoError(t, err)
	require.Equal(t, 101, reply.Status)
	require.Error(t, <-ended)
}

func TestStreamEndsWithClientAndServer(t *testing.T) {
	ended := make(chan error, 2)
	started := make(chan struct{}, 2)
	srv, _ := streamer(t, nil, func(ctx context.Context, conn net.Conn) error {
		started <- struct{}{}
		_, err := conn.Read(make([]byte, 1))
		<-ctx.Done()
		ended <- err
		return err
	})
	ws := dial(t, srv)
	<-started
	require.NoError(t, ws.Close(websocket.StatusNormalClosure, ""))
	require.Equal(t, io.EOF, <-ended, "the client closes")

	dial(t, srv)
	<-started
	require.NoError(t, srv.Stop())
	require.Error(t, <-ended, "the server stops, without waiting for the client")
}

func TestStreamConn(t *testing.T) {
	srv, _ := streamer(t, nil, func(ctx context.Context, conn net.Conn) error {
		if conn.LocalAddr().Network() != "websocket" || conn.RemoteAddr().String() == "" {
			return errors.New("addresses")
		}
		if n, err := conn.Read(nil); n != 0 || err != nil {
			return err
		}
		if err := conn.SetReadDeadline(time.Now().Add(-time.Second)); err != nil {
			return err
		}
		_, err := conn.Read(make([]byte, 1))
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		return nil
	})
	ws := dial(t, srv)
	require.NoError(t, ws.Write(t.Context(), websocket.MessageBinary, []byte("x")))
	_, _, err := ws.Read(t.Context())
	require.Error(t, err)
}
