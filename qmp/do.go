package qmp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
)

// call is a command whose reply is outstanding.
type call struct {
	reply  chan reply // of capacity 1: the reader never waits
	withFD bool
	direct bool // written by the caller, who may read the reply as well
}

type reply struct {
	value json.RawMessage
	err   *wireError
}

// Do executes cmd with args, which encode to a JSON object or are nil, and stores the reply in out as encoding/json does;
// a nil out drops it. An answer of QEMU that is an error is an *Error. When ctx ends first Do returns its error; the
// command, unless it still waited for room, is executed all the same. When the session ends first the error is
// ErrUnanswered and the session's own.
func (c *Client) Do(ctx context.Context, cmd string, args, out any) error {
	return c.do(ctx, cmd, args, nil, out)
}

// DoFD is Do for a command that takes a file descriptor, such as getfd or add-fd. The descriptor is duplicated: the caller
// keeps fd. QEMU keeps one unclaimed descriptor per monitor, so these commands run one after the other. It needs a unix
// socket, else the error is errors.ErrUnsupported.
func (c *Client) DoFD(ctx context.Context, cmd string, args any, fd *os.File, out any) error {
	if _, ok := c.rw.(rightsWriter); !ok && c.rw != nil {
		return fmt.Errorf("qmp: %s: pass a file descriptor: %w", cmd, errors.ErrUnsupported)
	}
	return c.do(ctx, cmd, args, fd, out)
}

func (c *Client) do(ctx context.Context, cmd string, args any, fd *os.File, out any) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("qmp: %s: %w", cmd, err)
	}
	encoded, err := encodeArgs(args)
	if err != nil {
		return fmt.Errorf("qmp: %s: encode arguments: %w", cmd, err)
	}
	cl, err := c.send(ctx, cmd, encoded, fd)
	if err != nil {
		return fmt.Errorf("qmp: %s: %w", cmd, err)
	}
	r, err := c.await(ctx, cl)
	switch {
	case err != nil:
		return fmt.Errorf("qmp: %s: %w", cmd, err)
	case r.err != nil:
		return &Error{Command: cmd, Class: r.err.Class, Desc: r.err.Desc}
	case out == nil:
		return nil
	}
	if raw, ok := out.(*json.RawMessage); ok {
		*raw = r.value
		return nil
	}
	if err := json.Unmarshal(r.value, out); err != nil {
		return fmt.Errorf("qmp: %s: decode reply: %w", cmd, err)
	}
	return nil
}

func encodeArgs(args any) ([]byte, error) {
	if args == nil {
		return nil, nil
	}
	b, err := json.Marshal(args)
	switch {
	case err != nil:
		return nil, err
	case bytes.Equal(b, []byte("null")): // a nil map, a nil pointer
		return nil, nil
	case b[0] != '{':
		return nil, fmt.Errorf("%T is no JSON object", args)
	}
	return b, nil
}

// send queues the command. It waits for room only.
func (c *Client) send(ctx context.Context, cmd string, args []byte, fd *os.File) (*call, error) {
	oob := c.oob && slices.Contains(c.opts.OutOfBand, cmd)
	if fd != nil {
		if err := c.acquire(ctx, c.fdSlot); err != nil {
			return nil, err
		}
	}
	if err := c.acquire(ctx, c.slots); err != nil {
		c.release(fd, false)
		return nil, err
	}
	dup, err := duplicate(fd)
	if err != nil {
		c.release(fd, true)
		return nil, err
	}
	cl := c.newCall(fd != nil)
	if err := c.enqueue(cl, oob, cmd, args, dup); err != nil {
		c.release(fd, true)
		return nil, err
	}
	return cl, nil
}

func (c *Client) newCall(withFD bool) *call {
	cl, ok := c.spare.Get().(*call)
	if !ok {
		cl = &call{reply: make(chan reply, 1)}
	}
	cl.withFD = withFD
	return cl
}

func (c *Client) acquire(ctx context.Context, slot chan struct{}) error {
	select {
	case slot <- struct{}{}:
		return nil
	default:
	}
	select {
	case slot <- struct{}{}:
		return nil
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Client) release(fd *os.File, slot bool) {
	if slot {
		<-c.slots
	}
	if fd != nil {
		<-c.fdSlot
	}
}

func (c *Client) enqueue(cl *call, oob bool, name string, args []byte, fd *os.File) error {
	c.mu.Lock()
	if err := c.closed; err != nil {
		c.mu.Unlock()
		if fd != nil {
			fd.Close()
		}
		return err
	}
	// QEMU reads its monitor byte by byte, one turn of its main loop each, so every byte costs it some microseconds. A
	// command that is the only one needs no id: there is at most one such, and a reply without an id is its.
	var id uint64
	if c.plain == nil && len(c.calls) == 0 && !oob {
		c.plain = cl
	} else {
		id = c.takeIDLocked()
		c.calls[id] = cl
	}
	start := len(c.queue)
	c.queue = appendCommand(c.queue, oob, name, args, id)
	if fd != nil {
		c.marks = append(c.marks, mark{start: start, end: len(c.queue), fd: fd})
	}
	var batch []byte
	if c.raw != nil && fd == nil && !c.writing && start == 0 && id == 0 {
		batch, _ = c.takeLocked()
	}
	cl.direct = batch != nil && c.deadline != nil
	c.mu.Unlock()
	c.stats.commands.Add(1)
	if batch != nil {
		c.writeDirect(batch)
	} else {
		c.wakeWriter()
	}
	return nil
}

// takeIDLocked returns the id of an answered command, or a new one: ids stay short.
func (c *Client) takeIDLocked() uint64 {
	if n := len(c.freeIDs); n > 0 {
		id := c.freeIDs[n-1]
		c.freeIDs = c.freeIDs[:n-1]
		return id
	}
	c.lastID++
	return c.lastID
}

func (c *Client) await(ctx context.Context, cl *call) (reply, error) {
	if cl.direct {
		c.lead(cl)
	} else {
		c.needReader()
	}
	select {
	case r := <-cl.reply:
		c.spare.Put(cl) // its one reply is out: nobody else refers to it
		return r, nil
	case <-ctx.Done():
		return reply{}, ctx.Err()
	case <-c.done:
	}
	select { // both may have been ready, and the reply came first
	case r := <-cl.reply:
		return r, nil
	default:
		return reply{}, fmt.Errorf("%w: %w", ErrUnanswered, c.err)
	}
}
