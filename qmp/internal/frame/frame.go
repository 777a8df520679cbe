// Package frame cuts a byte stream into top-level JSON objects without trusting the peer: a message has a greatest length
// and a greatest depth, memory grows with what has arrived and never with what was announced, and anything between two
// objects but white space is an error. It looks at brackets and strings only; the caller's decoder judges the rest.
//
// QMP sends one object a line, or many lines with "pretty", and the guest agent may send anything at all: so lines are
// not the unit here, objects are.
package frame

import (
	"bytes"
	"errors"
	"io"
)

var (
	ErrSyntax   = errors.New("not a stream of JSON objects")
	ErrTooLarge = errors.New("message exceeds the size limit")
	ErrTooDeep  = errors.New("message exceeds the nesting limit")
)

const (
	firstSize = 4 << 10   // of the buffer of an idle session: a node keeps a thousand of them
	keepSize  = 256 << 10 // a larger buffer is dropped once its message is done with
	maxEmpty  = 100       // reads without data or error before io.ErrNoProgress
)

// Reader reads messages from a stream. It is not safe for concurrent use.
type Reader struct {
	src      io.Reader
	buf      []byte
	r, w     int // buf[r:w] has been read from src and not been returned
	maxBytes int
	maxDepth int
}

// NewReader returns a reader of messages of at most maxBytes bytes and maxDepth nested arrays and objects.
func NewReader(src io.Reader, maxBytes, maxDepth int) *Reader {
	return &Reader{src: src, maxBytes: maxBytes, maxDepth: maxDepth}
}

// Next returns the next object. The slice is valid until the next call. Between two messages the end of the stream is
// io.EOF, inside one io.ErrUnexpectedEOF. After ErrSyntax, ErrTooLarge or ErrTooDeep the message is still unread, so that
// only SkipPast leads on.
func (r *Reader) Next() ([]byte, error) {
	if err := r.skipSpace(); err != nil {
		return nil, err
	}
	var s scanner
	for pos := r.r; ; {
		n, err := s.scan(r.buf[pos:min(r.w, r.r+r.maxBytes+1)], r.maxDepth)
		pos += n
		switch {
		case err != nil:
			return nil, err
		case pos-r.r > r.maxBytes:
			return nil, ErrTooLarge
		case s.done:
			msg := r.buf[r.r:pos]
			r.r = pos
			return msg, nil
		}
		read := pos - r.r
		if err := r.fill(); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		pos = r.r + read
	}
}

// Pending tells whether something of a further message has been read already. It reads nothing.
func (r *Reader) Pending() bool {
	for r.r < r.w && blank(r.buf[r.r]) {
		r.r++
	}
	return r.r < r.w
}

func blank(b byte) bool { return b == ' ' || b == '\t' || b == '\r' || b == '\n' }

// SkipPast throws away everything up to and including the next byte delim. It keeps nothing in memory.
func (r *Reader) SkipPast(delim byte) error {
	for {
		if i := bytes.IndexByte(r.buf[r.r:r.w], delim); i >= 0 {
			r.r += i + 1
			return nil
		}
		r.r = r.w
		if err := r.fill(); err != nil {
			return err
		}
	}
}

func (r *Reader) skipSpace() error {
	for !r.Pending() {
		if err := r.fill(); err != nil {
			return err
		}
	}
	if r.buf[r.r] != '{' {
		return ErrSyntax
	}
	return nil
}

// fill reads at least one byte more. It may move the unread bytes to the start of a new buffer.
func (r *Reader) fill() error {
	switch unread := r.w - r.r; {
	case unread == 0 && cap(r.buf) > keepSize, r.buf == nil:
		r.buf, r.r, r.w = make([]byte, firstSize), 0, 0
	case unread == 0:
		r.r, r.w = 0, 0
	case r.w < len(r.buf):
	case r.r > len(r.buf)/2:
		copy(r.buf, r.buf[r.r:r.w])
		r.r, r.w = 0, unread
	default:
		grown := make([]byte, 2*len(r.buf))
		copy(grown, r.buf[r.r:r.w])
		r.buf, r.r, r.w = grown, 0, unread
	}
	for range maxEmpty {
		n, err := r.src.Read(r.buf[r.w:])
		r.w += n
		if n > 0 {
			return nil // an error that came with data is met again by the next read
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// scanner follows one object through any number of pieces.
type scanner struct {
	depth   int
	text    bool // inside a string
	escaped bool // after a backslash in it
	done    bool
}

// scan returns how many bytes of b belong to the object.
func (s *scanner) scan(b []byte, maxDepth int) (int, error) {
	for i, c := range b {
		switch {
		case c >= 0xfe: // never part of UTF-8; the guest agent's mark of a new start
			return i, ErrSyntax
		case s.escaped:
			s.escaped = false
		case s.text:
			switch c {
			case '\\':
				s.escaped = true
			case '"':
				s.text = false
			}
		default:
			switch c {
			case '"':
				s.text = true
			case '{', '[':
				if s.depth++; s.depth > maxDepth {
					return i, ErrTooDeep
				}
			case '}', ']':
				if s.depth--; s.depth == 0 {
					s.done = true
					return i + 1, nil
				}
			}
		}
	}
	return len(b), nil
}
