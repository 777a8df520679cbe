package qmp

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"syscall"

	"github.com/turtacn/go-proxmox/qmp/internal/frame"
)

// read is the only goroutine that reads. It waits for nobody: replies go to buffered channels, events to bounded rings.
func (c *Client) read() {
	defer close(c.readDone)
	r := frame.NewReader(c.rw, c.opts.MaxMessage, maxDepth)
	for {
		raw, err := r.Next()
		if err == nil {
			err = c.dispatch(raw)
		}
		if err != nil {
			c.end(readError(err))
			return
		}
	}
}

func readError(err error) error {
	switch {
	case errors.Is(err, frame.ErrSyntax), errors.Is(err, frame.ErrTooLarge), errors.Is(err, frame.ErrTooDeep):
		return &ProtocolError{Reason: "unreadable message", Err: err}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return ErrDisconnected // a QEMU that quits with commands unread resets the connection
	}
	return err
}

// dispatch hands a message to whom it concerns. An error ends the session.
func (c *Client) dispatch(raw []byte) error {
	m, ok := parseMessage(raw)
	switch {
	case !ok:
		return &ProtocolError{Reason: "malformed message"}
	case m.event != nil:
		e, err := m.toEvent()
		if err != nil {
			return &ProtocolError{Reason: "undecodable event", Err: err}
		}
		c.publish(e)
		return nil
	case m.qmp != nil:
		return c.greet(m.qmp)
	case m.ret != nil || m.err != nil:
		return c.reply(&m)
	}
	return &ProtocolError{Reason: "message of an unknown kind"}
}

func (c *Client) greet(raw []byte) error {
	select {
	case <-c.greeted:
		return &ProtocolError{Reason: "second greeting"}
	default:
	}
	var g greeting
	if err := json.Unmarshal(raw, &g); err != nil {
		return &ProtocolError{Reason: "undecodable greeting", Err: err}
	}
	c.greeting = g.public()
	close(c.greeted)
	return nil
}

func (c *Client) publish(e Event) {
	c.stats.events.Add(1)
	for _, s := range c.subscriptions() {
		if s.wants(e.Name) {
			if n := s.push(e, c.opts.MaxEvents, c.opts.MaxEventBytes); n > 0 {
				c.stats.dropped.Add(n)
			}
		}
	}
}

func (c *Client) reply(m *message) error {
	var r reply
	if m.err != nil {
		r.err = new(wireError)
		if err := json.Unmarshal(m.err, r.err); err != nil {
			return &ProtocolError{Reason: "undecodable error", Err: err}
		}
	}
	if m.id == nil {
		// We send ids and well-formed JSON only. A reply without one can belong to any command: nothing after it is sure.
		p := &ProtocolError{Reason: "reply without id"}
		if r.err != nil {
			p.Err = &Error{Class: r.err.Class, Desc: r.err.Desc}
		}
		return p
	}
	id, ok := parseID(m.id)
	var cl *call
	if ok {
		c.mu.Lock()
		if cl = c.calls[id]; cl != nil {
			delete(c.calls, id)
			c.freeIDs = append(c.freeIDs, id)
		}
		c.mu.Unlock()
	}
	if cl == nil {
		c.stats.unmatched.Add(1)
		return nil
	}
	c.stats.replies.Add(1)
	r.value = bytes.Clone(m.ret)
	if cl.withFD {
		<-c.fdSlot
	}
	<-c.slots
	cl.reply <- r // buffered; nobody may be listening any more
	return nil
}
