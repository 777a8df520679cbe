package qmp

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"syscall"

	"github.com/turtacn/go-proxmox/qmp/internal/frame"
)

func readError(err error) error {
	switch {
	case errors.Is(err, frame.ErrSyntax), errors.Is(err, frame.ErrTooLarge), errors.Is(err, frame.ErrTooDeep):
		return &ProtocolError{Reason: "unreadable message", Err: err}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return ErrDisconnected // a QEMU that quits with commands unread resets the connection
	}
	return err
}

// dispatch hands a message to whom it concerns, for the goroutine that reads. An error ends the session.
func (c *Client) dispatch(raw []byte) error {
	m, ok := parseMessage(raw)
	c.answered = false
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
	cl := c.claim(m.id)
	switch {
	case cl != nil:
	case m.id == nil:
		// Every command but one has an id, and all are well-formed JSON. Another reply without one can belong to any
		// command: nothing after it is sure.
		p := &ProtocolError{Reason: "reply without id"}
		if r.err != nil {
			p.Err = &Error{Class: r.err.Class, Desc: r.err.Desc}
		}
		return p
	default:
		c.stats.unmatched.Add(1)
		return nil
	}
	c.answered = true
	c.stats.replies.Add(1)
	r.value = bytes.Clone(m.ret)
	if cl.withFD {
		<-c.fdSlot
	}
	<-c.slots
	cl.reply <- r // buffered; nobody may be listening any more
	return nil
}

// claim returns the command that a reply with this id, which may be absent, is for, and has it answered.
func (c *Client) claim(rawID []byte) *call {
	c.mu.Lock()
	defer c.mu.Unlock()
	if rawID == nil {
		cl := c.plain
		c.plain = nil
		return cl
	}
	id, ok := parseID(rawID)
	if !ok {
		return nil
	}
	cl := c.calls[id]
	if cl != nil {
		delete(c.calls, id)
		c.freeIDs = append(c.freeIDs, id)
	}
	return cl
}
