package qmptest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
)

// Recorder is a connection to a real QEMU that notes what passes: give it to qmp.NewClient in the place of the connection.
//
//	conn, err := net.Dial("unix", path)
//	rec := qmptest.Record(conn.(*net.UnixConn))
//	c, err := qmp.NewClient(ctx, rec, nil)
//	… // what is to be recorded
//	c.Close()
//	transcript, err := rec.Transcript()
//
// Options.Transcript has a peer play it. File descriptors pass, and leave no trace. Arguments are noted as they are, secrets
// among them. A Recorder is as safe for concurrent use as its connection.
type Recorder struct {
	conn *net.UnixConn

	mu             sync.Mutex // guards what follows; never held across I/O
	transcript     Transcript
	client, server []byte // of each direction, what is no whole line yet
	closed         bool   // by us
	err            error  // the first line that is no message
}

// Record returns a recorder that owns conn.
func Record(conn *net.UnixConn) *Recorder { return &Recorder{conn: conn} }

// Read implements io.Reader.
func (r *Recorder) Read(b []byte) (int, error) {
	n, err := r.conn.Read(b)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.server = r.noteLocked(false, append(r.server, b[:n]...))
	if errors.Is(err, io.EOF) && !r.closed {
		r.transcript.Ended = true
	}
	return n, err
}

// Write implements io.Writer. The bytes are noted before they are sent: what answers them comes later in the transcript.
func (r *Recorder) Write(b []byte) (int, error) {
	r.sent(b)
	return r.conn.Write(b)
}

// WriteMsgUnix is that of net.UnixConn: it carries file descriptors.
func (r *Recorder) WriteMsgUnix(b, oob []byte, addr *net.UnixAddr) (n, oobn int, err error) {
	r.sent(b)
	n, oobn, err = r.conn.WriteMsgUnix(b, oob, addr)
	if err == nil && n < len(b) { // the client would write the rest again, and it would be noted twice
		var more int
		more, err = r.conn.Write(b[n:])
		n += more
	}
	return n, oobn, err
}

// Close closes the connection.
func (r *Recorder) Close() error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	return r.conn.Close()
}

// Transcript returns what has passed so far.
func (r *Recorder) Transcript() (*Transcript, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return nil, r.err
	}
	return &Transcript{Lines: slices.Clone(r.transcript.Lines), Ended: r.transcript.Ended}, nil
}

func (r *Recorder) sent(b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.client = r.noteLocked(true, append(r.client, b...))
}

// noteLocked takes the whole lines off pending. Both sides end each message with a new line, which JSON has nowhere else
// unless it is printed for people.
func (r *Recorder) noteLocked(client bool, pending []byte) []byte {
	for {
		line, rest, whole := bytes.Cut(pending, []byte("\n"))
		if !whole {
			return pending
		}
		pending = rest
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		l, err := newLine(client, line)
		if err != nil {
			r.err = errors.Join(r.err, fmt.Errorf("qmptest: record: %w", err))
			continue
		}
		r.transcript.Lines = append(r.transcript.Lines, l)
	}
}
