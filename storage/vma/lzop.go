package vma

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/adler32"
	"hash/crc32"
	"io"

	"github.com/anchore/go-lzo"
)

// LZO archives are files of lzop(1). All numbers are big-endian:
//
//	magic   9 bytes
//	header  version, library, version needed (u16 each)  method, level (u8)  flags (u32)  mode, time, time's upper half (u32)
//	        name (u8 length, bytes)  checksum of the header, without the magic (u32)
//	block   bytes unpacked (u32)  bytes packed (u32)  checksums of the flags (u32 each)  the packed bytes
//	end     0 (u32)
//
// A block of the same size packed and unpacked is not packed. Files may follow each other.
const (
	lzopMagic = "\x89LZO\x00\r\n\x1a\n"

	lzopVersion = 0x1040 // 1.04
	lzopLibrary = 0x20a0 // 2.10
	lzopNeeded  = 0x0940 // the first with all fields above
	lzopLZO1X   = 3      // the methods from 1 to this are LZO1X, which has one way to unpack
	lzopBlock   = 256 << 10
	lzopMax     = 64 << 20 // of a block
	lzopUnix    = 3 << 24

	flagAdlerOut   = 1 << 0 // checksums of a block unpacked and packed
	flagAdlerIn    = 1 << 1
	flagExtra      = 1 << 6 // after the header: u32 length, bytes, u32 checksum
	flagCRCOut     = 1 << 8
	flagCRCIn      = 1 << 9
	flagMultipart  = 1 << 10
	flagFilter     = 1 << 11
	flagHeaderCRC  = 1 << 12
	lzopRefused    = flagExtra | flagMultipart | flagFilter // lzop(1) makes none of them
	lzopFixedBytes = 25                                     // of the header, up to and with the name's length
)

var errLZOP = errors.New("no file of lzop")

type lzopReader struct {
	r       io.Reader
	max     int64 // of a block, unpacked
	begun   bool  // a file has been there
	open    bool  // within a file
	flags   uint32
	packed  []byte
	block   []byte
	pending []byte // of block
}

func (z *lzopReader) Read(p []byte) (int, error) {
	for len(z.pending) == 0 {
		if err := z.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, z.pending)
	z.pending = z.pending[n:]
	return n, nil
}

// next reads a block, or the end of a file, or the header of another one; io.EOF is the end after a whole file.
func (z *lzopReader) next() error {
	if !z.open {
		return z.header()
	}
	size, err := z.number()
	if err != nil || size == 0 {
		z.open = false
		return err
	}
	packed, err := z.number()
	switch {
	case err != nil:
		return err
	case int64(size) > min(z.max, lzopMax):
		return fmt.Errorf("a block of %d bytes", size)
	case packed == 0 || packed > size:
		return fmt.Errorf("a block of %d bytes packed into %d", size, packed)
	}
	var sums [4]uint32 // in the order of the file
	for i, flag := range []uint32{flagAdlerOut, flagCRCOut, flagAdlerIn, flagCRCIn} {
		if z.flags&flag == 0 || i >= 2 && packed == size {
			continue
		}
		if sums[i], err = z.number(); err != nil {
			return err
		}
	}
	if z.packed, err = z.bytes(z.packed, int(packed)); err != nil {
		return err
	}
	if packed == size {
		z.pending = z.packed
	} else {
		if err := z.check(z.packed, flagAdlerIn, sums[2], flagCRCIn, sums[3]); err != nil {
			return err
		}
		if cap(z.block) < int(size) {
			z.block = make([]byte, size)
		}
		n, err := lzo.Decompress(z.packed, z.block[:size])
		if err != nil {
			return err
		}
		if n != int(size) {
			return fmt.Errorf("a block of %d bytes has %d", size, n)
		}
		z.pending = z.block[:size]
	}
	return z.check(z.pending, flagAdlerOut, sums[0], flagCRCOut, sums[1])
}

func (z *lzopReader) check(b []byte, adler, adlerSum, crc, crcSum uint32) error {
	if z.flags&adler != 0 && adler32.Checksum(b) != adlerSum || z.flags&crc != 0 && crc32.ChecksumIEEE(b) != crcSum {
		return errors.New("wrong checksum of a block")
	}
	return nil
}

func (z *lzopReader) header() error {
	magic := make([]byte, len(lzopMagic))
	if _, err := io.ReadFull(z.r, magic); err != nil {
		if !z.begun && errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		return err // io.EOF if there is no other file
	}
	if string(magic) != lzopMagic {
		return errLZOP
	}
	head, err := z.bytes(nil, lzopFixedBytes)
	if err != nil {
		return err
	}
	version, method := binary.BigEndian.Uint16(head), head[6]
	z.flags = binary.BigEndian.Uint32(head[8:])
	switch {
	case version < lzopNeeded:
		return fmt.Errorf("%w of version 0.94 or later", errLZOP)
	case method == 0 || method > lzopLZO1X:
		return fmt.Errorf("method %d of lzop: %w", method, errors.ErrUnsupported)
	case z.flags&lzopRefused != 0:
		return fmt.Errorf("flags 0x%x of lzop: %w", z.flags, errors.ErrUnsupported)
	}
	name, err := z.bytes(nil, int(head[lzopFixedBytes-1]))
	if err != nil {
		return err
	}
	sum, err := z.number()
	if err != nil {
		return err
	}
	head = append(head, name...)
	want := adler32.Checksum(head)
	if z.flags&flagHeaderCRC != 0 {
		want = crc32.ChecksumIEEE(head)
	}
	if sum != want {
		return fmt.Errorf("%w: wrong checksum of its header", errLZOP)
	}
	z.begun, z.open = true, true
	return nil
}

// bytes reads n bytes within a file, into b if that is large enough.
func (z *lzopReader) bytes(b []byte, n int) ([]byte, error) {
	if cap(b) < n {
		b = make([]byte, n)
	}
	_, err := io.ReadFull(z.r, b[:n])
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return b[:n], err
}

func (z *lzopReader) number() (uint32, error) {
	var b [4]byte
	_, err := z.bytes(b[:], len(b))
	return binary.BigEndian.Uint32(b[:]), err
}

// lzopWriter packs blocks. It starts the file with the first of them, or at Close.
type lzopWriter struct {
	w       io.Writer
	started bool
	packer  lzoPacker
	block   []byte // what is not written yet: less than lzopBlock
	out     []byte
}

func newLZOPWriter(w io.Writer) *lzopWriter {
	return &lzopWriter{w: w, block: make([]byte, 0, lzopBlock)}
}

func (z *lzopWriter) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		n := min(len(p)-done, lzopBlock-len(z.block))
		z.block = append(z.block, p[done:done+n]...)
		if len(z.block) == lzopBlock {
			if err := z.flush(); err != nil {
				return done, err
			}
		}
		done += n
	}
	return done, nil
}

func (z *lzopWriter) Close() error {
	if err := z.flush(); err != nil {
		return err
	}
	_, err := z.w.Write(make([]byte, 4))
	return err
}

func (z *lzopWriter) flush() error {
	z.out = z.out[:0]
	if !z.started {
		z.started = true
		head := make([]byte, 0, lzopFixedBytes)
		for _, n := range []uint16{lzopVersion, lzopLibrary, lzopNeeded} {
			head = binary.BigEndian.AppendUint16(head, n)
		}
		head = append(head, 1, 5) // LZO1X-1, lzop's own level
		for _, n := range []uint32{flagAdlerOut | lzopUnix, 0o100600, 0, 0} {
			head = binary.BigEndian.AppendUint32(head, n)
		}
		head = append(head, 0) // no name
		z.out = append(append(z.out, lzopMagic...), head...)
		z.out = binary.BigEndian.AppendUint32(z.out, adler32.Checksum(head))
	}
	if n := len(z.block); n > 0 {
		const sizes = 12
		start := len(z.out)
		z.out = append(z.out, make([]byte, sizes)...)
		z.out = z.packer.pack(z.out, z.block)
		if len(z.out)-start-sizes >= n {
			z.out = append(z.out[:start+sizes], z.block...)
		}
		at := z.out[start:]
		binary.BigEndian.PutUint32(at, uint32(n))
		binary.BigEndian.PutUint32(at[4:], uint32(len(at)-sizes))
		binary.BigEndian.PutUint32(at[8:], adler32.Checksum(z.block))
		z.block = z.block[:0]
	}
	_, err := z.w.Write(z.out)
	return err
}
