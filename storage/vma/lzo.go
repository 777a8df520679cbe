package vma

import (
	"encoding/binary"
	"math/bits"
)

// lzoPacker packs blocks as LZO1X: literals, and copies of what came before. The format is that of "LZO stream format" in the
// Linux kernel's documentation:
//
//	0000LLLL                     literals, at least 4: 3+L of them
//	01LDDDSS, 1LLDDDSS  H        copy 3 to 8 bytes from 8*H+D+1 bytes before
//	001LLLLL            D…DSS    copy 2+L bytes from D+1 bytes before
//	0001HLLL            D…DSS    copy 2+L bytes from 16384*(1+H)+D bytes before
//	00010001            0 0      end
//
// A length whose bits are 0 is followed by bytes: 255 for each that is 0, and the last. D…DSS is a little-endian u16. S is the
// number of literals, at most 3, that follow a copy. The first byte of all may also be 17 plus a number of literals.
type lzoPacker struct {
	seen [1 << lzoHashBits]int32 // the last position of each hash of 4 bytes, plus 1
}

const (
	lzoHashBits = 14
	lzoNear     = 1 << 11 // the distances of the three copies
	lzoMiddle   = 1 << 14
	lzoFar      = 3<<14 - 1
)

// pack appends the packed form of src, at most a few hundred KiB, to dst. It may be longer than src.
func (z *lzoPacker) pack(dst, src []byte) []byte {
	clear(z.seen[:])
	done := 0        // what dst has of src
	last := -1       // where in dst the number of literals after the last copy is; -1 before the first copy
	misses := 1 << 5 // the longer nothing is found, the wider are the steps
	for pos := 0; pos+4 <= len(src); {
		word := binary.LittleEndian.Uint32(src[pos:])
		slot := &z.seen[word*0x9e3779b1>>(32-lzoHashBits)]
		from := int(*slot) - 1
		*slot = int32(pos) + 1
		if from < 0 || pos-from > lzoFar || binary.LittleEndian.Uint32(src[from:]) != word {
			pos += misses >> 5
			misses++
			continue
		}
		misses = 1 << 5
		n := 4 + common(src[from+4:], src[pos+4:])
		dst = literals(dst, src[done:pos], last)
		dst, last = backCopy(dst, n, pos-from)
		pos += n
		done = pos
	}
	dst = literals(dst, src[done:], last)
	return append(dst, 0x11, 0, 0)
}

// common is the number of bytes that both begin with.
func common(a, b []byte) int {
	n := 0
	for n+8 <= len(b) { // a is the longer one
		if x := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:]); x != 0 {
			return n + bits.TrailingZeros64(x)/8
		}
		n += 8
	}
	for n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

func literals(dst, b []byte, last int) []byte {
	switch n := len(b); {
	case n == 0:
	case last < 0 && n <= 255-17:
		dst = append(dst, byte(17+n))
	case n <= 3:
		dst[last] |= byte(n)
	default:
		dst = length(dst, 0, n-3, 15)
	}
	return append(dst, b...)
}

// backCopy returns dst with a copy, and where in it the number of literals that follow goes.
func backCopy(dst []byte, n, distance int) ([]byte, int) {
	switch {
	case n <= 8 && distance <= lzoNear:
		d := distance - 1
		return append(dst, byte((n-1)<<5|d&7<<2), byte(d>>3)), len(dst)
	case distance <= lzoMiddle:
		dst = length(dst, 0x20, n-2, 31)
		distance--
	default:
		distance -= lzoMiddle
		dst = length(dst, 0x10|byte(distance>>14<<3), n-2, 7)
		distance &= lzoMiddle - 1
	}
	return binary.LittleEndian.AppendUint16(dst, uint16(distance<<2)), len(dst)
}

// length appends an instruction with the length n, in the instruction up to limit.
func length(dst []byte, instruction byte, n, limit int) []byte {
	if n <= limit {
		return append(dst, instruction|byte(n))
	}
	dst = append(dst, instruction)
	for n -= limit; n > 255; n -= 255 {
		dst = append(dst, 0)
	}
	return append(dst, byte(n))
}
