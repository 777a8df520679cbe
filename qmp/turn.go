package qmp

import (
	"errors"
	"os"
	"time"
)

// Who reads.
//
// One goroutine at a time reads: the one that has put its token into c.reading. It waits for nobody, as replies go to buffered
// channels and events to bounded rings. As a rule it is the client's reader. But that one goroutine wakes up another one costs
// more than all the rest of a command. So when a reply has come and no other is outstanding, the reader rests for a moment,
// and a caller who then sends the only command reads by itself, whatever comes, until its reply is there. The reader comes
// back when a command is left over, when somebody begins to wait for events, and at the latest when nobody has begun to read for
// the length of a rest: an event can come that much later than it could. A caller who reads longer than that is sent away, by a
// read deadline, to see the end of its context.
const restTime = 3 * time.Millisecond

// deadliner is what lets the reader send a caller away.
type deadliner interface{ SetReadDeadline(time.Time) error }

// read is the client's reader.
func (c *Client) read() {
	defer close(c.readDone)
	var timer *time.Timer
	for {
		c.takeOver()
		over := c.readOn()
		<-c.reading
		if over {
			return
		}
		if timer == nil {
			timer = time.NewTimer(c.restTime)
			defer timer.Stop()
		}
		c.rest(timer)
	}
}

// takeOver gets the right to read, from a caller if need be.
func (c *Client) takeOver() {
	select {
	case c.reading <- struct{}{}:
	default:
		_ = c.deadline.SetReadDeadline(time.Unix(1, 0)) // there is one, or no caller would read
		c.reading <- struct{}{}
		_ = c.deadline.SetReadDeadline(time.Time{})
	}
}

// readOn reads until the end of the session, or until it is time for a rest.
func (c *Client) readOn() (over bool) {
	for {
		if c.ended() { // by a caller who read
			return true
		}
		if err := c.readOne(); err != nil {
			c.end(readError(err))
			return true
		}
		if c.deadline != nil && c.answered && !c.frames.Pending() && c.idle() {
			return false
		}
	}
}

// rest waits until the reader is needed.
func (c *Client) rest(timer *time.Timer) {
	c.resting.Store(true)
	defer c.resting.Store(false)
	if !c.idle() { // a command came while its caller could not read, nor see that nobody does
		return
	}
	seen := c.leads.Load()
	for {
		timer.Reset(c.restTime)
		select {
		case <-c.back:
			return
		case <-c.done:
			return
		case <-timer.C:
			now := c.leads.Load()
			if now == seen {
				return
			}
			seen = now
		}
	}
}

// lead reads until the reply of cl, the caller's own command, is there, unless somebody reads already.
func (c *Client) lead(cl *call) {
	select {
	case c.reading <- struct{}{}:
	default:
		return
	}
	c.leads.Add(1)
	sentAway := false
	for len(cl.reply) == 0 && !c.ended() {
		err := c.readOne()
		if sentAway = errors.Is(err, os.ErrDeadlineExceeded); sentAway {
			break
		}
		if err != nil {
			c.end(readError(err))
		}
	}
	pending := sentAway || c.frames.Pending()
	<-c.reading
	if pending || !c.idle() {
		c.callBack()
	}
}

func (c *Client) readOne() error {
	raw, err := c.frames.Next()
	if err != nil {
		return err
	}
	return c.dispatch(raw)
}

// idle tells whether all commands are answered.
func (c *Client) idle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.plain == nil && len(c.calls) == 0
}

// callBack ends the reader's rest, or its next one.
func (c *Client) callBack() {
	select {
	case c.back <- struct{}{}:
	default:
	}
}

// needReader is called before waiting for something that no caller reads for.
func (c *Client) needReader() {
	if c.resting.Load() {
		c.callBack()
	}
}
