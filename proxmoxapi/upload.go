package proxmoxapi

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"time"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// openUpload reads the fields before the file into params and returns the file, which nobody has read yet.
func (x *exchange) openUpload(params map[string]any) (*call.Upload, error) {
	if ctype := x.r.Header.Get("Content-Type"); mediaType(ctype) != "multipart/form-data" {
		return nil, transportError(http.StatusVariantAlsoNegotiates, "upload 'Content-Type '"+ctype+"' not implemented")
	}
	body := &pacedBody{body: x.r.Body, set: http.NewResponseController(x.w).SetReadDeadline, timeout: x.h.opts.BodyTimeout}
	form, err := newFileForm(body, x.r.Header.Get("Content-Type"))
	if err != nil {
		return nil, transportError(http.StatusNotImplemented, err.Error())
	}
	fields, filename, err := form.fields()
	if body.failed {
		return nil, fmt.Errorf("%w: %w", errGone, err)
	}
	if err != nil {
		return nil, transportError(http.StatusNotImplemented, err.Error())
	}
	for name := range fields {
		if p := schema.Params(params); p.Has(name) && p.String(name) != schema.Params(fields).String(name) {
			return nil, call.Param(name, "duplicate parameter with conflicting values!")
		}
	}
	maps.Copy(params, fields)
	if _, ok := params["tmpfilename"]; ok {
		return nil, call.Param("tmpfilename", "property is not defined in schema and the schema does not allow additional properties")
	}
	params[fileField] = filename
	const crlf = 2
	size := x.r.ContentLength - form.position() - int64(len(form.delimiter)+len("--")+crlf)
	return &call.Upload{Filename: filename, Size: max(size, -1), Body: &filePart{form: form, done: x.uploadDone, body: body}}, nil
}

// uploadDone runs when the file was read to its end.
func (x *exchange) uploadDone() {
	x.read = true
	// The deadline of the last piece must not end the request while the function works on.
	x.deadline(http.NewResponseController(x.w).SetReadDeadline, 0)
}

// filePart is the content of the file. It ends with io.EOF only if the body ends as it should.
type filePart struct {
	form *fileForm
	body *pacedBody
	done func()
	err  error
}

func (p *filePart) Read(b []byte) (int, error) {
	if p.err != nil {
		return 0, p.err
	}
	n, err := p.form.Read(b)
	if err == io.EOF {
		err = p.finish()
	}
	p.err = err
	return n, err
}

func (p *filePart) finish() error {
	last, err := p.form.endPart()
	if err != nil {
		return err
	}
	if !last {
		return errors.New("multipart/form-data goes on after the file")
	}
	const epilogue = 4 << 10
	if n, err := io.CopyN(io.Discard, p.form.in, epilogue); err == nil && n == epilogue {
		return errors.New("multipart/form-data goes on after its end")
	} else if err != io.EOF {
		return err
	}
	p.done()
	return io.EOF
}

// pacedBody gives a client a time for each piece of its body instead of one for the whole.
type pacedBody struct {
	body    io.Reader
	set     func(time.Time) error
	timeout time.Duration
	last    time.Time // when the deadline was moved
	failed  bool      // the connection failed, as opposed to what came over it
}

func (b *pacedBody) Read(p []byte) (int, error) {
	if now := time.Now(); now.Sub(b.last) > b.timeout/8 {
		b.last = now
		if err := b.set(now.Add(b.timeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return 0, err
		}
	}
	n, err := b.body.Read(p)
	b.failed = b.failed || err != nil && err != io.EOF
	return n, err
}
