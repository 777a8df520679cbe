package proxmoxapi

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

const serverName = "pve-api-daemon/3.0"

// answer writes what a function returned.
func (x *exchange) answer(e *schema.Endpoint, answer any) error {
	switch a := answer.(type) {
	case call.Stream:
		return x.stream(&a)
	case *call.Stream:
		return x.stream(a)
	case call.Download:
		return x.download(e, &a)
	case *call.Download:
		return x.download(e, a)
	}
	env := unwrap(answer)
	if done, err := x.cached(env); done || err != nil {
		return err
	}
	body := x.h.buffer()
	defer x.h.release(body)
	if err := env.print(body, x.format); err != nil {
		return err
	}
	return x.success(body.Bytes(), contentType(x.format))
}

// cached sends an answer that was encoded before without copying it, where the format allows.
func (x *exchange) cached(env envelope) (bool, error) {
	e, ok := env.data.(*call.Encoded)
	if !ok || x.format != formatJSON || env.total != 0 || env.changes != "" {
		return false, nil
	}
	if e.Gzip() != nil && x.takesGzip() {
		x.w.Header()["Content-Encoding"] = []string{"gzip"}
		return true, x.write(e.Gzip(), jsonType)
	}
	return true, x.write(e.Body(), jsonType)
}

// success sends a body with status 200, compressed where it pays.
func (x *exchange) success(body []byte, ctype string) error {
	if len(body) <= call.CompressAbove || !x.takesGzip() {
		return x.write(body, ctype)
	}
	packed := x.h.buffer()
	defer x.h.release(packed)
	if err := x.h.compress(packed, body); err != nil {
		return err
	}
	x.w.Header()["Content-Encoding"] = []string{"gzip"}
	return x.write(packed.Bytes(), ctype)
}

// write sends status 200 and the body. From here on the request counts as answered; what fails is the connection.
func (x *exchange) write(body []byte, ctype string) error {
	x.apiHeaders(ctype)
	x.w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
	// A slow link gets a second more for each 64 KiB.
	x.deadline(http.NewResponseController(x.w).SetWriteDeadline, x.h.opts.WriteTimeout+time.Duration(len(body)>>16)*time.Second)
	if x.unread() { // net/http reads on for a while before it gives the connection up
		x.deadline(http.NewResponseController(x.w).SetReadDeadline, x.h.opts.BodyTimeout)
	}
	x.status = http.StatusOK
	x.sent.Store(int64(len(body)))
	x.w.WriteHeader(http.StatusOK)
	if _, err := x.w.Write(body); err != nil {
		return fmt.Errorf("%w: %w", errGone, err)
	}
	return nil
}

// Header values that are the same in every answer; net/http only reads them.
var (
	serverHeader  = []string{serverName}
	cacheHeader   = []string{"max-age=0"}
	pragmaHeader  = []string{"no-cache"}
	keepHeader    = []string{"Keep-Alive"}
	closeHeader   = []string{"close"}
	jsonTypeValue = []string{jsonType}
)

// apiHeaders sets the headers of an answer of the API that net/http sends.
func (x *exchange) apiHeaders(ctype string) {
	x.plainHeaders()
	head := x.w.Header()
	head["Expires"] = head["Date"]
	head["Cache-Control"] = cacheHeader
	head["Pragma"] = pragmaHeader
	if ctype == jsonType {
		head["Content-Type"] = jsonTypeValue
	} else {
		head["Content-Type"] = []string{ctype}
	}
}

// plainHeaders sets those that every answer has.
func (x *exchange) plainHeaders() {
	head := x.w.Header()
	head["Date"] = x.h.date.header(x.h.opts.Now())
	head["Server"] = serverHeader
	if x.last {
		head["Connection"] = closeHeader
	} else {
		head["Connection"] = keepHeader
	}
}

// fail answers an error. When an answer has begun already, all that is left is to close the connection.
func (x *exchange) fail(err error) {
	if x.status != 0 {
		if !errors.Is(err, errGone) {
			x.publicFault(err) // logs it
		}
		panic(http.ErrAbortHandler)
	}
	if r, ok := errors.AsType[*refusal](err); ok {
		x.failRaw(r.status, r.reason, r.body, "")
		return
	}
	if errors.Is(err, errGone) || x.r.Context().Err() != nil {
		x.drop()
		return
	}
	f := x.publicFault(err)
	env := envelope{fault: f}
	if x.format == formatSpice || !knownFormat(x.format) {
		x.failRaw(f.status, f.message, "", "")
		return
	}
	body := x.h.buffer()
	defer x.h.release(body)
	if err := env.print(body, x.format); err != nil {
		panic(err) // strings always print
	}
	if !softErrors(x.format) {
		x.failRaw(f.status, f.message, body.String(), contentType(x.format))
		return
	}
	if err := x.success(body.Bytes(), contentType(x.format)); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// takesGzip tells whether the client accepts compressed bodies.
func (x *exchange) takesGzip() bool {
	if x.h.opts.NoCompression {
		return false
	}
	for coding := range strings.SplitSeq(x.r.Header.Get("Accept-Encoding"), ",") {
		name, params, _ := strings.Cut(coding, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			q := strings.ReplaceAll(params, " ", "")
			return q != "q=0" && !strings.HasPrefix(q, "q=0.000")
		}
	}
	return false
}

func (h *Handler) compress(to *bytes.Buffer, body []byte) error {
	w := h.gzips.Get().(*gzip.Writer)
	defer h.gzips.Put(w)
	w.Reset(to)
	if _, err := w.Write(body); err != nil {
		return err
	}
	return w.Close()
}

// maxPooled is the size in bytes above which a buffer is left to the collector: one huge answer must not stay for ever.
const maxPooled = 1 << 20

func (h *Handler) buffer() *bytes.Buffer { return h.bodies.Get().(*bytes.Buffer) }

func (h *Handler) release(b *bytes.Buffer) {
	if b.Cap() <= maxPooled {
		b.Reset()
		h.bodies.Put(b)
	}
}

// dateCache keeps the Date header of the current second.
type dateCache struct {
	last atomic.Pointer[datedHeader]
}

type datedHeader struct {
	second int64
	value  []string
}

func (c *dateCache) header(now time.Time) []string {
	d := c.last.Load()
	if d == nil || d.second != now.Unix() {
		d = &datedHeader{second: now.Unix(), value: []string{now.UTC().Format(http.TimeFormat)}}
		c.last.Store(d)
	}
	return d.value
}
