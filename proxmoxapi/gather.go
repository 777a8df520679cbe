package proxmoxapi

import (
	"crypto/tls"
	"errors"
	"net"
	"sync"
)

// gatherSize is how many bytes go to the kernel at once. It is half of the window with which a receiver begins: of a segment
// larger than that, the rest of the window may be too small while it is too large for the receiver to tell of its growth.
const gatherSize = 32 << 10

// gatherConn hands the TLS records of one write to the kernel together. Each record would be a segment otherwise, since
// nothing may wait (TCP_NODELAY): an answer of 256 KiB is more than a hundred, the first ones of 1 KiB, and after a pause
// only ten may be under way until the receiver says so, which it puts off for 40 ms while it has got little.
type gatherConn struct {
	*tls.Conn
	out *gatherer
}

func (c *gatherConn) Write(p []byte) (int, error) {
	c.out.begin()
	n, err := c.Conn.Write(p)
	if flushErr := c.out.end(); flushErr != nil {
		return 0, errors.Join(err, flushErr)
	}
	return n, err
}

// gatherer is the connection below TLS.
type gatherer struct {
	*trackedConn
	buffers *sync.Pool // of *[]byte with a capacity beyond gatherSize

	mu   sync.Mutex // guards buf, and is held while its bytes are written: they keep their order
	held *[]byte    // nil: writes go through
}

// newBuffers makes the buffers that the connections of a front share.
func newBuffers() *sync.Pool {
	return &sync.Pool{New: func() any {
		buf := make([]byte, 0, gatherSize+(16<<10)+256) // and the record that goes beyond
		return &buf
	}}
}

// begin has writes held back until end, or until there are enough.
func (g *gatherer) begin() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held = g.buffers.Get().(*[]byte)
}

func (g *gatherer) end() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	err := g.flushLocked()
	g.buffers.Put(g.held)
	g.held = nil
	return err
}

func (g *gatherer) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held == nil {
		return g.trackedConn.Write(p)
	}
	*g.held = append(*g.held, p...)
	if len(*g.held) < gatherSize {
		return len(p), nil
	}
	if err := g.flushLocked(); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (g *gatherer) flushLocked() error {
	if len(*g.held) == 0 {
		return nil
	}
	_, err := g.trackedConn.Write(*g.held)
	*g.held = (*g.held)[:0]
	return err
}

// NetConn lets the request reach its connection.
func (g *gatherer) NetConn() net.Conn { return g.trackedConn }
