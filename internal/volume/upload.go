package volume

import (
	"archive/tar"
	"context"
	"crypto/md5" //nolint:gosec // what clients ask for
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // what clients ask for
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"os"
	"path"
	"regexp"
	"strings"

	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/volid"
)

var (
	badNameChars = regexp.MustCompile(`[^a-zA-Z0-9_.-]`)
	uploadNames  = map[string]*regexp.Regexp{
		"iso":    regexp.MustCompile(`(?i)[^/]+\.(?:iso|img)$`),
		"vztmpl": regexp.MustCompile(`(?i)[^/]+\.tar(?:\.(?:gz|xz|zst|bz2))?$`),
		"import": regexp.MustCompile(`[^/]+\.(?:ova|qcow2|raw|vmdk)$`),
	}
	hashes = map[string]func() hash.Hash{
		"md5": md5.New, "sha1": sha1.New, "sha224": sha256.New224, "sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New,
	}
)

// uploadName makes the file name of an upload out of what the client sent: its last component, odd characters replaced.
func uploadName(content, sent string) (string, error) {
	name := sent[strings.LastIndexAny(sent, `/\`)+1:]
	name = badNameChars.ReplaceAllString(name, "_")
	if !uploadNames[content].MatchString(name) {
		if content == "import" {
			return "", call.Param("filename", "invalid filename or wrong extension")
		}
		return "", call.Param("filename", "wrong file extension")
	}
	return name, nil
}

// PostNodesStorageUpload streams a file into a hidden one beside its future place, and leaves the checks and the last step
// to a task. An existing file of that name is replaced.
func (s *Service) PostNodesStorageUpload(ctx context.Context, req *schema.PostNodesStorageUpload) (string, error) {
	c, err := s.Available(ctx, req.Storage)
	if err != nil {
		return "", err
	}
	if k, _ := volid.KindOf(c.Type); !k.Path {
		return "", call.Errorf("can't upload to storage type '%s'", c.Type)
	}
	name, err := uploadName(req.Content, req.Filename)
	if err != nil {
		return "", err
	}
	if !c.Holds(req.Content) {
		return "", call.Errorf("storage '%s' does not support '%s' content", c.ID, req.Content)
	}
	file := call.UploadFrom(ctx)
	if file == nil {
		return "", call.Errorf("missing temporary file name")
	}
	t, err := s.open(ctx, c.ID+":"+req.Content+"/"+name)
	if err != nil {
		return "", err
	}
	st, ok := storage.As[storage.Stager](t.driver)
	if !ok {
		return "", call.Errorf("can't upload to storage type '%s'", c.Type)
	}
	if usage, err := s.ask(ctx, t.mounted); err == nil && file.Size > usage.AvailBytes {
		return "", public(storage.ErrNoSpace, "no space left on storage '%s' (%d bytes needed, %d available)", c.ID, file.Size, usage.AvailBytes)
	}
	p := copyParams{Volume: t.text, Token: rand.Text()}
	if req.ChecksumAlgorithm != nil && req.Checksum != nil {
		p.Algorithm, p.Checksum = *req.ChecksumAlgorithm, strings.ToLower(*req.Checksum)
	}
	stage, err := st.Stage(ctx, t.id)
	if err != nil {
		return "", t.explain(err, "can't upload to storage type '"+c.Type+"'")
	}
	if err := s.receive(stage, file, &p); err != nil {
		stage.Discard()
		return "", t.explain(err, "")
	}
	s.mu.Lock()
	s.uploads[p.Token] = stage
	s.mu.Unlock()
	upid, err := s.tasks.Submit(ctx, task.Spec{Type: taskCopy, User: call.From(ctx).AuthID, Params: p})
	if err != nil {
		s.takeUpload(p.Token).Discard()
		return "", err
	}
	return upid.String(), nil
}

// receive writes the file of a request into its stage, and computes its checksum if one is expected.
func (s *Service) receive(stage storage.Stage, file *call.Upload, p *copyParams) (err error) {
	var w io.Writer = stage
	var sum hash.Hash
	if p.Algorithm != "" {
		newHash, ok := hashes[p.Algorithm]
		if !ok {
			return call.Param("checksum-algorithm", "unknown algorithm '%s'", p.Algorithm)
		}
		sum = newHash()
		w = io.MultiWriter(stage, sum)
	}
	if p.Size, err = io.CopyBuffer(w, file.Body, make([]byte, 1<<20)); err != nil {
		return err
	}
	if file.Size >= 0 && p.Size != file.Size {
		return io.ErrUnexpectedEOF
	}
	if sum != nil {
		p.Got = hex.EncodeToString(sum.Sum(nil))
	}
	return nil
}

// takeUpload returns the stage of a received file, to whoever asks first; one that does nothing if there is none.
func (s *Service) takeUpload(token string) storage.Stage {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.uploads[token]
	delete(s.uploads, token)
	if st == nil {
		return gone{}
	}
	return st
}

// gone is the stage of a file that this process never received: an earlier one did, and ended.
type gone struct{ storage.Stage }

func (gone) Discard() error { return nil }

// runReceive checks a received file and puts it in its place.
func (s *Service) runReceive(ctx context.Context, op *task.Op, p *copyParams) error {
	stage := s.takeUpload(p.Token)
	defer stage.Discard()
	t, err := s.open(ctx, p.Volume)
	if err != nil {
		return err
	}
	if _, lost := stage.(gone); lost {
		return call.Errorf("temporary file '%s' does not exist", t.name.Name)
	}
	op.Logf("target node: %s", s.opts.Node)
	op.Logf("target volume: %s", t.text)
	op.Logf("file size: %s", gib(p.Size))
	if p.Algorithm != "" {
		op.Logf("calculating checksum...%s", p.Got)
		if p.Got != p.Checksum {
			return call.Errorf("checksum mismatch: got '%s' != expect '%s'", p.Got, p.Checksum)
		}
	}
	if err := s.checkReceived(ctx, t, stage.File()); err != nil {
		return err
	}
	if err := stage.Commit(ctx, true); err != nil {
		return t.explain(err, "")
	}
	op.Logf("finished file import successfully")
	return nil
}

// checkReceived looks into a received file as far as its kind demands: nothing that QEMU will open may name other files.
func (s *Service) checkReceived(ctx context.Context, t *target, f *os.File) error {
	var format storage.Format
	switch {
	case t.name.Content == volid.VZTmpl:
		return nil
	case t.name.Content == volid.Import && t.name.Format == "ova":
		return checkOVA(ctx, f)
	case t.name.Content == volid.Import:
		format = storage.Format(t.name.Format)
	}
	_, err := s.tool.Inspect(ctx, f, format)
	if text := untrusted(err, t.name.Name); text != "" {
		return public(err, "%s", text)
	}
	if err != nil && !isPublic(err) {
		return public(err, "failed to query file information of '%s': not a valid image", t.name.Name)
	}
	return err
}

// checkOVA looks for the description in an appliance archive.
func checkOVA(ctx context.Context, f *os.File) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	// Reading through a file skips the members by seeking: the time is that of the headers, not of the content.
	for tr := tar.NewReader(f); ; {
		h, err := tr.Next()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, io.EOF):
			return call.Errorf("ova archive has no .ovf file inside")
		case err != nil:
			return public(err, "ova archive cannot be read")
		case h.Typeflag == tar.TypeReg && path.Ext(h.Name) == ".ovf":
			return nil
		}
	}
}
