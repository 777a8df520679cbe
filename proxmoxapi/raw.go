package proxmoxapi

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

const (
	rawTimeout    = 10 * time.Second // for writing an error
	lingerTimeout = 5 * time.Second  // for a client that is still writing its body when it is refused
	lingerBytes   = 64 << 20
)

// failRaw answers an error with its text as reason phrase. net/http has no way to say that, so the connection is taken
// over, written by hand and closed, as PVE closes it after every error. ctype is empty for bodies that are not the API's.
func (x *exchange) failRaw(status int, message, body, ctype string) {
	x.status = status
	x.sent.Store(int64(len(body)))
	date := x.h.date.header(x.h.opts.Now())[0]
	conn, rw, err := http.NewResponseController(x.w).Hijack()
	if err != nil { // HTTP/2 or a recorder of tests: the phrase is lost there
		x.failPlain(status, body, ctype)
		return
	}
	defer conn.Close()
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\nConnection: close\r\nDate: %s\r\nServer: %s\r\n", status, reasonPhrase(status, message), date, serverName)
	if ctype != "" {
		fmt.Fprintf(&b, "Cache-Control: max-age=0\r\nExpires: %s\r\nPragma: no-cache\r\nContent-Type: %s\r\n", date, ctype)
	}
	if body != "" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n")
	b.WriteString(body)
	if err := conn.SetDeadline(time.Now().Add(rawTimeout)); err != nil {
		return
	}
	if _, err := conn.Write(b.Bytes()); err != nil || !x.unread() {
		return
	}
	linger(conn, rw.Reader)
}

// linger reads on for a while after the last byte was sent. Closing at once while the client writes would reset the
// connection, and the client would never see the answer.
func linger(conn net.Conn, buffered io.Reader) {
	for c := conn; c != nil; {
		if half, ok := c.(interface{ CloseWrite() error }); ok {
			if half.CloseWrite() != nil {
				return
			}
		}
		outer, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		c = outer.NetConn()
	}
	if err := conn.SetReadDeadline(time.Now().Add(lingerTimeout)); err != nil {
		return
	}
	io.CopyN(io.Discard, buffered, lingerBytes) // whatever ends it, the connection closes now
}

func (x *exchange) failPlain(status int, body, ctype string) {
	x.last = true
	if ctype != "" {
		x.apiHeaders(ctype)
	} else {
		x.plainHeaders()
		x.w.Header()["Content-Type"] = nil
	}
	if body != "" {
		x.w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	x.w.WriteHeader(status)
	io.WriteString(x.w, body)
}

// drop closes the connection without a reply.
func (x *exchange) drop() {
	conn, _, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	conn.Close()
}
