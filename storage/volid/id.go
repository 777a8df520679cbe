package volid

import (
	"fmt"
	"io/fs"
	"strings"

	"github.com/turtacn/go-proxmox/internal/errclass"
)

var (
	// ErrSyntax classes every error about a name that means nothing on its storage.
	ErrSyntax = errclass.New("volume name not understood", fs.ErrInvalid)
	// ErrNoSnapshotPath classes the answers of storages on which a snapshot of this
	// volume cannot be reached by a path.
	ErrNoSnapshotPath = errclass.New("no path to a snapshot", fs.ErrInvalid)
)

// Error is what the functions of this package return: the text that Proxmox VE
// shows to users for this case, and the class a caller branches on.
type Error struct {
	Text  string
	Class error
}

func (e *Error) Error() string { return e.Text }
func (e *Error) Unwrap() error { return e.Class }

func syntaxError(format string, args ...any) error {
	return &Error{Text: fmt.Sprintf(format, args...), Class: ErrSyntax}
}

// maxName is the longest path component that Linux file systems hold, in bytes.
const maxName = 255

// maxID bounds a whole volume id: a storage id, and at most four components.
const maxID = 4*maxName + 128

// ID is a volume id, STORAGE:NAME. The name's meaning depends on the storage's type.
type ID struct {
	Storage string
	Name    string
}

// String returns STORAGE:NAME.
func (id ID) String() string { return id.Storage + ":" + id.Name }

// Split takes a volume id apart. It accepts any non-empty name; [Parse] judges the
// name. The error's text is "unable to parse volume ID '…'".
func Split(s string) (ID, error) {
	storage, name, ok := strings.Cut(s, ":")
	if !ok || name == "" || len(s) > maxID || !isStorageID(storage) || hasControl(name) {
		return ID{}, syntaxError("unable to parse volume ID '%s'", s)
	}
	return ID{Storage: storage, Name: name}, nil
}

// IsID tells whether s has the form of a volume id, as against an absolute path or
// one of the words "none" and "cdrom".
func IsID(s string) bool {
	_, err := Split(s)
	return err == nil
}

// isStorageID: a letter, then letters, digits, '-', '_' and '.', not ending in one of
// the last three; two characters at least.
func isStorageID(s string) bool {
	if len(s) < 2 || !isLetter(s[0]) {
		return false
	}
	for i := 1; i < len(s); i++ {
		if !isAlnum(s[i]) && !strings.ContainsRune("-_.", rune(s[i])) {
			return false
		}
	}
	return isAlnum(s[len(s)-1])
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isAlnum(c byte) bool  { return isLetter(c) || isDigit(c) }

// hasControl reports NUL, newlines and their kin: no name on any storage has one.
func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' })
}
