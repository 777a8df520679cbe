package proxmoxapi

import (
	"context"
	"net"
)

// maxRequests is how many requests a connection may carry, as in PVE.
const maxRequests = 100

// servedConn is what a request knows of its connection when Serve runs it.
type servedConn struct {
	stopping context.Context // ends when the server is asked to stop
	conn     *trackedConn
}

type connKey struct{}

// withConn is the ConnContext of Serve's http.Server.
func withConn(ctx context.Context, c net.Conn) context.Context {
	if secure, ok := c.(*gatherConn); ok {
		c = secure.out.trackedConn
	}
	t, ok := c.(*trackedConn)
	if !ok {
		return ctx
	}
	return context.WithValue(ctx, connKey{}, &servedConn{stopping: t.front.stopping, conn: t})
}

// connOf returns nil when another server than Serve runs the request.
func connOf(ctx context.Context) *servedConn {
	c, _ := ctx.Value(connKey{}).(*servedConn)
	return c
}

func (c *servedConn) begin() { c.conn.front.active(1) }
func (c *servedConn) end()   { c.conn.front.active(-1) }

// countRequest counts one more request and tells whether it is the last that the connection may carry.
func (c *servedConn) countRequest() (last bool) {
	c.conn.requests++
	return c.conn.requests >= maxRequests
}
