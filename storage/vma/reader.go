package vma

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
)

// Reader reads an archive from its start to its end.
type Reader struct {
	r       io.Reader
	limits  *Limits
	header  *Header
	devices map[uint8]*tracker
	queue   []cluster // of the current extent, not read yet
	buf     []byte    // the blocks of one cluster
	pending []Chunk   // of the current cluster
	err     error     // for ever
}

// Chunk is a piece of a device, of at most one cluster.
type Chunk struct {
	Device Device
	// Offset in the device, in bytes.
	Offset int64
	// Length in bytes.
	Length int
	// Data is nil for zeros, or else Length bytes. They are valid until the next call of the reader.
	Data []byte
}

// NewReader reads the header of an archive; limits may be nil. Errors are of class [ErrFormat], [ErrCorrupt], [ErrName] or
// [ErrTooLarge], or those of r.
func NewReader(r io.Reader, limits *Limits) (*Reader, error) {
	b := make([]byte, tables)
	if _, err := io.ReadFull(r, b); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fmt.Errorf("%d bytes are not enough for a header: %w", tables, ErrFormat)
		}
		return nil, err
	}
	size, err := prefixOf(b, limits)
	if err != nil {
		return nil, err
	}
	// The blobs come in pieces: a size is believed when the bytes are there.
	for n := int64(tables); n < size; {
		piece := make([]byte, min(size-n, 256<<10))
		if _, err := io.ReadFull(r, piece); err != nil {
			return nil, truncated("the header", err)
		}
		b = append(b, piece...)
		n += int64(len(piece))
	}
	h, err := parseHeader(b, limits)
	if err != nil {
		return nil, err
	}
	return &Reader{r: r, limits: limits, header: h, devices: newTrackers(h.Devices), buf: make([]byte, ClusterBytes)}, nil
}

// prefixOf checks what says that it is a header, and returns its size.
func prefixOf(b []byte, l *Limits) (int64, error) {
	if string(b[:4]) != headerMagic {
		return 0, ErrFormat
	}
	if v := be32(b, atVersion); v != version {
		return 0, fmt.Errorf("version %d: %w", v, ErrFormat)
	}
	size := int64(be32(b, atSize))
	if size < tables || size%sector != 0 {
		return 0, fmt.Errorf("header of %d bytes: %w", size, ErrCorrupt)
	}
	if size > l.headerBytes() {
		return 0, fmt.Errorf("header of %d bytes: %w", size, ErrTooLarge)
	}
	return size, nil
}

func truncated(what string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("ends within %s: %w", what, ErrTruncated)
	}
	return err
}

// Header returns the archive's header. It belongs to the reader and must not be changed.
func (r *Reader) Header() *Header { return r.header }

// Next returns the next piece of data. At the end of a whole archive it is io.EOF; other errors are of class
// [ErrCorrupt], or those of the underlying reader. After an error it returns the same one again.
func (r *Reader) Next() (Chunk, error) {
	for len(r.pending) == 0 && r.err == nil {
		r.err = r.advance()
	}
	if r.err != nil {
		return Chunk{}, r.err
	}
	c := r.pending[0]
	r.pending = r.pending[1:]
	return c, nil
}

// advance reads the next cluster, and the header of the next extent if need be.
func (r *Reader) advance() error {
	for len(r.queue) == 0 {
		var b [extentHeader]byte
		if _, err := io.ReadFull(r.r, b[:]); errors.Is(err, io.EOF) {
			if err := complete(r.devices); err != nil {
				return err
			}
			return io.EOF
		} else if err != nil {
			return truncated("an extent", err)
		}
		var err error
		if r.queue, err = parseExtent(&b, r.header.UUID); err != nil {
			return err
		}
	}
	c := r.queue[0]
	r.queue = r.queue[1:]
	t := r.devices[c.device]
	if t == nil {
		return fmt.Errorf("device %d is not in the header: %w", c.device, ErrCorrupt)
	}
	within, err := t.add(c, r.limits)
	if err != nil {
		return err
	}
	data := r.buf[:c.blocks()*BlockBytes]
	if _, err := io.ReadFull(r.r, data); err != nil {
		return truncated("an extent", err)
	}
	r.pending = split(r.pending[:0], t.Device, c, data, within)
	return nil
}

// split makes pieces of a cluster: rows of blocks that are there, and of blocks that are not.
func split(into []Chunk, d Device, c cluster, data []byte, within int) []Chunk {
	start := int64(c.number) * ClusterBytes
	for first := 0; first*BlockBytes < within; {
		there := c.mask>>first&1 == 1
		run := bits.TrailingZeros16(c.mask >> first)
		if there {
			run = bits.TrailingZeros16(^(c.mask >> first))
		}
		run = min(run, blocksPerCluster-first)
		chunk := Chunk{Device: d, Offset: start + int64(first)*BlockBytes, Length: min(run*BlockBytes, within-first*BlockBytes)}
		if there {
			chunk.Data = data[:chunk.Length]
			data = data[run*BlockBytes:]
		}
		into = append(into, chunk)
		first += run
	}
	return into
}

// Target is where a device's data goes.
type Target struct {
	W io.WriterAt
	// Zeroed says that the target reads as zeros, so that zeros need not be written.
	Zeroed bool
}

// Extract reads the archive to its end and writes the devices' data to the targets, by the devices' ids. A device
// without a target is passed over, but must be whole too. It ends between two pieces when ctx does.
func (r *Reader) Extract(ctx context.Context, targets map[uint8]Target) error {
	zeros := make([]byte, ClusterBytes)
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		c, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		t, ok := targets[c.Device.ID]
		if !ok || c.Data == nil && t.Zeroed {
			continue
		}
		if c.Data == nil {
			c.Data = zeros[:c.Length]
		}
		if _, err := t.W.WriteAt(c.Data, c.Offset); err != nil {
			return fmt.Errorf("device %s: %w", c.Device.Name, err)
		}
	}
}
