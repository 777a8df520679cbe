package qmp

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"time"
)

// Greeting is what QEMU says first. See docs/interop/qmp-spec: Server Greeting.
type Greeting struct {
	Version      Version
	Capabilities []string // offered: "oob"
}

// Version is QEMU's version. See qapi/control.json: VersionInfo.
type Version struct {
	Major, Minor, Micro int
	Package             string // the distributor's addition
}

// String returns "7.2.22".
func (v Version) String() string {
	return strconv.Itoa(v.Major) + "." + strconv.Itoa(v.Minor) + "." + strconv.Itoa(v.Micro)
}

// AtLeast reports whether v is major.minor or later.
func (v Version) AtLeast(major, minor int) bool {
	return v.Major > major || v.Major == major && v.Minor >= minor
}

// message is any message of the server, cut into the members that matter. They are slices of the message as received;
// nil means absent.
type message struct {
	qmp, ret, err, event        []byte // which of them is there tells the kind
	id, data, timestamp, ignore []byte
}

// member returns where to put a top-level member.
func (m *message) member(key []byte) *[]byte {
	switch string(key) {
	case `"QMP"`:
		return &m.qmp
	case `"return"`:
		return &m.ret
	case `"error"`:
		return &m.err
	case `"event"`:
		return &m.event
	case `"id"`:
		return &m.id
	case `"data"`:
		return &m.data
	case `"timestamp"`:
		return &m.timestamp
	}
	return &m.ignore
}

// parseMessage cuts an object. Decoding it as a whole would copy and look at every byte of a large reply several times
// over, in the one goroutine that everybody waits for.
func parseMessage(raw []byte) (m message, ok bool) {
	if !json.Valid(raw) {
		return m, false
	}
	// From here on the text is known to be one well-formed object.
	pos := skipSpace(raw, 1)
	for raw[pos] != '}' {
		end := skipValue(raw, pos)
		dst := m.member(raw[pos:end])
		pos = skipSpace(raw, skipSpace(raw, end)+1) // over the colon
		end = skipValue(raw, pos)
		if *dst = raw[pos:end:end]; string(*dst) == "null" && dst != &m.ret && dst != &m.id {
			*dst = nil
		}
		if pos = skipSpace(raw, end); raw[pos] == ',' {
			pos = skipSpace(raw, pos+1)
		}
	}
	return m, true
}

func skipSpace(b []byte, pos int) int {
	for b[pos] == ' ' || b[pos] == '\t' || b[pos] == '\r' || b[pos] == '\n' {
		pos++
	}
	return pos
}

// skipValue returns the end of the well-formed value that starts at pos and that is not the last thing in b.
func skipValue(b []byte, pos int) int {
	depth := 0
	for ; ; pos++ {
		switch b[pos] {
		case '"':
			for pos++; b[pos] != '"'; pos++ {
				if b[pos] == '\\' {
					pos++
				}
			}
			if depth == 0 {
				return pos + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			switch depth {
			case 0: // of the object around a number or a literal
				return pos
			case 1:
				return pos + 1
			}
			depth--
		case ',', ' ', '\t', '\r', '\n', ':':
			if depth == 0 {
				return pos
			}
		}
	}
}

type greeting struct {
	Version struct {
		QEMU struct {
			Major int `json:"major"`
			Minor int `json:"minor"`
			Micro int `json:"micro"`
		} `json:"qemu"`
		Package string `json:"package"`
	} `json:"version"`
	Capabilities []json.RawMessage `json:"capabilities"`
}

type wireError struct {
	Class string `json:"class"`
	Desc  string `json:"desc"`
}

func (g *greeting) public() Greeting {
	q := g.Version.QEMU
	out := Greeting{Version: Version{Major: q.Major, Minor: q.Minor, Micro: q.Micro, Package: g.Version.Package}}
	for _, raw := range g.Capabilities { // the specification asks clients to ignore what they do not know
		var name string
		if json.Unmarshal(raw, &name) == nil {
			out.Capabilities = append(out.Capabilities, name)
		}
	}
	return out
}

func (g Greeting) offers(capability string) bool { return slices.Contains(g.Capabilities, capability) }

// toEvent copies what it keeps.
func (m *message) toEvent() (Event, error) {
	var e Event
	var ts struct {
		Seconds      int64 `json:"seconds"`
		Microseconds int64 `json:"microseconds"`
	}
	if err := json.Unmarshal(m.event, &e.Name); err != nil {
		return e, err
	}
	if m.timestamp != nil {
		if err := json.Unmarshal(m.timestamp, &ts); err != nil {
			return e, err
		}
	}
	if ts.Seconds > 0 { // -1 when QEMU's clock failed
		e.Time = time.Unix(ts.Seconds, ts.Microseconds*1000)
	}
	e.Data = bytes.Clone(m.data)
	return e, nil
}

// appendCommand appends the wire form of a command. args are JSON already; empty args are left out, and so is the id 0.
func appendCommand(b []byte, oob bool, name string, args []byte, id uint64) []byte {
	if oob {
		b = append(b, `{"exec-oob":`...)
	} else {
		b = append(b, `{"execute":`...)
	}
	b = appendName(b, name)
	if len(args) > 0 {
		b = append(b, `,"arguments":`...)
		b = append(b, args...)
	}
	if id > 0 {
		b = append(b, `,"id":`...)
		b = strconv.AppendUint(b, id, 10)
	}
	return append(b, '}', '\n')
}

// appendName quotes a command's name. Those of QEMU need no escaping.
func appendName(b []byte, name string) []byte {
	for i := range len(name) {
		switch ch := name[i]; {
		case 'a' <= ch && ch <= 'z', 'A' <= ch && ch <= 'Z', '0' <= ch && ch <= '9', ch == '-', ch == '_', ch == '.':
		default:
			quoted, _ := json.Marshal(name) // a string always encodes
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, name...)
	return append(b, '"')
}

// parseID returns the number of an id of ours; anything else was never sent.
func parseID(raw []byte) (uint64, bool) {
	var id uint64
	for _, ch := range raw {
		if ch < '0' || ch > '9' || id > 1<<59 {
			return 0, false
		}
		id = id*10 + uint64(ch-'0')
	}
	return id, len(raw) > 0
}
