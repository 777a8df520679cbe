package vma

import (
	"compress/bzip2"
	"compress/gzip"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// Compression is how a whole archive is compressed: the last part of its file name.
type Compression string

// The compressions that archives have.
const (
	Plain Compression = ""
	Gzip  Compression = "gz"
	Zstd  Compression = "zst"
	Bzip2 Compression = "bz2" // reading only
	LZO   Compression = "lzo" // a file of lzop(1)
)

// Inflation bounds decompression. A zero field is the default.
type Inflation struct {
	// MaxBytes is how much may come out: no limit. An archive read to its end is bounded by the sizes in its header; whoever
	// reads the header alone needs no more than [Limits].HeaderBytes.
	MaxBytes int64
	// MaxRatio is how many times more may come out than went in, beyond the first 16 MiB: no limit. Disks full of one byte
	// compress 30000 times.
	MaxRatio int64
	// WindowBytes is the memory that a zstd frame, or a block of lzop, may ask for: 128 MiB.
	WindowBytes int64
}

// freeBytes may come out whatever the ratio.
const freeBytes = 16 << 20

// Decompress returns the archive within a compressed stream. Reading fails with [ErrTooLarge] beyond the bounds, which may
// be nil, and with [ErrCorrupt] on damage. Close frees memory and does not close r. It is [ErrCompression] for what is not
// supported.
func Decompress(r io.Reader, c Compression, bounds *Inflation) (io.ReadCloser, error) {
	if bounds == nil {
		bounds = &Inflation{}
	}
	d := &inflater{in: countingReader{r: r}, bounds: *bounds, release: func() {}}
	if d.bounds.WindowBytes <= 0 {
		d.bounds.WindowBytes = 128 << 20
	}
	switch c {
	case Plain:
		d.out = &d.in
	case Gzip:
		z, err := gzip.NewReader(&d.in)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		d.out = z
	case Bzip2:
		d.out = bzip2.NewReader(&d.in)
	case Zstd:
		z, err := zstd.NewReader(&d.in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(uint64(d.bounds.WindowBytes))) // positive
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		d.out, d.release = z, z.Close
	case LZO:
		d.out = &lzopReader{r: &d.in, max: d.bounds.WindowBytes}
	default:
		return nil, fmt.Errorf("'%s': %w", c, ErrCompression)
	}
	return d, nil
}

// countingReader counts what is read through it. Its own errors are remembered, to tell them from damage.
type countingReader struct {
	r   io.Reader
	n   int64
	err error
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if err != nil && err != io.EOF { //nolint:errorlint // io.Reader's contract
		c.err = err
	}
	return n, err
}

// inflater checks the bounds.
type inflater struct {
	in      countingReader
	out     io.Reader
	bounds  Inflation
	n       int64
	release func()
}

func (d *inflater) Read(p []byte) (int, error) {
	if d.bounds.MaxBytes > 0 && int64(len(p)) > d.bounds.MaxBytes-d.n+1 {
		p = p[:d.bounds.MaxBytes-d.n+1]
	}
	n, err := d.out.Read(p)
	d.n += int64(n)
	switch {
	case d.bounds.MaxBytes > 0 && d.n > d.bounds.MaxBytes:
		return 0, fmt.Errorf("more than %d bytes: %w", d.bounds.MaxBytes, ErrTooLarge)
	case d.bounds.MaxRatio > 0 && d.n > freeBytes && d.n/d.bounds.MaxRatio > d.in.n:
		return 0, fmt.Errorf("compressed more than %d times: %w", d.bounds.MaxRatio, ErrTooLarge)
	case err == nil || err == io.EOF: //nolint:errorlint // io.Reader's contract
		return n, err
	case d.in.err != nil:
		return n, d.in.err
	}
	return n, fmt.Errorf("%w: %w", ErrCorrupt, err)
}

func (d *inflater) Close() error {
	d.release()
	return nil
}

// Compress returns a writer whose data goes to w compressed, by as many goroutines as threads says where the compression
// can (zstd); 0 is one. Close ends the stream and does not close w. It is [ErrCompression] for what is not supported.
func Compress(w io.Writer, c Compression, threads int) (io.WriteCloser, error) {
	switch c {
	case Plain:
		return nopCloser{w}, nil
	case Gzip:
		return gzip.NewWriterLevel(w, gzip.BestSpeed)
	case Zstd:
		return zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(max(threads, 1)))
	case LZO:
		return newLZOPWriter(w), nil
	}
	return nil, fmt.Errorf("'%s': %w", c, ErrCompression)
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }
