package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/qimg"
)

// Content reads and writes what a guest sees in an open image.
type Content interface {
	// Write makes data the content of img, whose virtual size is len(data) or more.
	Write(ctx context.Context, img *storage.Image, data []byte) error
	// Read returns the first n bytes of img, of its snapshot if it names one.
	Read(ctx context.Context, img *storage.Image, n int64) ([]byte, error)
}

// imageContent is Content for what this process or qemu-img can open.
type imageContent struct{}

func direct(img *storage.Image) bool {
	return img.File != nil && img.Format == storage.Raw && img.Snapshot == ""
}

func (imageContent) Write(ctx context.Context, img *storage.Image, data []byte) error {
	if direct(img) {
		if _, err := img.File.WriteAt(data, 0); err != nil {
			return err
		}
		return img.File.Sync()
	}
	return viaRaw(func(tool *qimg.Tool, f *os.File) error {
		if _, err := f.Write(data); err != nil {
			return err
		}
		if img.Backing != nil {
			return writeBacked(ctx, img, f.Name(), len(data))
		}
		return tool.Convert(ctx, img, &storage.Image{File: f, Format: storage.Raw}, qimg.CopyOptions{})
	})
}

func (imageContent) Read(ctx context.Context, img *storage.Image, n int64) (data []byte, err error) {
	data = make([]byte, n)
	if direct(img) {
		_, err = img.File.ReadAt(data, 0)
		return data, err
	}
	err = viaRaw(func(tool *qimg.Tool, f *os.File) error {
		if err := f.Truncate(max(n, 64<<20)); err != nil { // room for what is larger than asked
			return err
		}
		err := tool.Convert(ctx, &storage.Image{File: f, Format: storage.Raw}, img, qimg.CopyOptions{Snapshot: img.Snapshot, TargetIsZero: true})
		if err != nil {
			return err
		}
		_, err = f.ReadAt(data, 0)
		return err
	})
	return data, err
}

// writeBacked writes a file into an image that others back, which qemu-img cannot name as a target.
func writeBacked(ctx context.Context, img *storage.Image, from string, n int) error {
	var files []*os.File
	var opts []string
	prefix := ""
	for at := img; at != nil; at = at.Backing {
		opts = append(opts, fmt.Sprintf("%[1]sdriver=%[2]s,%[1]sfile.driver=file,%[1]sfile.filename=/proc/self/fd/%[3]d", prefix, at.Format, 3+len(files)))
		files, prefix = append(files, at.File), prefix+"backing."
	}
	cmd := exec.CommandContext(ctx, "qemu-io", "--image-opts", strings.Join(opts, ","), "-c", fmt.Sprintf("write -s %s 0 %d", from, n))
	cmd.ExtraFiles = files
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), fmt.Sprintf("wrote %d/%d", n, n)) {
		return fmt.Errorf("qemu-io: %w: %s", err, out)
	}
	return nil
}

// viaRaw does fn with a temporary raw image.
func viaRaw(fn func(*qimg.Tool, *os.File) error) error {
	tool, err := qimg.New(nil)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp("", "storagetest-*.raw")
	if err != nil {
		return err
	}
	err = fn(tool, f)
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}

// pattern is content of n bytes that differs between seeds: noise, a hole of zeros, noise.
func pattern(n int64, seed byte) []byte {
	data := make([]byte, n)
	noise := rand.NewChaCha8([32]byte{seed})
	edge := min(n/2, 64<<10)
	noise.Read(data[:edge])
	noise.Read(data[n-edge:])
	return data
}

// noise is content that no backend can make smaller.
func noise(n int64) []byte {
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{9}).Read(data)
	return data
}

func (s *suite) opener() storage.Opener {
	s.Helper()
	o, ok := storage.As[storage.Opener](s.d)
	require.True(s, ok, "claims Open")
	return o
}

func (s *suite) write(id storage.VolumeID, data []byte) {
	s.Helper()
	img, err := s.opener().Open(s.ctx, id, true)
	require.NoError(s, err)
	require.NoError(s, s.c.Content.Write(s.ctx, img, data))
	require.NoError(s, img.Close())
}

// read returns the first n bytes of a volume.
func (s *suite) read(id storage.VolumeID, n int64) []byte {
	s.Helper()
	img, err := s.opener().Open(s.ctx, id, false)
	require.NoError(s, err)
	data, err := s.c.Content.Read(s.ctx, img, n)
	require.NoError(s, err)
	require.NoError(s, img.Close())
	return data
}

// holds requires the content of a volume, and says no more than where it differs.
func (s *suite) holds(id storage.VolumeID, want []byte) {
	s.Helper()
	s.same(want, s.read(id, int64(len(want))))
}

func (s *suite) same(want, got []byte) {
	s.Helper()
	if !bytes.Equal(want, got) {
		require.Fail(s, "content differs", firstDifference(want, got))
	}
}

func firstDifference(want, got []byte) string {
	for i := range min(len(want), len(got)) {
		if want[i] != got[i] {
			return fmt.Sprintf("first at byte %d of %d: want %#x, got %#x", i, len(want), want[i], got[i])
		}
	}
	return fmt.Sprintf("want %d bytes, got %d", len(want), len(got))
}

// failingReader ends with its error after the bytes of r.
type failingReader struct {
	r   io.Reader
	err error
}

func (f failingReader) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if errors.Is(err, io.EOF) {
		err = f.err
	}
	return n, err
}
