package proxmoxapi

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

const welcomePage = `<!DOCTYPE html>
<html><head><title>go-proxmox</title></head>
<body><p>This is an API server. Its methods are below <code>/api2/json</code>.</p></body></html>
`

// page answers what is outside the API.
func (x *exchange) page() error {
	w := &webWriter{exchange: x}
	if web := x.h.opts.Web; web != nil {
		web.ServeHTTP(w, x.r)
		return nil
	}
	if x.r.URL.Path != "/" || x.r.Method != http.MethodGet {
		return transportError(http.StatusNotImplemented, "no such file '"+x.r.URL.Path+"'")
	}
	w.Header().Set("Content-Type", "text/html;charset=UTF-8")
	if _, err := io.WriteString(w, welcomePage); err != nil {
		return errGone
	}
	return nil
}

// webWriter is the ResponseWriter of pages: it adds the headers that every answer has and notes what was sent.
type webWriter struct {
	exchange *exchange
}

func (w *webWriter) Header() http.Header { return w.exchange.w.Header() }

func (w *webWriter) Unwrap() http.ResponseWriter { return w.exchange.w }

func (w *webWriter) WriteHeader(status int) {
	x := w.exchange
	if x.status == 0 && status >= 200 {
		x.status = status
		x.last = x.last || status >= 400
		x.plainHeaders()
	}
	x.w.WriteHeader(status)
}

func (w *webWriter) Write(b []byte) (int, error) {
	if w.exchange.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	n, err := w.exchange.w.Write(b)
	w.exchange.sent.Add(int64(n))
	return n, err
}

// Hijack lets pages open connections of their own.
func (w *webWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(w.exchange.w).Hijack()
}
