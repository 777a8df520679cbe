package qmptest

import (
	"encoding/json"
	"errors"
	"net"
	"os"
	"sync"

	"github.com/turtacn/go-proxmox/qmp"
)

// session is one client being served.
type session struct {
	p    *Peer
	conn net.Conn

	writing sync.Mutex // keeps messages whole; held across the write alone
	budget  int        // bytes until CutAfter; under writing
}

func (s *session) serve() {
	defer s.conn.Close()
	for _, raw := range s.p.opts.Before {
		s.write([]byte(raw))
	}
	handle := s.answer
	switch {
	case s.p.opts.Transcript != nil:
		r := newReplay(s, s.p.opts.Transcript)
		if !r.play() {
			return
		}
		handle = r.receive
	case !s.p.opts.Silent:
		s.write([]byte(s.p.opts.Greeting + "\r\n"))
	}
	in := &input{conn: s.conn, p: s.p}
	dec := json.NewDecoder(in)
	for {
		var wire command
		if dec.Decode(&wire) != nil {
			return
		}
		r := Request{Command: wire.Execute + wire.ExecOOB, Arguments: wire.Arguments, ID: wire.ID,
			OOB: wire.ExecOOB != "", in: in}
		if !handle(&r) {
			return
		}
	}
}

// answer has the command's handler answer it. The session goes on in any case: a handler ends it by Peer.HangUp.
func (s *session) answer(r *Request) bool {
	h := s.p.record(*r)
	if s.p.opts.Silent {
		return true
	}
	var value any
	var err error = &qmp.Error{Class: "CommandNotFound", Desc: "The command " + r.Command + " has not been found"}
	if h != nil {
		value, err = h(r)
	}
	if errors.Is(err, ErrNoReply) {
		return true
	}
	b, merr := json.Marshal(answer(r, value, err))
	if merr != nil {
		s.p.t.Errorf("qmptest: answer to %s: %v", r.Command, merr)
		return true
	}
	s.write(append(b, '\r', '\n'))
	return true
}

// write sends b whole, or up to the cut. A client that has gone is no error.
func (s *session) write(b []byte) {
	s.writing.Lock()
	defer s.writing.Unlock()
	cut := false
	if s.p.opts.CutAfter > 0 {
		if cut = len(b) >= s.budget; cut {
			b = b[:s.budget]
		}
		s.budget -= len(b)
	}
	for len(b) > 0 {
		n := len(b)
		if s.p.opts.Chunk > 0 {
			n = min(n, s.p.opts.Chunk)
		}
		if _, err := s.conn.Write(b[:n]); err != nil {
			return
		}
		b = b[n:]
	}
	if cut {
		s.conn.Close()
	}
}

// input reads a connection and keeps the file descriptors that come along until a command claims them or further ones come.
type input struct {
	conn  net.Conn
	p     *Peer
	files []*os.File
}

func (in *input) Read(b []byte) (int, error) {
	n, files, err := readRights(in.conn, b)
	for _, f := range files {
		in.p.onClose(func() { f.Close() })
	}
	if len(files) > 0 {
		in.files = files
	}
	return n, err
}
