package proxmoxapi

import (
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net/http"
	"time"
)

// Options tune a Handler. Every zero field has a default.
type Options struct {
	// Node is the name of this node: the only one, besides "localhost", that {node} in a path may say. Default "localhost".
	Node string
	// Logger gets the causes of internal errors at level Error. Default: discarded.
	Logger *slog.Logger
	// Web answers everything outside /api2 (GET, POST, PUT, DELETE). Default: a page that names the API at "/", 501 elsewhere.
	Web http.Handler
	// AccessLog is told of every request after its answer, from the request's goroutine. Default: nobody is.
	AccessLog func(AccessEntry)
	// Now is the clock of headers and the access hook, time.Now by default. Deadlines of connections use the real one.
	Now func() time.Time
	// ErrorID makes the id under which an internal error is logged. Default: 8 random hex digits.
	ErrorID func() string
	// NoCompression turns gzip of answers off.
	NoCompression bool
	// Origins are hosts, or patterns of path.Match, whose pages may open WebSockets besides the request's own host.
	Origins []string

	MaxBody    int64 // bytes of a parameter body; default 512 KiB
	MaxStreams int   // WebSockets open at a time; default 1024. More get 503.

	// The limits below are those of Serve.

	MaxConns        int           // connections open at a time; default 16384. More are closed at once.
	MaxConnsPerHost int           // of these from one address; default half of MaxConns
	HeaderTimeout   time.Duration // TLS handshake; and request header from its first byte; default 10 s
	BodyTimeout     time.Duration // parameter body, and each piece of an upload; default 30 s
	IdleTimeout     time.Duration // between requests; default 5 s
	WriteTimeout    time.Duration // an answer, and each piece of a download or stream; default 60 s
	ShutdownGrace   time.Duration // for requests that run when Serve's context ends; default 10 s
}

// AccessEntry describes one answered request for an access log.
type AccessEntry struct {
	Remote   string // address of the client, without port
	AuthID   string // caller, empty before authentication
	Method   string
	URI      string // path as sent, without the query, which may hold secrets
	Status   int    // HTTP status sent; 0 when the connection was dropped without a reply
	Bytes    int64  // of the body, as sent
	Duration time.Duration
}

func (o *Options) withDefaults() Options {
	var out Options
	if o != nil {
		out = *o
	}
	if out.Node == "" {
		out.Node = localNode
	}
	if out.Logger == nil {
		out.Logger = slog.New(slog.DiscardHandler)
	}
	if out.Now == nil {
		out.Now = time.Now
	}
	if out.ErrorID == nil {
		out.ErrorID = randomID
	}
	setDefault(&out.MaxBody, 512<<10)
	setDefault(&out.MaxStreams, 1024)
	setDefault(&out.MaxConns, 16384)
	setDefault(&out.MaxConnsPerHost, max(out.MaxConns/2, 1))
	setDefault(&out.HeaderTimeout, 10*time.Second)
	setDefault(&out.BodyTimeout, 30*time.Second)
	setDefault(&out.IdleTimeout, 5*time.Second)
	setDefault(&out.WriteTimeout, 60*time.Second)
	setDefault(&out.ShutdownGrace, 10*time.Second)
	return out
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func randomID() string {
	var b [4]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
