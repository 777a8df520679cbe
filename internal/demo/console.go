package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// console collects what a guest prints.
type console struct {
	conn net.Conn
	mu   sync.Mutex // guards text
	text strings.Builder
	done chan struct{}
}

// newConsole reads conn until it ends.
func newConsole(conn net.Conn) *console {
	c := &console{conn: conn, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		buf := make([]byte, 4096)
		for {
			n, err := conn.Read(buf)
			c.mu.Lock()
			c.text.Write(buf[:n])
			c.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return c
}

func (c *console) close() {
	c.conn.Close()
	<-c.done
}

// lines returns the complete lines that contain text.
func (c *console) lines(text string) (out []string) {
	c.mu.Lock()
	all := c.text.String()
	c.mu.Unlock()
	for line := range strings.Lines(all) {
		if strings.HasSuffix(line, "\n") && strings.Contains(line, text) {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return out
}

// await waits for a line that contains text.
func (c *console) await(ctx context.Context, limit time.Duration, text string) (line string, err error) {
	err = poll(ctx, limit, func() (bool, error) {
		if found := c.lines(text); len(found) > 0 {
			line = found[0]
			return true, nil
		}
		select {
		case <-c.done:
			if len(c.lines(text)) == 0 {
				return false, io.ErrUnexpectedEOF
			}
		default:
		}
		return false, nil
	})
	if err != nil {
		c.mu.Lock()
		tail := c.text.String()
		c.mu.Unlock()
		return "", fmt.Errorf("waiting for %q: %w; the console said:\n%s", text, err, tail[max(0, len(tail)-2000):])
	}
	return line, nil
}
