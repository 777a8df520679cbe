package vma

import (
	"bytes"
	"crypto/md5" // the format's own checksum, against damage
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// Sizes of the format, in bytes.
const (
	ClusterBytes = 64 << 10
	BlockBytes   = 4 << 10

	blocksPerCluster = ClusterBytes / BlockBytes
	sector           = 512
	tables           = 12288 // the header without its blobs
	slots            = 256   // configurations, and devices with the id 0 that is none
)

// Offsets in the header.
const (
	atVersion, atUUID, atTime, atSum         = 4, 8, 24, 32
	atBlobs, atBlobSize, atSize              = 48, 52, 56
	atConfigNames, atConfigData, atDevices   = 2044, 3068, 4096
	deviceEntry, deviceSizeOffset, sumLength = 32, 8, md5.Size
)

const (
	headerMagic = "VMA\x00"
	version     = 1
)

// VMState is the name of the device that holds the memory of the guest.
const VMState = "vmstate"

// maxDevice is the largest disk whose clusters can be numbered, in bytes.
const maxDevice = ClusterBytes << 32

// MaxConfigBytes is the largest configuration that the format can hold.
const MaxConfigBytes = 1<<16 - 1

// Header is all that stands before the data.
type Header struct {
	UUID [16]byte
	// Created is the time of the backup, in whole seconds.
	Created time.Time
	// Configs are the configuration files, at most 256. Names are bare file names, each once.
	Configs []Config
	// Devices are the disks, ids ascending. Names are each once.
	Devices []Device
}

// Config is a configuration file.
type Config struct {
	Name string
	Data []byte
}

// Device is a disk, or the guest's memory if its name is [VMState].
type Device struct {
	ID   uint8 // 1 to 255
	Name string
	// SizeBytes of a disk. What the header says of a guest's memory means nothing.
	SizeBytes int64
}

// Config returns the data of the configuration file of that name.
func (h *Header) Config(name string) ([]byte, bool) {
	for _, c := range h.Configs {
		if c.Name == name {
			return c.Data, true
		}
	}
	return nil, false
}

// DeviceBytes is the size of all disks together.
func (h *Header) DeviceBytes() int64 {
	var n int64
	for _, d := range h.Devices {
		if d.Name != VMState {
			n += d.SizeBytes
		}
	}
	return n
}

// parseHeader reads a whole header, whose first fields prefixOf has checked.
func parseHeader(b []byte, l *Limits) (*Header, error) {
	if sum := checksum(b, atSum); !bytes.Equal(sum[:], b[atSum:atSum+sumLength]) {
		return nil, fmt.Errorf("checksum of the header: %w", ErrCorrupt)
	}
	start, size := be32(b, atBlobs), be32(b, atBlobSize)
	if start < tables || start%sector != 0 || size%sector != 0 || uint64(start)+uint64(size) > uint64(len(b)) {
		return nil, fmt.Errorf("blobs outside the header: %w", ErrCorrupt)
	}
	blobs := blobBuffer(b[start : start+size])
	h := &Header{UUID: [16]byte(b[atUUID:]), Created: time.Unix(int64(binary.BigEndian.Uint64(b[atTime:])), 0).UTC()} // any time is fine
	if err := h.readConfigs(b, blobs); err != nil {
		return nil, err
	}
	if err := h.readDevices(b, blobs); err != nil {
		return nil, err
	}
	return h, h.check(l)
}

func (h *Header) readConfigs(b []byte, blobs blobBuffer) error {
	for i := range slots {
		name, data := be32(b, atConfigNames+4*i), be32(b, atConfigData+4*i)
		if name == 0 && data == 0 {
			continue
		}
		c := Config{}
		var err error
		if c.Name, err = blobs.name(name); err != nil {
			return err
		}
		if c.Data, err = blobs.data(data); err != nil {
			return err
		}
		h.Configs = append(h.Configs, c)
	}
	return nil
}

func (h *Header) readDevices(b []byte, blobs blobBuffer) error {
	for i := 1; i < slots; i++ {
		entry := b[atDevices+i*deviceEntry:]
		name, size := be32(entry, 0), binary.BigEndian.Uint64(entry[deviceSizeOffset:])
		if name == 0 {
			if size != 0 {
				return fmt.Errorf("device %d has no name: %w", i, ErrCorrupt)
			}
			continue
		}
		d := Device{ID: uint8(i), SizeBytes: int64(size)} // a negative size does not pass the check
		var err error
		if d.Name, err = blobs.name(name); err != nil {
			return err
		}
		h.Devices = append(h.Devices, d)
	}
	return nil
}

// check refuses names and sizes that a header may not have, read or written.
func (h *Header) check(l *Limits) error {
	if len(h.Configs) > slots {
		return fmt.Errorf("%d configurations: %w", len(h.Configs), ErrTooLarge)
	}
	seen := map[string]bool{}
	for _, c := range h.Configs {
		if !safeName(c.Name) || seen[c.Name] {
			return fmt.Errorf("name %.80q of a configuration: %w", c.Name, ErrName)
		}
		seen[c.Name] = true
		if len(c.Data) > MaxConfigBytes {
			return fmt.Errorf("configuration %s of %d bytes: %w", c.Name, len(c.Data), ErrTooLarge)
		}
	}
	names, last, total := map[string]bool{}, 0, int64(0)
	for _, d := range h.Devices {
		if !safeName(d.Name) || names[d.Name] {
			return fmt.Errorf("name %.80q of a device: %w", d.Name, ErrName)
		}
		names[d.Name] = true
		if int(d.ID) <= last {
			return fmt.Errorf("id %d of device %s: %w", d.ID, d.Name, ErrCorrupt)
		}
		last = int(d.ID)
		if d.Name == VMState {
			continue
		}
		if d.SizeBytes < 0 || d.SizeBytes > maxDevice || d.SizeBytes > l.deviceBytes()-total {
			return fmt.Errorf("device %s of %d bytes: %w", d.Name, d.SizeBytes, ErrTooLarge)
		}
		total += d.SizeBytes
	}
	return nil
}

// safeName accepts bare file names: letters, digits, and ".-_" but not in front.
func safeName(s string) bool {
	if s == "" || len(s) > 255 || strings.IndexByte(".-_", s[0]) >= 0 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || strings.IndexByte(".-_", c) >= 0) {
			return false
		}
	}
	return true
}

// checksum is the MD5 of b with 16 bytes at the offset taken as zeros.
func checksum(b []byte, at int) [sumLength]byte {
	sum := md5.New()
	sum.Write(b[:at])
	sum.Write(make([]byte, sumLength))
	sum.Write(b[at+sumLength:])
	return [sumLength]byte(sum.Sum(nil))
}

func be32(b []byte, off int) uint32 { return binary.BigEndian.Uint32(b[off:]) }
