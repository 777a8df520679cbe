package vma

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
)

const (
	extentMagic    = "VMAE"
	extentHeader   = 512
	extentClusters = 59

	atExtentBlocks, atExtentUUID, atExtentSum, atExtentInfo = 6, 8, 24, 40
	infoEntry                                               = 8
)

// cluster says what an extent has of one cluster of a device.
type cluster struct {
	device uint8
	number uint32
	mask   uint16 // bit i: the i-th block follows
}

// blocks is how many blocks follow.
func (c cluster) blocks() int { return bits.OnesCount16(c.mask) }

// parseExtent reads the header of an extent.
func parseExtent(b *[extentHeader]byte, uuid [16]byte) ([]cluster, error) {
	switch sum := checksum(b[:], atExtentSum); {
	case string(b[:4]) != extentMagic:
		return nil, fmt.Errorf("no extent where one should be: %w", ErrCorrupt)
	case !bytes.Equal(b[atExtentUUID:atExtentUUID+16], uuid[:]):
		return nil, fmt.Errorf("extent of another archive: %w", ErrCorrupt)
	case !bytes.Equal(sum[:], b[atExtentSum:atExtentSum+sumLength]):
		return nil, fmt.Errorf("checksum of an extent: %w", ErrCorrupt)
	}
	var list []cluster
	blocks := 0
	for i := range extentClusters {
		info := b[atExtentInfo+i*infoEntry:]
		c := cluster{mask: binary.BigEndian.Uint16(info), device: info[3], number: be32(info, 4)}
		if c.device == 0 {
			if c.mask != 0 {
				return nil, fmt.Errorf("blocks of no device: %w", ErrCorrupt)
			}
			continue
		}
		list = append(list, c)
		blocks += c.blocks()
	}
	if want := int(binary.BigEndian.Uint16(b[atExtentBlocks:])); blocks != want {
		return nil, fmt.Errorf("extent of %d blocks has %d: %w", want, blocks, ErrCorrupt)
	}
	return list, nil
}

// formatExtent is the inverse of parseExtent.
func formatExtent(list []cluster, uuid [16]byte) *[extentHeader]byte {
	var b [extentHeader]byte
	copy(b[:], extentMagic)
	copy(b[atExtentUUID:], uuid[:])
	blocks := 0
	for i, c := range list {
		info := b[atExtentInfo+i*infoEntry:]
		binary.BigEndian.PutUint16(info, c.mask)
		info[3] = c.device
		binary.BigEndian.PutUint32(info[4:], c.number)
		blocks += c.blocks()
	}
	binary.BigEndian.PutUint16(b[atExtentBlocks:], uint16(blocks)) // at most 59 × 16
	sum := checksum(b[:], atExtentSum)
	copy(b[atExtentSum:], sum[:])
	return &b
}
