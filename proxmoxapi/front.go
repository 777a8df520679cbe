package proxmoxapi

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"
)

// front stands between a listener and net/http: it counts connections, tells TLS from plain HTTP by the first byte, does
// the handshake, and gives net/http only connections that are ready. So nobody who is slow at this can hold up others.
type front struct {
	stopping context.Context // ends when no new connections are taken
	l        net.Listener
	config   *tls.Config
	opts     *Options
	buffers  *sync.Pool // of gatherConn

	ready  chan net.Conn
	closed chan struct{}
	once   sync.Once
	greet  sync.WaitGroup // connections whose first bytes are awaited

	mu      sync.Mutex // guards what follows; never held over I/O
	conns   map[*trackedConn]struct{}
	perHost map[string]int
	err     error           // why the listener failed
	running int             // requests
	waiters []chan struct{} // closed when running falls to 0
}

func newFront(ctx context.Context, l net.Listener, config *tls.Config, opts *Options) *front {
	if config != nil {
		config = config.Clone()
		config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
		config.NextProtos = []string{"http/1.1"}
		// Answers are read whole: what small records at their beginning would gain, nobody sees.
		config.DynamicRecordSizingDisabled = true
	}
	return &front{
		stopping: ctx, l: l, config: config, opts: opts, buffers: newBuffers(),
		ready: make(chan net.Conn), closed: make(chan struct{}),
		conns: map[*trackedConn]struct{}{}, perHost: map[string]int{},
	}
}

// accept takes connections until the listener ends. It returns when all that it started has ended.
func (f *front) accept() {
	defer f.greet.Wait()
	defer f.Close()
	delay := time.Duration(0)
	for {
		conn, err := f.l.Accept()
		if err != nil {
			if !retryable(err) {
				f.fail(err)
				return
			}
			// Out of file descriptors, or the like: connections that end will free some.
			delay = min(max(2*delay, 5*time.Millisecond), time.Second)
			select {
			case <-time.After(delay):
				continue
			case <-f.closed:
				return
			}
		}
		delay = 0
		tracked, ok := f.track(conn)
		if !ok {
			conn.Close()
			continue
		}
		f.greet.Go(func() { f.welcome(tracked) })
	}
}

func retryable(err error) bool {
	var temporary interface{ Temporary() bool }
	return errors.As(err, &temporary) && temporary.Temporary()
}

func (f *front) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-f.closed:
	default:
		f.err = err
	}
}

func (f *front) failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// welcome makes a connection ready for net/http, or ends it.
func (f *front) welcome(conn *trackedConn) {
	if f.config == nil {
		f.deliver(conn)
		return
	}
	if err := conn.SetDeadline(time.Now().Add(f.opts.HeaderTimeout)); err != nil {
		conn.Close()
		return
	}
	first, err := conn.in.Peek(1)
	if err != nil {
		conn.Close()
		return
	}
	const handshakeRecord = 0x16
	if first[0] != handshakeRecord {
		redirect(conn)
		return
	}
	out := &gatherer{trackedConn: conn, buffers: f.buffers}
	secure := tls.Server(out, f.config)
	if err := secure.HandshakeContext(f.stopping); err != nil {
		secure.Close()
		return
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		secure.Close()
		return
	}
	f.deliver(&gatherConn{secure, out})
}

func (f *front) deliver(conn net.Conn) {
	select {
	case f.ready <- conn:
	case <-f.closed:
		conn.Close()
	}
}

// Accept gives net/http the next ready connection.
func (f *front) Accept() (net.Conn, error) {
	select {
	case conn := <-f.ready:
		return conn, nil
	case <-f.closed:
		return nil, net.ErrClosed
	}
}

// Close stops taking connections; those that are taken go on.
func (f *front) Close() error {
	var err error
	f.once.Do(func() {
		close(f.closed)
		err = f.l.Close()
	})
	return err
}

func (f *front) Addr() net.Addr { return f.l.Addr() }

// track counts a connection, unless that is one too many.
func (f *front) track(conn net.Conn) (*trackedConn, bool) {
	host, _, err := net.SplitHostPort(conn.RemoteAddr().String())
	if err != nil {
		host = "" // not an IP network: all count as one host
	}
	t := &trackedConn{Conn: conn, front: f, host: host}
	t.in = bufio.NewReaderSize(conn, 16)
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.conns) >= f.opts.MaxConns || host != "" && f.perHost[host] >= f.opts.MaxConnsPerHost {
		return nil, false
	}
	f.conns[t] = struct{}{}
	f.perHost[host]++
	return t, true
}

func (f *front) forget(t *trackedConn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.conns[t]; !ok {
		return
	}
	delete(f.conns, t)
	if f.perHost[t.host]--; f.perHost[t.host] == 0 {
		delete(f.perHost, t.host)
	}
}

func (f *front) closeConns() {
	f.mu.Lock()
	all := make([]*trackedConn, 0, len(f.conns))
	for t := range f.conns {
		all = append(all, t)
	}
	f.mu.Unlock()
	for _, t := range all {
		t.Close()
	}
}

// active counts requests: 1 when one begins, -1 when it ends.
func (f *front) active(change int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running += change; f.running == 0 {
		for _, w := range f.waiters {
			close(w)
		}
		f.waiters = nil
	}
}

// idle returns a channel that is closed when no request runs.
func (f *front) idle() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := make(chan struct{})
	if f.running == 0 {
		close(w)
	} else {
		f.waiters = append(f.waiters, w)
	}
	return w
}

// trackedConn is a connection of a front.
type trackedConn struct {
	net.Conn
	front    *front
	host     string
	in       *bufio.Reader // holds the byte that told TLS from plain
	requests int           // answered or being answered; one goroutine at a time
}

func (t *trackedConn) Read(p []byte) (int, error) {
	if t.in.Buffered() > 0 {
		return t.in.Read(p)
	}
	return t.Conn.Read(p)
}

func (t *trackedConn) Close() error {
	t.front.forget(t)
	return t.Conn.Close()
}

// NetConn lets linger reach the socket.
func (t *trackedConn) NetConn() net.Conn { return t.Conn }
