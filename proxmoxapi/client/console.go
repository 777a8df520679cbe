package client

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/coder/websocket"
)

// Console opens the terminal of a guest (path /nodes/N/qemu/ID) or node (/nodes/N): termproxy, then its WebSocket, then
// the hand-over of the ticket. Reads are raw output; use [ConsoleInput] and [ConsoleResize] for what is written.
func (c *Client) Console(ctx context.Context, path string) (net.Conn, error) {
	var t struct {
		User, Ticket string
		Port         any // a number that servers send as a string
	}
	if err := c.Post(ctx, path+"/termproxy", nil, &t); err != nil {
		return nil, err
	}
	h := http.Header{}
	c.authorize(h, http.MethodGet)
	q := url.Values{"port": {fmt.Sprint(t.Port)}, "vncticket": {t.Ticket}}
	ws, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(c.base, "http")+"/api2/json"+path+"/vncwebsocket?"+q.Encode(), &websocket.DialOptions{
		HTTPClient: c.http, HTTPHeader: h, Subprotocols: []string{"binary"},
	})
	if err != nil {
		return nil, fmt.Errorf("client: console: %w", err)
	}
	ws.SetReadLimit(1 << 20)
	conn := websocket.NetConn(context.WithoutCancel(ctx), ws, websocket.MessageBinary)
	if err := greet(conn, t.User, t.Ticket); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func greet(conn net.Conn, user, ticket string) error {
	if _, err := conn.Write([]byte(user + ":" + ticket + "\n")); err != nil {
		return fmt.Errorf("client: console: %w", err)
	}
	ok := make([]byte, 2)
	for n := 0; n < len(ok); {
		m, err := conn.Read(ok[n:])
		if err != nil {
			return fmt.Errorf("client: console: %w", err)
		}
		n += m
	}
	if string(ok) != "OK" {
		return fmt.Errorf("client: console: the server answered %q instead of OK", ok)
	}
	return nil
}

// ConsoleInput frames bytes typed by the user. See the termproxy protocol: 0:LENGTH:DATA.
func ConsoleInput(data []byte) []byte {
	return append(fmt.Appendf(nil, "0:%d:", len(data)), data...)
}

// ConsoleResize frames a new terminal size. See the termproxy protocol: 1:COLUMNS:ROWS:.
func ConsoleResize(columns, rows int) []byte { return fmt.Appendf(nil, "1:%d:%d:", columns, rows) }
