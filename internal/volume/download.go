package volume

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/vma"
	"github.com/turtacn/go-proxmox/storage/volid"
)

const taskDownload = "download"

// downloadParams are those of the operation download.
type downloadParams struct {
	Volume      string
	URL         string
	Insecure    bool   `json:",omitempty"`
	Algorithm   string `json:",omitempty"`
	Checksum    string `json:",omitempty"` // expected, of what the server sends
	Compression string `json:",omitempty"`
}

// PostNodesStorageDownloadUrl fetches a file into a storage in a task.
func (s *Service) PostNodesStorageDownloadUrl(ctx context.Context, req *schema.PostNodesStorageDownloadUrl) (string, error) {
	c, err := s.Available(ctx, req.Storage)
	if err != nil {
		return "", err
	}
	if k, _ := volid.KindOf(c.Type); !k.Path {
		return "", call.Errorf("can't upload to storage type '%s', not a file based storage!", c.Type)
	}
	if !c.Holds(req.Content) {
		return "", call.Errorf("storage '%s' is not configured for content-type '%s'", c.ID, req.Content)
	}
	name, err := uploadName(req.Content, req.Filename)
	if err != nil {
		return "", err
	}
	p := downloadParams{
		Volume: c.ID + ":" + req.Content + "/" + name, URL: req.Url, Insecure: req.VerifyCertificates != nil && !*req.VerifyCertificates,
	}
	if req.Compression != nil && *req.Compression != "" {
		if p.Compression = *req.Compression; req.Content != "iso" {
			return "", call.Errorf("decompression not supported for %s", req.Content)
		}
		if !decompresses(p.Compression) {
			return "", call.Param("compression", "no decompression method found")
		}
	}
	if req.ChecksumAlgorithm != nil || req.Checksum != nil {
		if req.ChecksumAlgorithm == nil || req.Checksum == nil || *req.Checksum == "" || hashes[*req.ChecksumAlgorithm] == nil {
			return "", call.Param("checksum", "a checksum needs a known algorithm and a value")
		}
		p.Algorithm, p.Checksum = *req.ChecksumAlgorithm, strings.ToLower(*req.Checksum)
	}
	upid, err := s.tasks.Submit(ctx, task.Spec{Type: taskDownload, ID: name, User: call.From(ctx).AuthID, Params: p})
	return upid.String(), err
}

func decompresses(c string) bool { return c == "gz" || c == "lzo" || c == "zst" || c == "bz2" }

func (s *Service) runDownload(ctx context.Context, op *task.Op) error {
	var p downloadParams
	if err := op.Decode(&p); err != nil {
		return err
	}
	t, err := s.open(ctx, p.Volume)
	if err != nil {
		return err
	}
	st, ok := storage.As[storage.Stager](t.driver)
	if !ok {
		return call.Errorf("can't upload to storage type '%s', not a file based storage!", t.Type)
	}
	op.Logf("downloading %s to %s", p.URL, p.Volume)
	if done, err := s.downloaded(ctx, op, t, &p); done || err != nil {
		return err
	}
	proxy, err := s.httpProxy(ctx)
	if err != nil {
		return err
	}
	resp, err := s.fetch.do(ctx, http.MethodGet, &fetchRequest{URL: p.URL, Insecure: p.Insecure, Proxy: proxy})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	room, err := s.room(ctx, t, resp.ContentLength)
	if err != nil {
		return err
	}
	stage, err := st.Stage(ctx, t.id)
	if err != nil {
		return t.explain(err, "can't upload to storage type '"+t.Type+"'")
	}
	defer stage.Discard()
	if err := s.take(ctx, op, &p, resp, stage, room); err != nil {
		return t.explain(err, "")
	}
	if err := s.checkReceived(ctx, t, stage.File()); err != nil {
		return err
	}
	if err := stage.Commit(ctx, false); errors.Is(err, storage.ErrExists) {
		return public(err, "refusing to override existing file '%s'", t.name.Name)
	} else if err != nil {
		return t.explain(err, "")
	}
	op.Logf("download of '%s' to '%s' finished", p.URL, p.Volume)
	return nil
}

// downloaded looks whether the file is there already. One with the wanted checksum is what was asked for.
func (s *Service) downloaded(ctx context.Context, op *task.Op, t *target, p *downloadParams) (bool, error) {
	if _, err := t.driver.Stat(ctx, t.id); errors.Is(err, storage.ErrNotFound) {
		return false, nil
	} else if err != nil {
		return false, t.explain(err, "")
	}
	if p.Algorithm == "" || p.Compression != "" {
		return false, public(storage.ErrExists, "refusing to override existing file '%s'", t.name.Name)
	}
	img, err := t.openImage(ctx)
	if err != nil {
		return false, err
	}
	defer img.Close()
	sum := hashes[p.Algorithm]()
	if _, err := io.CopyBuffer(sum, &contextReader{ctx, img.File}, make([]byte, 1<<20)); err != nil {
		return false, t.explain(err, "")
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != p.Checksum {
		return false, public(storage.ErrExists, "checksum mismatch: got '%s' != expect '%s', aborting", got, p.Checksum)
	}
	op.Logf("file already exists, matching checksum found, no need to download")
	return true, nil
}

// room returns how many bytes a new file may have. announced is what it will have, -1 if the server does not say.
func (s *Service) room(ctx context.Context, t *target, announced int64) (int64, error) {
	usage, err := s.ask(ctx, t.mounted)
	if err != nil {
		return 0, t.explain(err, "")
	}
	if announced > usage.AvailBytes {
		return 0, public(storage.ErrNoSpace, "no space left on storage '%s' (%d bytes needed, %d available)", t.ID, announced, usage.AvailBytes)
	}
	if s.opts.RoomBytes > 0 {
		return min(usage.AvailBytes, s.opts.RoomBytes), nil
	}
	return usage.AvailBytes, nil
}

// take writes the body of an answer into a stage, unpacked if it is packed, and checks that it is whole and what was expected.
func (s *Service) take(ctx context.Context, op *task.Op, p *downloadParams, resp *http.Response, stage io.Writer, room int64) error {
	var sum hash.Hash
	in := &intake{r: &contextReader{ctx, resp.Body}, limit: room, report: downloadProgress(op, resp.ContentLength)}
	if p.Algorithm != "" {
		sum = hashes[p.Algorithm]()
		in.sum = sum
	}
	unpacked, closeIt, err := unpack(in, p.Compression, room)
	if err != nil {
		return err
	}
	n, err := io.CopyBuffer(onlyWriter{stage}, io.LimitReader(unpacked, room+1), make([]byte, 1<<20))
	if err == nil { // what follows the packed data is part of what the checksum is about
		_, err = io.Copy(io.Discard, in)
	}
	err = errors.Join(err, closeIt())
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case n > room, errors.Is(err, errTooLong):
		return public(storage.ErrNoSpace, "the file is larger than the space that is left")
	case errors.Is(err, vma.ErrTooLarge):
		return public(err, "decompression failed: the content is larger than can be")
	case err != nil && p.Compression != "":
		return public(err, "decompression failed: not a valid %s file", p.Compression)
	case err != nil:
		return public(err, "download failed: %s", fetchText(err))
	case resp.ContentLength >= 0 && in.n != resp.ContentLength:
		return public(io.ErrUnexpectedEOF, "download failed: got %d of %d bytes", in.n, resp.ContentLength)
	}
	if sum == nil {
		return nil
	}
	got := hex.EncodeToString(sum.Sum(nil))
	op.Logf("calculating checksum...%s", got)
	if got != p.Checksum {
		return call.Errorf("checksum mismatch: got '%s' != expect '%s'", got, p.Checksum)
	}
	return nil
}

// onlyWriter hides other methods of a stage, which would pass the buffer by.
type onlyWriter struct{ io.Writer }

// unpack returns what is in a packed stream. Its size, its ratio and the memory that it takes are bounded.
func unpack(r io.Reader, compression string, room int64) (io.Reader, func() error, error) {
	if compression == "" {
		return r, func() error { return nil }, nil
	}
	z, err := vma.Decompress(r, vma.Compression(compression), &vma.Inflation{MaxBytes: room})
	if err != nil {
		return nil, nil, public(err, "decompression failed: not a valid %s file", compression)
	}
	return z, z.Close, nil
}

// errTooLong ends an intake of more bytes than there is room for.
var errTooLong = errors.New("too long")

// intake counts and digests what comes from a server.
type intake struct {
	r      io.Reader
	sum    io.Writer // nil: none
	n      int64
	limit  int64
	report func(done int64)
}

func (i *intake) Read(p []byte) (int, error) {
	n, err := i.r.Read(p)
	if i.n += int64(n); i.n > i.limit {
		return 0, errTooLong
	}
	if i.sum != nil {
		_, _ = i.sum.Write(p[:n]) // a hash takes everything
	}
	i.report(i.n)
	return n, err
}

// downloadProgress tells a task how far its download is, once a second.
func downloadProgress(op *task.Op, total int64) func(int64) {
	last := time.Now()
	return func(done int64) {
		if now := time.Now(); now.Sub(last) >= time.Second {
			last = now
			if total > 0 {
				op.Progress(float64(done)/float64(total), fmt.Sprintf("downloaded %s of %s", gib(done), gib(total)))
			} else {
				op.Progress(0, "downloaded "+gib(done))
			}
		}
	}
}

// metadataWait bounds the question for a file's name and size.
const metadataWait = 10 * time.Second

// GetNodesQueryUrlMetadata asks a server for the name, size and type of a file.
func (s *Service) GetNodesQueryUrlMetadata(ctx context.Context, req *schema.GetNodesQueryUrlMetadata) (schema.GetNodesQueryUrlMetadataReply, error) {
	var reply schema.GetNodesQueryUrlMetadataReply
	proxy, err := s.httpProxy(ctx)
	if err != nil {
		return reply, err
	}
	ctx, cancel := context.WithTimeout(ctx, metadataWait)
	defer cancel()
	r := &fetchRequest{URL: req.Url, Proxy: proxy, Insecure: req.VerifyCertificates != nil && !*req.VerifyCertificates}
	resp, err := s.fetch.do(ctx, http.MethodHead, r)
	if err != nil {
		return reply, err
	}
	defer resp.Body.Close()
	if name := fileNameOf(resp); name != "" {
		reply.Filename = &name
	}
	if resp.ContentLength >= 0 {
		reply.Size = &resp.ContentLength
	}
	if typ, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err == nil {
		reply.Mimetype = &typ
	}
	return reply, nil
}
