package nfs

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/turtacn/go-proxmox/storage"
)

// server is the machine that exports, and when it last gave a sign of life.
type server struct {
	address        string // HOST:PORT; empty: there is no way to ask it
	version        uint32
	timeout, holds time.Duration

	mu     sync.Mutex // guards what follows; not held while the server is asked
	asked  time.Time  // when err was found out
	err    error
	asking chan struct{} // closed when who asks is done; nil: nobody asks
}

func newServer(host string, options map[string]string, timeout, holds time.Duration) *server {
	s := &server{timeout: timeout, holds: holds, version: 4}
	if cmp.Or(options["vers"], options["nfsvers"]) == "3" {
		s.version = 3
	}
	port := cmp.Or(options["port"], "2049")
	_, rdma := options["rdma"]
	_, udp := options["udp"]
	// Port 0 is whatever the port mapper says, and only TCP can be asked here. Then the mount itself shows.
	if proto := options["proto"]; port != "0" && !rdma && !udp && (proto == "" || proto == "tcp" || proto == "tcp6") {
		s.address = net.JoinHostPort(host, port)
	}
	return s
}

// alive returns ErrUnavailable if the server does not answer. One caller asks, the others wait for what it finds.
func (s *server) alive(ctx context.Context) error {
	if s.address == "" {
		return nil
	}
	for {
		s.mu.Lock()
		if !s.asked.IsZero() && time.Since(s.asked) < s.holds {
			err := s.err
			s.mu.Unlock()
			return err
		}
		wait := s.asking
		if wait == nil {
			s.asking = make(chan struct{})
			s.mu.Unlock()
			return s.find(ctx)
		}
		s.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// find asks and lets the others know. A caller who leaves finds nothing.
func (s *server) find(ctx context.Context) error {
	err := s.ask(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() == nil {
		s.asked, s.err = time.Now(), err
	}
	close(s.asking)
	s.asking = nil
	return err
}

// ask makes the NULL call of NFS, which does nothing and needs no rights.
func (s *server) ask(ctx context.Context) error {
	if s.address == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if err := null(ctx, s.address, s.version); err != nil {
		return fmt.Errorf("%w: server does not answer: %w", storage.ErrUnavailable, err)
	}
	return nil
}

// See RFC 5531 (ONC RPC version 2).
const (
	programNFS   = 100003
	lastFragment = 1 << 31
	maxReply     = 4 << 10
)

// null calls procedure 0. Any reply to it is a sign of life, a refusal too.
func null(ctx context.Context, address string, version uint32) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	xid := rand.Uint32()
	var call []byte
	for _, word := range []uint32{lastFragment | 40, xid, 0, 2, programNFS, version, 0, 0, 0, 0, 0} {
		call = binary.BigEndian.AppendUint32(call, word)
	}
	if _, err := conn.Write(call); err != nil {
		return err
	}
	return readReply(conn, xid)
}

// readReply reads the reply to a call.
func readReply(r io.Reader, xid uint32) error {
	var head [12]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	mark, got, kind := binary.BigEndian.Uint32(head[:]), binary.BigEndian.Uint32(head[4:]), binary.BigEndian.Uint32(head[8:])
	if n := mark &^ lastFragment; got != xid || kind != 1 || n < 8 || n > maxReply {
		return fmt.Errorf("no RPC reply: %x", head)
	}
	return nil
}
