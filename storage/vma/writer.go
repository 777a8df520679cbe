package vma

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Writer writes an archive. Data may come in any order; [Writer.Close] ends the archive.
type Writer struct {
	w       io.Writer
	uuid    [16]byte
	devices map[uint8]*tracker
	extent  []cluster
	blocks  []byte
	err     error // for ever
}

// ErrClosed is a write after Close.
var ErrClosed = errors.New("archive is closed")

// NewWriter writes the header of a new archive. The caller makes up the UUID, which may not be all zeros. Names and sizes
// are held to the same rules as in reading.
func NewWriter(w io.Writer, h *Header) (*Writer, error) {
	if h.UUID == [16]byte{} {
		return nil, fmt.Errorf("archive without a UUID: %w", ErrFormat)
	}
	if err := h.check(nil); err != nil {
		return nil, err
	}
	if _, err := w.Write(formatHeader(h)); err != nil {
		return nil, err
	}
	return &Writer{w: w, uuid: h.UUID, devices: newTrackers(h.Devices), blocks: make([]byte, 0, extentClusters*ClusterBytes)}, nil
}

// formatHeader is the inverse of parseHeader.
func formatHeader(h *Header) []byte {
	b := make([]byte, tables)
	blobs := blobBuffer{0} // offset 0 means none
	copy(b, headerMagic)
	binary.BigEndian.PutUint32(b[atVersion:], version)
	copy(b[atUUID:], h.UUID[:])
	binary.BigEndian.PutUint64(b[atTime:], uint64(h.Created.Unix())) // any time is fine
	for i, c := range h.Configs {
		binary.BigEndian.PutUint32(b[atConfigNames+4*i:], blobs.add([]byte(c.Name+"\x00")))
		binary.BigEndian.PutUint32(b[atConfigData+4*i:], blobs.add(c.Data))
	}
	for _, d := range h.Devices {
		entry := b[atDevices+int(d.ID)*deviceEntry:]
		binary.BigEndian.PutUint32(entry, blobs.add([]byte(d.Name+"\x00")))
		binary.BigEndian.PutUint64(entry[deviceSizeOffset:], uint64(d.SizeBytes)) // checked
	}
	blobs = append(blobs, make([]byte, (sector-len(blobs)%sector)%sector)...)
	binary.BigEndian.PutUint32(b[atBlobs:], tables)
	binary.BigEndian.PutUint32(b[atBlobSize:], uint32(len(blobs)))    // see blobBuffer.add
	binary.BigEndian.PutUint32(b[atSize:], uint32(tables+len(blobs))) // see blobBuffer.add
	b = append(b, blobs...)
	sum := checksum(b, atSum)
	copy(b[atSum:], sum[:])
	return b
}

// WriteCluster writes the cluster of a device at number × 64 KiB: a whole one, or what is left at the end of the device.
// No data means zeros. Each cluster may be written once.
func (w *Writer) WriteCluster(device uint8, number uint32, data []byte) error {
	if w.err != nil {
		return w.err
	}
	t := w.devices[device]
	if t == nil {
		return fmt.Errorf("device %d is not in the header: %w", device, ErrCorrupt)
	}
	if want := t.within(number); len(data) != 0 && len(data) != want && (t.Name != VMState || len(data) > want) {
		return fmt.Errorf("cluster %d of %s has %d bytes, not %d: %w", number, t.Name, len(data), want, ErrCorrupt)
	}
	c := cluster{device: device, number: number, mask: maskOf(data)}
	if _, err := t.add(c, nil); err != nil {
		return err
	}
	w.extent = append(w.extent, c)
	for i := 0; i*BlockBytes < len(data); i++ {
		if c.mask>>i&1 == 0 {
			continue
		}
		block := data[i*BlockBytes : min(len(data), (i+1)*BlockBytes)]
		w.blocks = append(w.blocks, block...)
		w.blocks = append(w.blocks, make([]byte, BlockBytes-len(block))...)
	}
	if len(w.extent) == extentClusters {
		w.err = w.flush()
	}
	return w.err
}

// maskOf tells which blocks are not all zeros.
func maskOf(data []byte) uint16 {
	var mask uint16
	for i := 0; i < blocksPerCluster && i*BlockBytes < len(data); i++ {
		if !allZero(data[i*BlockBytes : min(len(data), (i+1)*BlockBytes)]) {
			mask |= 1 << i
		}
	}
	return mask
}

func allZero(b []byte) bool {
	for len(b) >= 8 {
		if binary.NativeEndian.Uint64(b) != 0 {
			return false
		}
		b = b[8:]
	}
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// WriteDevice writes a whole disk from r, which must have as many bytes as the header says, or more, or the guest's memory
// until r ends. It ends between two clusters when ctx does.
func (w *Writer) WriteDevice(ctx context.Context, device uint8, r io.Reader) error {
	t := w.devices[device]
	if t == nil {
		return fmt.Errorf("device %d is not in the header: %w", device, ErrCorrupt)
	}
	stream := t.Name == VMState
	buf := make([]byte, ClusterBytes)
	for n := uint64(0); stream || n < t.clusters; n++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		size := int64(ClusterBytes)
		if !stream {
			size = min(size, t.SizeBytes-int64(n)*ClusterBytes) // n is below the number of clusters
		}
		got, err := io.ReadFull(r, buf[:size])
		ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		switch {
		case stream && ended && got == 0:
			return nil
		case ended && !stream:
			return fmt.Errorf("device %s: source ends: %w", t.Name, io.ErrUnexpectedEOF)
		case err != nil && !ended:
			return fmt.Errorf("device %s: %w", t.Name, err)
		}
		if err := w.WriteCluster(device, uint32(n), buf[:got]); err != nil { // sizes are checked
			return err
		}
	}
	return nil
}

// flush writes the extent.
func (w *Writer) flush() error {
	if len(w.extent) == 0 {
		return nil
	}
	if _, err := w.w.Write(formatExtent(w.extent, w.uuid)[:]); err != nil {
		return err
	}
	_, err := w.w.Write(w.blocks)
	w.extent, w.blocks = w.extent[:0], w.blocks[:0]
	return err
}

// Close writes what is left. It is an error of class [ErrTruncated] if a cluster of a disk has not been written. It does
// not close the underlying writer. A second call does nothing.
func (w *Writer) Close() error {
	if errors.Is(w.err, ErrClosed) {
		return nil
	}
	if w.err != nil {
		return w.err
	}
	w.err = ErrClosed
	return errors.Join(w.flush(), complete(w.devices))
}
