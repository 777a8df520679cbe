package proc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// OpenLog opens a file to become a process's standard error: each write is appended, so that the owner may cut the file at
// any time. It is created with mode 0600; the process needs no right to the path.
func OpenLog(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
}

// TrimLog cuts a log that has grown beyond max bytes down to its last lines, at most a quarter of that, and reports whether
// it did. A line written during the cut may be lost. The file stays the same one, so who has it open writes on.
//
// There is no limit in the kernel that would fit: a resource limit on file sizes would hit the disk images as well, and a
// pipe would need a reader that never dies.
func TrimLog(path string, max int64) (bool, error) {
	st, err := os.Stat(path)
	if err != nil || st.Size() <= max {
		return false, err
	}
	tail, err := TailLog(path, max/4)
	if err != nil {
		return false, err
	}
	if i := bytes.IndexByte(tail, '\n'); i >= 0 {
		tail = tail[i+1:] // begins with a whole line
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return false, err
	}
	defer f.Close()
	if err := f.Truncate(0); err != nil {
		return false, err
	}
	_, err = f.Write(tail)
	return true, err
}

// TailLog returns the last n bytes of the file at path, less when it has less.
func TailLog(path string, n int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	buf := make([]byte, min(n, st.Size()))
	got, err := f.ReadAt(buf, st.Size()-int64(len(buf)))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("proc: %w", err)
	}
	return buf[:got], nil
}
