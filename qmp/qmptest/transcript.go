package qmptest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Transcript is what was said in one session, in the order in which the client's side met it, without times. Its text is a
// file for people to read and for the repository to keep:
//
//	# a comment
//	S {"QMP":{"version":…}}
//	C {"execute":"qmp_capabilities","id":1}
//	S {"id":1,"return":{}}
//	S {"event":"RESUME"}
//	END
//
// C is a message of the client, S one of the server; END says that the server hung up.
type Transcript struct {
	Lines []Line
	Ended bool // by the server
}

// Line is one message.
type Line struct {
	Client  bool
	Message json.RawMessage // one compact object
}

// ParseTranscript reads the text of a transcript.
func ParseTranscript(text []byte) (*Transcript, error) {
	t := &Transcript{}
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimSpace(line)
		kind, message, _ := strings.Cut(line, " ")
		switch {
		case line == "" || line[0] == '#':
			continue
		case t.Ended:
			return nil, fmt.Errorf("qmptest: transcript: line %d comes after the end", n)
		case line == "END":
			t.Ended = true
			continue
		case kind != "C" && kind != "S":
			return nil, fmt.Errorf("qmptest: transcript: line %d is neither C nor S", n)
		}
		l, err := newLine(kind == "C", []byte(message))
		if err != nil {
			return nil, fmt.Errorf("qmptest: transcript: line %d: %w", n, err)
		}
		t.Lines = append(t.Lines, l)
	}
	return t, nil
}

// newLine checks and normalises a message: without its time, members sorted.
func newLine(client bool, message []byte) (Line, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(message, &fields); err != nil {
		return Line{}, err
	}
	if fields == nil {
		return Line{}, errors.New("no JSON object")
	}
	delete(fields, "timestamp")
	var compact bytes.Buffer
	enc := json.NewEncoder(&compact)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(fields); err != nil {
		return Line{}, err
	}
	return Line{Client: client, Message: bytes.TrimSpace(compact.Bytes())}, nil
}

// Text returns the transcript as ParseTranscript reads it.
func (t *Transcript) Text() []byte {
	var b bytes.Buffer
	for _, l := range t.Lines {
		kind := "S "
		if l.Client {
			kind = "C "
		}
		b.WriteString(kind)
		b.Write(l.Message)
		b.WriteByte('\n')
	}
	if t.Ended {
		b.WriteString("END\n")
	}
	return b.Bytes()
}
