// Package upid is the name of a task in Proxmox VE's API: a UPID tells node, process, times, type, object and user of a
// task, and clients take it apart. The package parses and prints; it knows nothing of tasks.
//
//	id, err := upid.Parse("UPID:pve1:0000A1B2:00C3D4E5:66F00000:qmstart:100:root@pam:")
//	fmt.Println(id.Type, id.ID, time.Unix(id.Start, 0))
//
// UPIDs come from the network. Parse accepts no '/' and no control character, but a file named by a UPID must still be
// looked up by a task that is known, never by the text alone.
package upid

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/turtacn/go-proxmox/internal/errclass"
)

// ErrInvalid is a text that is no UPID, or fields that cannot be one.
var ErrInvalid = errclass.New("unable to parse worker upid", fs.ErrInvalid)

// UPID holds the fields of a task's name. It is comparable.
type UPID struct {
	Node   string // name of the node that runs the task
	PID    uint32 // process id; here a number that the node counts up
	PStart uint64 // when the process began, in 1/100 s since boot; at most 36 bits
	Start  int64  // when the task began, Unix time in seconds; 32 bits, unsigned
	Type   string // kind of task, such as qmstart
	ID     string // what it is about, such as a VMID; may be empty
	User   string // who began it: user@realm or user@realm!token
}

// Parse takes a UPID apart: "UPID:NODE:PID:PSTART:START:TYPE:ID:USER:", numbers in hexadecimal of 8 digits (PSTART also
// 9). The error is an ErrInvalid.
func Parse(s string) (UPID, error) {
	f := strings.Split(s, ":")
	if len(f) != 9 || f[0] != "UPID" || f[8] != "" {
		return UPID{}, ErrInvalid
	}
	if len(f[2]) != 8 || len(f[3]) != 8 && len(f[3]) != 9 || len(f[4]) != 8 {
		return UPID{}, ErrInvalid
	}
	var n [3]uint64
	for i := range n {
		v, err := parseHex(f[i+2])
		if err != nil {
			return UPID{}, ErrInvalid
		}
		n[i] = v
	}
	u := UPID{Node: f[1], PID: uint32(n[0]), PStart: n[1], Start: int64(n[2]), Type: f[5], ID: f[6], User: f[7]}
	if err := u.Check(); err != nil {
		return UPID{}, ErrInvalid
	}
	return u, nil
}

// parseHex is strconv.ParseUint without signs and underscores.
func parseHex(s string) (uint64, error) {
	for i := range len(s) {
		if c := s[i]; !('0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F') {
			return 0, ErrInvalid
		}
	}
	return strconv.ParseUint(s, 16, 64)
}

// Check tells whether the fields make a UPID that Parse would read back; the error is an ErrInvalid that names the field.
func (u UPID) Check() error {
	switch {
	case !validNode(u.Node):
		return fmt.Errorf("%w: node %q", ErrInvalid, u.Node)
	case u.PStart >= 1<<36:
		return fmt.Errorf("%w: process start %d", ErrInvalid, u.PStart)
	case u.Start < 0 || u.Start >= 1<<32:
		return fmt.Errorf("%w: start %d", ErrInvalid, u.Start)
	case u.Type == "" || !validField(u.Type):
		return fmt.Errorf("%w: type %q", ErrInvalid, u.Type)
	case !validField(u.ID):
		return fmt.Errorf("%w: id %q", ErrInvalid, u.ID)
	case u.User == "" || !validField(u.User):
		return fmt.Errorf("%w: user %q", ErrInvalid, u.User)
	}
	return nil
}

// validNode accepts letters, digits, and hyphens inside.
func validNode(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-' && i > 0 && i < len(s)-1:
		default:
			return false
		}
	}
	return s != ""
}

// validField accepts text without the separators of a UPID and of a path, blanks and control characters.
func validField(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return r == ':' || r == '/' || unicode.IsSpace(r) || unicode.IsControl(r)
	})
}

// String prints the UPID, numbers in upper case.
func (u UPID) String() string {
	return fmt.Sprintf("UPID:%s:%08X:%08X:%08X:%s:%s:%s:", u.Node, u.PID, u.PStart, u.Start, u.Type, u.ID, u.User)
}

// IsZero reports whether the UPID is the zero value, which names no task.
func (u UPID) IsZero() bool { return u == UPID{} }

// MarshalText makes JSON of a UPID its text.
func (u UPID) MarshalText() ([]byte, error) {
	if err := u.Check(); err != nil {
		return nil, err
	}
	return []byte(u.String()), nil
}

// UnmarshalText reads what MarshalText wrote.
func (u *UPID) UnmarshalText(text []byte) (err error) {
	*u, err = Parse(string(text))
	return err
}
