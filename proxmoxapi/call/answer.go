package call

import (
	"context"
	"io"
	"net"
)

// List is an answer whose envelope also carries the number of all rows (tasks, logs).
type List struct {
	Rows  any // a slice; empty prints [], never null
	Total int // left out of the envelope when 0
}

// Changes is an answer whose envelope also carries the text of pending changes.
type Changes struct {
	Rows    any
	Changes string // left out when empty
}

// Download is an answer that is a file instead of JSON. The front closes Body.
type Download struct {
	Name        string // file name for the client, a base name
	ContentType string
	Body        io.ReadCloser
}

// Upload is the file part of a multipart request; the fields before it are ordinary parameters. Body ends with the part
// and is only valid until the handler returns.
type Upload struct {
	Filename string // as sent, not checked
	Size     int64  // bytes of the file part, computed from Content-Length; -1 if unknown
	Body     io.Reader
}

type uploadKey struct{}

// WithUpload returns a context that carries the file part of the request.
func WithUpload(ctx context.Context, u *Upload) context.Context {
	return context.WithValue(ctx, uploadKey{}, u)
}

// UploadFrom returns the file part of the request, nil if there is none.
func UploadFrom(ctx context.Context) *Upload {
	u, _ := ctx.Value(uploadKey{}).(*Upload)
	return u
}

// Stream is an answer that takes the connection over as a WebSocket: the front upgrades it and calls Serve with a
// connection whose reads and writes are binary messages. ctx ends with the server or the connection; Serve returns when it is done.
type Stream struct {
	Serve func(ctx context.Context, conn net.Conn) error
}
