package proxmoxapi

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

const (
	localNode      = "localhost"
	maxHeaderLines = 63
	maxHeaderBytes = 8<<10 - 1
	uploadPath     = "/nodes/{node}/storage/{storage}/upload"
)

// Handler answers the API. It is an http.Handler for any server; Serve is the server it is meant for, since limits,
// redirects and HTTP/1.1 are that one's.
type Handler struct {
	reg  *Registry
	auth Authenticator
	opts Options

	streams chan struct{} // one element for each open WebSocket
	date    dateCache
	absent  map[string]absent
	index   indexes
	bodies  sync.Pool // *bytes.Buffer
	gzips   sync.Pool // *gzip.Writer
}

// New returns a Handler for the functions of r. Neither r nor what opts points to may change afterwards; opts may be nil.
func New(r *Registry, a Authenticator, opts *Options) *Handler {
	o := opts.withDefaults()
	return &Handler{
		reg: r, auth: a, opts: o,
		streams: make(chan struct{}, o.MaxStreams),
		absent:  absentAnswers(),
		index:   newIndexes(),
		bodies:  sync.Pool{New: func() any { return new(bytes.Buffer) }},
		gzips: sync.Pool{New: func() any {
			w, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
			if err != nil {
				panic(err) // the level is a constant
			}
			return w
		}},
	}
}

// exchange is one request and its answer.
type exchange struct {
	h      *Handler
	w      http.ResponseWriter
	r      *http.Request
	format string
	rel    string // path below the format, as sent
	caller call.Caller
	last   bool // the connection closes after this answer
	read   bool // the request's body was read to its end

	status int          // sent; 0 = nothing yet
	sent   atomic.Int64 // bytes of the body sent
}

// ServeHTTP answers one request. It returns when the answer is written; for a WebSocket, when that ends.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{h: h, w: w, r: r, last: r.Close}
	if c := connOf(r.Context()); c != nil {
		c.begin()
		defer c.end()
		x.last = x.last || c.countRequest()
	}
	if h.opts.AccessLog != nil {
		start := h.opts.Now()
		defer func() {
			path, _, _ := strings.Cut(r.RequestURI, "?")
			h.opts.AccessLog(AccessEntry{Remote: remoteHost(r), AuthID: x.caller.AuthID, Method: r.Method, URI: path,
				Status: x.status, Bytes: x.sent.Load(), Duration: h.opts.Now().Sub(start)})
		}()
	}
	if headerTooBig(r) {
		x.drop()
		return
	}
	if err := x.guarded(x.serve); err != nil {
		x.fail(err)
	}
}

// guarded turns a panic of f into an error. A panic that means "close the connection" passes.
func (x *exchange) guarded(f func() error) (err error) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			panic(p)
		default:
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}

// serve takes the request through its checks in PVE's order. Errors are answered by fail.
func (x *exchange) serve() error {
	r := x.r
	switch r.Method {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete:
	default:
		return &refusal{status: http.StatusNotImplemented, reason: "method '" + r.Method + "' not available"}
	}
	if r.ProtoMajor != 1 {
		return transportError(http.StatusVariantAlsoNegotiates, "http protocol version "+r.Proto+" not supported")
	}
	if len(r.TransferEncoding) > 0 {
		return transportError(http.StatusNotImplemented, "chunked transfer encoding not supported")
	}
	var api bool
	if x.format, x.rel, api = splitURI(r.URL.Path); !api {
		return x.page()
	}
	if x.format == "" {
		return transportError(http.StatusNotImplemented, "no such uri")
	}
	e, uri, found := schema.Lookup(r.Method, x.rel)
	upload := found && e.Method == http.MethodPost && e.Path == uploadPath
	if err := x.authenticate(found && e.Permission.World(), upload); err != nil {
		return err
	}
	if err := x.h.checkBody(r, upload); err != nil {
		return err
	}
	if !knownFormat(x.format) {
		return transportError(http.StatusNotImplemented, fmt.Sprintf("no formatter for uri %s, %s", x.rel, x.format))
	}
	if !found {
		return notImplemented(r.Method, x.rel)
	}
	return x.call(e, uri, upload)
}

// call runs everything that is answered in the envelope: parameters, permission, function.
func (x *exchange) call(e *schema.Endpoint, uri map[string]string, upload bool) error {
	params, err := x.params(upload)
	if err != nil {
		return err
	}
	if err := mergeURI(params, uri); err != nil {
		return err
	}
	ctx := call.With(x.r.Context(), x.caller)
	if err := x.authorize(ctx, e, params); err != nil {
		return err
	}
	if err := x.h.checkNode(e, params); err != nil {
		return err
	}
	if upload {
		file, err := x.openUpload(params)
		if err != nil {
			return err
		}
		ctx = call.WithUpload(ctx, file)
	}
	valid, bad := e.Validate(params)
	if len(bad) > 0 {
		return call.ParamErrors(bad)
	}
	if node, given := valid["node"]; given && onNode(e) && node != x.h.opts.Node {
		return call.Param("node", "invalid format - value does not look like a valid node name\n")
	}
	m := x.h.reg.lookup(e)
	if m == nil {
		return x.withoutFunction(e, valid)
	}
	if m.stream {
		if err := checkUpgrade(x.r, x.h.opts.Origins); err != nil {
			return err
		}
	}
	answer, err := m.invoke(ctx, valid)
	if err != nil {
		return err
	}
	return x.answer(e, answer)
}

// params reads the parameters of query and body; a file's body is left for openUpload.
func (x *exchange) params(upload bool) (map[string]any, error) {
	if upload || x.r.ContentLength <= 0 {
		params := map[string]any{}
		parseForm(x.r.URL.RawQuery, params)
		delete(params, "_dc")
		return params, nil
	}
	rc := http.NewResponseController(x.w)
	x.deadline(rc.SetReadDeadline, x.h.opts.BodyTimeout)
	params, err := readParams(x.r)
	x.deadline(rc.SetReadDeadline, 0)
	x.read = err == nil
	return params, err
}

// unread tells whether the client may be writing a body still.
func (x *exchange) unread() bool { return x.r.ContentLength != 0 && !x.read }

// deadline sets a deadline of the connection, if it has one, d from now; 0 removes it.
func (x *exchange) deadline(set func(time.Time) error, d time.Duration) {
	var at time.Time
	if d > 0 {
		at = time.Now().Add(d)
	}
	if err := set(at); err != nil && !errors.Is(err, http.ErrNotSupported) {
		x.h.opts.Logger.Debug("set deadline", "error", err)
	}
}

func remoteHost(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
