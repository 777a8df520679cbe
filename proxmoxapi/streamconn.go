package proxmoxapi

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// streamConn makes a net.Conn of a WebSocket: what it reads are the bytes of messages of either kind, one after the other;
// each Write is one binary message. One goroutine may read while others write.
//
// A deadline that passes in the middle of a Read or Write ends the connection, as the WebSocket cannot go on behind half a message.
type streamConn struct {
	ctx    context.Context
	cancel context.CancelFunc // tells Serve that the connection is gone
	ws     *websocket.Conn
	x      *exchange

	reading sync.Mutex // held during Read; guards message
	message io.Reader  // rest of the message being read

	readBy  atomic.Pointer[time.Time]
	writeBy atomic.Pointer[time.Time]
	closing sync.Once
}

func newStreamConn(ctx context.Context, cancel context.CancelFunc, ws *websocket.Conn, x *exchange) *streamConn {
	return &streamConn{ctx: ctx, cancel: cancel, ws: ws, x: x}
}

// Read returns io.EOF once the client has closed the WebSocket.
func (c *streamConn) Read(p []byte) (int, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	// A message outlives the call that began it, so it must not be read on a context that ends with that call: a deadline
	// cancels the connection instead.
	ctx := c.ctx
	if at := c.readBy.Load(); at != nil && !at.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(c.ctx, *at)
		defer cancel()
		stop := context.AfterFunc(ctx, func() {
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				c.cancel()
			}
		})
		defer stop()
	}
	for {
		if c.message == nil {
			_, message, err := c.ws.Reader(c.ctx)
			if err != nil {
				return 0, c.broken(ctx, err)
			}
			c.message = message
		}
		n, err := c.message.Read(p)
		if err == io.EOF {
			c.message, err = nil, nil
		}
		if err != nil {
			err = c.broken(ctx, err)
		}
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
	}
}

// Write sends p as one binary message. Without a deadline of its own it has the server's timeout: a client that takes
// nothing any more must not hold the stream open.
func (c *streamConn) Write(p []byte) (int, error) {
	ctx, done := c.until(c.writeBy.Load(), c.x.h.opts.WriteTimeout)
	defer done()
	if err := c.ws.Write(ctx, websocket.MessageBinary, p); err != nil {
		return 0, c.broken(ctx, err)
	}
	c.x.sent.Add(int64(len(p)))
	return len(p), nil
}

func (c *streamConn) until(at *time.Time, otherwise time.Duration) (context.Context, context.CancelFunc) {
	switch {
	case at != nil && !at.IsZero():
		return context.WithDeadline(c.ctx, *at)
	case otherwise > 0:
		return context.WithTimeout(c.ctx, otherwise)
	}
	return c.ctx, func() {}
}

// broken notes the end of the connection and says what kind of end it was.
func (c *streamConn) broken(ctx context.Context, err error) error {
	late := ctx.Err() == context.DeadlineExceeded
	c.cancel()
	switch {
	case late:
		return os.ErrDeadlineExceeded
	case websocket.CloseStatus(err) >= 0:
		return io.EOF
	}
	return err
}

// Close ends the WebSocket with the handshake that the protocol asks for, within a few seconds.
func (c *streamConn) Close() error {
	c.closing.Do(func() {
		c.ws.Close(websocket.StatusNormalClosure, "") // an error means that the client left first
		c.cancel()
	})
	return nil
}

func (c *streamConn) LocalAddr() net.Addr  { return streamAddr(c.x.r.Host) }
func (c *streamConn) RemoteAddr() net.Addr { return streamAddr(c.x.r.RemoteAddr) }

func (c *streamConn) SetDeadline(t time.Time) error {
	c.readBy.Store(&t)
	c.writeBy.Store(&t)
	return nil
}

// SetReadDeadline applies to the reads that begin after it.
func (c *streamConn) SetReadDeadline(t time.Time) error {
	c.readBy.Store(&t)
	return nil
}

// SetWriteDeadline applies to the writes that begin after it.
func (c *streamConn) SetWriteDeadline(t time.Time) error {
	c.writeBy.Store(&t)
	return nil
}

type streamAddr string

func (streamAddr) Network() string  { return "websocket" }
func (a streamAddr) String() string { return string(a) }
