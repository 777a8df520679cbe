package proxmoxapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// download streams a file. Only an open reader can be an answer, never a path, and only where the schema says that the
// method downloads: whatever members an answer has, it is printed as JSON.
func (x *exchange) download(e *schema.Endpoint, d *call.Download) error {
	if d == nil || d.Body == nil {
		return errors.New("download without a body")
	}
	defer d.Body.Close()
	if !e.DownloadAllowed {
		return fmt.Errorf("%s %s must not answer with a file", e.Method, e.Path)
	}
	head := make([]byte, call.CompressAbove+1)
	n, err := io.ReadFull(d.Body, head)
	head = head[:n]
	short := err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF)
	if err != nil && !short {
		return err
	}
	ctype := d.ContentType
	if ctype == "" {
		ctype = "application/octet-stream"
	}
	x.apiHeaders(ctype)
	x.w.Header().Set("Content-Disposition", `attachment; filename="`+attachmentName(d.Name)+`"`)
	packed := !short && x.takesGzip()
	switch {
	case short:
		x.w.Header().Set("Content-Length", strconv.Itoa(n))
	case packed:
		x.w.Header().Set("Content-Encoding", "gzip")
	}
	x.status = http.StatusOK
	out := &pacedWriter{w: x.w, set: http.NewResponseController(x.w).SetWriteDeadline, timeout: x.h.opts.WriteTimeout, sent: &x.sent}
	body := io.MultiReader(bytes.NewReader(head), d.Body)
	if packed {
		return x.h.pack(out, body)
	}
	_, err = io.Copy(out, body)
	return err
}

func (h *Handler) pack(to io.Writer, body io.Reader) error {
	w := h.gzips.Get().(*gzip.Writer)
	defer h.gzips.Put(w)
	w.Reset(to)
	if _, err := io.Copy(w, body); err != nil {
		return err
	}
	return w.Close()
}

// attachmentName makes a file name fit for a header: its last element, without quotes and control characters.
func attachmentName(name string) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f || r == '"' {
			return '_'
		}
		return r
	}, name)
	if name == "" || name == "." || name == ".." {
		return "download"
	}
	return name
}

// pacedWriter gives a client a time for each piece of an answer instead of one for the whole.
type pacedWriter struct {
	w       io.Writer
	set     func(time.Time) error
	timeout time.Duration
	last    time.Time
	sent    interface{ Add(int64) int64 }
}

func (p *pacedWriter) Write(b []byte) (int, error) {
	if now := time.Now(); now.Sub(p.last) > p.timeout/8 {
		p.last = now
		if err := p.set(now.Add(p.timeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return 0, err
		}
	}
	n, err := p.w.Write(b)
	p.sent.Add(int64(n))
	if err != nil {
		err = fmt.Errorf("%w: %w", errGone, err)
	}
	return n, err
}
