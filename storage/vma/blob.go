package vma

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// blobBuffer is where names and configurations lie: a size of two bytes, little-endian, before each.
type blobBuffer []byte

// data returns the blob at an offset. It is a copy, so that the header's bytes can be let go.
func (b blobBuffer) data(off uint32) ([]byte, error) {
	if off == 0 || uint64(off)+2 > uint64(len(b)) {
		return nil, fmt.Errorf("blob at %d: %w", off, ErrCorrupt)
	}
	size := int(binary.LittleEndian.Uint16(b[off:]))
	rest := b[off+2:]
	if size > len(rest) {
		return nil, fmt.Errorf("blob at %d of %d bytes: %w", off, size, ErrCorrupt)
	}
	return append([]byte{}, rest[:size]...), nil
}

// name returns the blob at an offset as a string that ends in NUL.
func (b blobBuffer) name(off uint32) (string, error) {
	data, err := b.data(off)
	if err != nil {
		return "", err
	}
	s, ok := strings.CutSuffix(string(data), "\x00")
	if !ok || strings.Contains(s, "\x00") {
		return "", fmt.Errorf("name at %d: %w", off, ErrName)
	}
	return s, nil
}

// add appends a blob and returns its offset.
func (b *blobBuffer) add(data []byte) uint32 {
	off := len(*b)
	*b = binary.LittleEndian.AppendUint16(*b, uint16(len(data))) // checked against MaxConfigBytes
	*b = append(*b, data...)
	return uint32(off) // 256 configurations and 255 names make 33 MiB at most
}
