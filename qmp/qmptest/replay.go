package qmptest

import (
	"encoding/json"
	"fmt"
	"reflect"
)

// replay is a session that plays a transcript.
type replay struct {
	s    *session
	rest []Line
	end  bool
	ids  map[string]json.RawMessage // of the recorded ids, those of this session
}

func newReplay(s *session, t *Transcript) *replay {
	return &replay{s: s, rest: t.Lines, end: t.Ended, ids: map[string]json.RawMessage{}}
}

// command is the part of a command that must be as recorded.
type command struct {
	Execute   string          `json:"execute"`
	ExecOOB   string          `json:"exec-oob"`
	Arguments json.RawMessage `json:"arguments"`
	ID        json.RawMessage `json:"id"`
}

// receive checks a command against the transcript and plays what follows it. It reports whether the session goes on.
func (p *replay) receive(r *Request) bool {
	p.s.p.record(*r)
	if len(p.rest) == 0 {
		p.s.p.t.Errorf("qmptest: replay: %s comes after the end of the transcript", r.Command)
		return false
	}
	var want command
	if err := json.Unmarshal(p.rest[0].Message, &want); err != nil {
		p.s.p.t.Errorf("qmptest: replay: %s: %v", p.rest[0].Message, err)
		return false
	}
	if r.Command != want.Execute+want.ExecOOB || r.OOB != (want.ExecOOB != "") || !sameJSON(r.Arguments, want.Arguments) {
		p.s.p.t.Errorf("qmptest: replay: got %s %s in place of %s", r.Command, r.Arguments, p.rest[0].Message)
		return false
	}
	p.ids[string(want.ID)] = r.ID // both may be absent
	p.rest = p.rest[1:]
	return p.play()
}

// play sends what the server says next. It reports whether the session goes on.
func (p *replay) play() bool {
	for len(p.rest) > 0 && !p.rest[0].Client {
		message, err := p.translate(p.rest[0].Message)
		if err != nil {
			p.s.p.t.Errorf("qmptest: replay: %v", err)
			return false
		}
		p.rest = p.rest[1:]
		p.s.write(append(message, '\r', '\n'))
	}
	return len(p.rest) > 0 || !p.end
}

// translate puts this session's id into a reply.
func (p *replay) translate(message json.RawMessage) ([]byte, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(message, &fields); err != nil {
		return nil, err
	}
	if fields["return"] == nil && fields["error"] == nil {
		return append([]byte(nil), message...), nil
	}
	id, ok := p.ids[string(fields["id"])]
	if !ok {
		return nil, fmt.Errorf("reply to an id that no command had: %s", message)
	}
	if fields["id"] = id; id == nil {
		delete(fields, "id")
	}
	return json.Marshal(fields)
}

// sameJSON compares values; absent arguments are the same as none.
func sameJSON(a, b json.RawMessage) bool {
	var x, y any
	for _, v := range []struct {
		raw json.RawMessage
		out *any
	}{{a, &x}, {b, &y}} {
		if len(v.raw) == 0 {
			*v.out = map[string]any{}
		} else if json.Unmarshal(v.raw, v.out) != nil {
			return false
		}
	}
	return reflect.DeepEqual(x, y)
}
