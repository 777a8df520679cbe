package proxmoxapi

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// maxMessage is the largest message in bytes that a client may send.
const maxMessage = 128 << 10

// checkUpgrade refuses requests that cannot become a WebSocket, before a function spends a ticket on them.
func checkUpgrade(r *http.Request, origins []string) error {
	if !hasToken(r.Header, "Upgrade", "websocket") || !hasToken(r.Header, "Connection", "upgrade") || !r.ProtoAtLeast(1, 1) {
		return call.Status(http.StatusBadRequest, "unable to upgrade to '%s'", r.Header.Get("Upgrade"))
	}
	if v := r.Header.Get("Sec-WebSocket-Version"); v != "13" {
		return call.Status(http.StatusBadRequest, "unsupported websocket-version '%s'", v)
	}
	keys := r.Header.Values("Sec-WebSocket-Key")
	if len(keys) != 1 {
		return call.Status(http.StatusBadRequest, "missing websocket-key")
	}
	if key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(keys[0])); err != nil || len(key) != 16 {
		return call.Status(http.StatusBadRequest, "invalid websocket-key")
	}
	if !originAllowed(r, origins) {
		return call.Status(http.StatusForbidden, "origin '%s' not allowed", r.Header.Get("Origin"))
	}
	return nil
}

// originAllowed refuses pages of other hosts: their scripts would come with the user's cookie. Clients that are no browser
// send no Origin.
func originAllowed(r *http.Request, origins []string) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return false
	}
	if strings.EqualFold(u.Host, r.Host) {
		return true
	}
	for _, pattern := range origins {
		if ok, err := path.Match(strings.ToLower(pattern), strings.ToLower(u.Host)); err == nil && ok {
			return true
		}
	}
	return false
}

func hasToken(h http.Header, name, token string) bool {
	for _, line := range h.Values(name) {
		for part := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}

// stream turns the connection into a WebSocket and hands it to the function's Serve.
func (x *exchange) stream(s *call.Stream) error {
	if s == nil || s.Serve == nil {
		return errors.New("stream without Serve")
	}
	if err := checkUpgrade(x.r, x.h.opts.Origins); err != nil {
		return err
	}
	select {
	case x.h.streams <- struct{}{}:
		defer func() { <-x.h.streams }()
	default:
		return call.Status(http.StatusServiceUnavailable, "too many open streams")
	}
	ws, err := websocket.Accept(&upgrader{exchange: x}, x.r, &websocket.AcceptOptions{InsecureSkipVerify: true}) // origin is checked above
	if err != nil {
		return fmt.Errorf("%w: %w", errGone, err)
	}
	defer ws.CloseNow()
	ws.SetReadLimit(maxMessage)
	ctx, cancel := x.streamContext()
	defer cancel()
	conn := newStreamConn(ctx, cancel, ws, x)
	if err := x.guarded(func() error { return s.Serve(ctx, conn) }); err != nil {
		x.h.opts.Logger.LogAttrs(ctx, slog.LevelDebug, "stream ended",
			slog.String("path", x.r.URL.Path), slog.String("caller", x.caller.AuthID), slog.Any("error", err))
	}
	conn.Close()
	return nil
}

// streamContext ends when the request does, and as soon as the server is asked to stop: streams do not get the grace that
// ordinary requests have.
func (x *exchange) streamContext() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(x.r.Context())
	c := connOf(x.r.Context())
	if c == nil {
		return ctx, cancel
	}
	stop := context.AfterFunc(c.stopping, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

// upgrader writes the reply of the handshake in the form of PVE's server: "Connection: upgrade" in lower case, the
// client's list of sub-protocols echoed, nothing else but the accepted key.
type upgrader struct {
	exchange *exchange
	header   http.Header
}

func (u *upgrader) Header() http.Header {
	if u.header == nil {
		u.header = http.Header{}
	}
	return u.header
}

// Write takes the text of an error that cannot happen after checkUpgrade.
func (u *upgrader) Write(b []byte) (int, error) { return len(b), nil }

// WriteHeader waits for Hijack.
func (u *upgrader) WriteHeader(int) {}

// Hijack takes the connection over and sends the reply on it.
func (u *upgrader) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	x := u.exchange
	conn, rw, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		return nil, nil, err
	}
	x.status = http.StatusSwitchingProtocols
	reply := "HTTP/1.1 101 Switching Protocols\r\n" +
		"Upgrade: websocket\r\n" +
		"Connection: upgrade\r\n" +
		"Sec-WebSocket-Accept: " + u.header.Get("Sec-WebSocket-Accept") + "\r\n"
	if protocol := x.r.Header.Get("Sec-WebSocket-Protocol"); protocol != "" {
		reply += "Sec-WebSocket-Protocol: " + protocol + "\r\n"
	}
	if err := conn.SetWriteDeadline(time.Now().Add(rawTimeout)); err != nil {
		conn.Close()
		return nil, nil, err
	}
	if _, err := conn.Write([]byte(reply + "\r\n")); err != nil {
		conn.Close()
		return nil, nil, err
	}
	return conn, rw, conn.SetWriteDeadline(time.Time{})
}
