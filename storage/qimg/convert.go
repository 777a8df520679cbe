package qimg

import (
	"bytes"
	"context"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/storage"
)

// CopyOptions say how a copy is made.
type CopyOptions struct {
	Snapshot       string // internal snapshot of the source to copy instead of its current state
	TargetIsZero   bool   // the target reads as zeros, so zeros need not be written
	BytesPerSecond int64  // limit, 0 is none
	Untrusted      bool   // the source came from outside: memory is limited
	// Progress, if set, is called from one goroutine with bytes of the source's virtual size.
	Progress func(done, total int64)
}

// convertAddressSpace bounds the memory of a conversion of an untrusted image in bytes. The stacks of its worker threads
// alone are half a GiB, so it is more than inspecting one may take.
const convertAddressSpace = 2 << 30

// Convert copies the contents of src into the existing image dst by qemu-img. dst must not be smaller.
func (t *Tool) Convert(ctx context.Context, dst, src *storage.Image, o CopyOptions) error {
	var files fileSet
	from, err := files.source(src, true)
	if err != nil {
		return err
	}
	to, err := files.node(dst, false)
	if err != nil {
		return err
	}
	file, err := to.File.options("file")
	if err != nil {
		return err
	}
	if o.Snapshot == "" {
		o.Snapshot = src.Snapshot
	}
	args := []string{"convert", "-p", "-n"}
	if o.TargetIsZero {
		args = append(args, "--target-is-zero")
	}
	if o.Snapshot != "" {
		args = append(args, "-l", "snapshot.name="+escapeComma(o.Snapshot))
	}
	if o.BytesPerSecond > 0 {
		args = append(args, "-r", strconv.FormatInt(o.BytesPerSecond, 10))
	}
	// The target's node has no json: form on this command line.
	args = append(args, "--target-image-opts", from, "driver="+to.Driver+","+file)
	c := command{args: args, files: files, stdout: &progress{report: func(float64) {}}}
	if o.Progress != nil {
		total, err := t.virtualBytes(ctx, src)
		if err != nil {
			return err
		}
		c.stdout = &progress{report: func(f float64) { o.Progress(int64(f*float64(total)), total) }}
	}
	if o.Untrusted {
		c.limits.AddressSpaceBytes = convertAddressSpace
	}
	_, err = t.run(ctx, c)
	return err
}

func (t *Tool) virtualBytes(ctx context.Context, img *storage.Image) (int64, error) {
	if img.Remote != nil {
		info, err := t.Info(ctx, img)
		return info.VirtualBytes, err
	}
	size, err := fileSize(img.File)
	if err != nil {
		return 0, err
	}
	h, err := ProbeAs(img.File, size, img.Format)
	return h.VirtualBytes, err
}

func escapeComma(s string) string {
	return strings.ReplaceAll(s, ",", ",,")
}

// progress reads the output of qemu-img -p, "    (12.34/100%)\r", and reports fractions, each once.
type progress struct {
	report func(fraction float64)
	line   []byte
	last   float64
}

func (p *progress) Write(b []byte) (int, error) {
	for _, c := range b {
		switch {
		case c == '\r' || c == '\n':
			p.parse()
			p.line = p.line[:0]
		case len(p.line) < 64:
			p.line = append(p.line, c)
		}
	}
	return len(b), nil
}

func (p *progress) parse() {
	text := bytes.TrimSpace(p.line)
	text, ok := bytes.CutPrefix(text, []byte("("))
	number, _, found := bytes.Cut(text, []byte("/100%)"))
	if !ok || !found {
		return
	}
	percent, err := strconv.ParseFloat(string(number), 64)
	if err != nil || percent/100 <= p.last && p.last > 0 || percent < 0 || percent > 100 {
		return
	}
	p.last = percent / 100
	p.report(p.last)
}
