package qmp

import (
	"bytes"
	"os"
	"runtime"
	"time"
)

// mark says which bytes of the queue carry a file descriptor.
type mark struct {
	start, end int
	fd         *os.File // a duplicate, ours to close
}

func closeMarks(marks []mark) []mark {
	for _, m := range marks {
		m.fd.Close()
	}
	return nil
}

const (
	keepQueue = 64 << 10    // a larger buffer is dropped after its write
	lastWords = time.Second // see write
)

// write sends what is queued. One write carries all that was queued during the one before.
func (c *Client) write() {
	for {
		select {
		case <-c.wake:
		case <-c.readDone:
			return
		}
		for {
			runtime.Gosched() // callers who can run add theirs to the batch
			batch, marks := c.take()
			if batch == nil {
				break // written already, or being written by a caller, who wakes us for what comes meanwhile
			}
			if err := c.writeBatch(batch, marks); err != nil {
				// A QEMU that quits does not read any more, but its last events are still to be read: the reader meets
				// the end itself. A connection broken in this direction only is given up after a moment.
				select {
				case <-c.readDone:
				case <-time.After(lastWords):
					c.closeRW()
				}
				return
			}
			c.putBack(batch, len(batch))
		}
	}
}

// take makes the caller the one who writes, and returns what there is to write, or nil if there is nothing to do for it.
func (c *Client) take() ([]byte, []mark) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writing || len(c.queue) == 0 {
		return nil, nil
	}
	return c.takeLocked()
}

func (c *Client) takeLocked() ([]byte, []mark) {
	batch, marks := c.queue, c.marks
	c.queue, c.marks, c.reserve = c.reserve[:0], nil, nil
	c.writing = true
	return batch, marks
}

// putBack ends the right to write, of which n bytes of batch have made use. It reports whether there is more to write.
func (c *Client) putBack(batch []byte, n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writing = false
	if rest := batch[n:]; len(rest) > 0 && c.closed == nil { // goes ahead of what has been queued since
		c.queue = append(bytes.Clone(rest), c.queue...)
		for i := range c.marks {
			c.marks[i].start += len(rest)
			c.marks[i].end += len(rest)
		}
	}
	if cap(batch) <= keepQueue {
		c.reserve = batch
	}
	return len(c.queue) > 0
}

// writeDirect lets a caller whose command is the only one save the way through the writer. It never waits: what the socket
// does not take at once, and every error, is the writer's.
func (c *Client) writeDirect(batch []byte) {
	if c.putBack(batch, writeNow(c.raw, batch)) {
		c.wakeWriter()
	}
}

func (c *Client) wakeWriter() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *Client) writeBatch(b []byte, marks []mark) error {
	defer closeMarks(marks)
	pos := 0
	for _, m := range marks {
		if err := c.writePlain(b[pos:m.start]); err != nil {
			return err
		}
		n, err := writeRights(c.rw.(rightsWriter), b[m.start:m.end], m.fd)
		if err != nil {
			return err
		}
		pos = m.start + n // a short write carried the descriptor; the rest follows plainly
	}
	return c.writePlain(b[pos:])
}

func (c *Client) writePlain(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	_, err := c.rw.Write(b)
	return err
}
