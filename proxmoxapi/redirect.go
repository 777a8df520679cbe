package proxmoxapi

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// redirect answers one plain HTTP request on the TLS port with the same address in https, and closes the connection. Its
// deadline is set.
func redirect(conn *trackedConn) {
	defer conn.Close()
	r, err := http.ReadRequest(bufio.NewReader(io.LimitReader(conn, maxHeaderBytes)))
	if err != nil || headerTooBig(r) || !strings.HasPrefix(r.RequestURI, "/") || !plainHost(r.Host) {
		return
	}
	status, reason := http.StatusPermanentRedirect, "Permanent Redirect"
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		status, reason = http.StatusMovedPermanently, "Moved Permanently"
	}
	date := conn.front.opts.Now().UTC().Format(http.TimeFormat)
	fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\nConnection: close\r\nDate: %s\r\nServer: %s\r\nLocation: https://%s%s\r\n\r\n",
		status, reason, date, serverName, r.Host, r.RequestURI)
	if r.ContentLength != 0 {
		conn.SetDeadline(time.Now().Add(lingerTimeout))
		linger(conn, conn)
	}
}

// plainHost tells whether a Host header is a name or address with an optional port: nothing in it can turn the redirect
// into an address of another meaning.
func plainHost(host string) bool {
	if host == "" {
		return false
	}
	for _, c := range host {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune(".-_:[]", c) {
			return false
		}
	}
	return true
}
