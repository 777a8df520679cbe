package task

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/turtacn/go-proxmox/proxmoxapi/upid"
)

// logFile is the log of one task. Each line is written at once, so that what was logged survives a kill. A line that
// cannot be written is lost, and the operation goes on: a full disk must not stop the deleting of a volume.
type logFile struct {
	path string
	max  int64

	mu   sync.Mutex // serialises the lines; held across their writing, and nothing else
	f    *os.File   // opened by the first line
	size int64
	full bool
	err  error // the first one
}

// logPath returns the place of a task's log below dir. The UPID must be of a known task; its text has no '/'.
func logPath(dir string, id upid.UPID) string {
	start := fmt.Sprintf("%08X", id.Start)
	return filepath.Join(dir, "tasks", start[len(start)-1:], id.String())
}

// line appends text, which may be several lines.
func (l *logFile) line(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for part := range strings.SplitSeq(strings.TrimRight(text, "\r\n"), "\n") {
		l.writeLocked(clean(strings.TrimRight(part, "\r"), maxLine), false)
	}
}

// end appends the last line, also to a log that is full.
func (l *logFile) end(status string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writeLocked(lastLine(status), true)
	if l.f != nil {
		l.note(l.f.Close())
		l.f = nil
	}
	l.full = true // what comes late is dropped
}

// close is for a task that goes on in another process.
func (l *logFile) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f != nil {
		l.note(l.f.Close())
		l.f = nil
	}
}

func (l *logFile) writeLocked(line string, always bool) {
	if l.full && !always {
		return
	}
	if l.f == nil && !l.openLocked() {
		return
	}
	if !always && l.size > l.max {
		l.full = true
		line = "log is full, what follows is not kept"
	}
	n, err := l.f.WriteString(line + "\n")
	l.size += int64(n)
	l.note(err)
}

// openLocked opens the file to append. A line that a kill has cut off gets its end first.
func (l *logFile) openLocked() bool {
	open := func() (*os.File, error) {
		return os.OpenFile(l.path, os.O_RDWR|os.O_APPEND|os.O_CREATE|syscall.O_NOFOLLOW, 0o640)
	}
	f, err := open()
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(l.path), 0o750); err == nil {
			f, err = open()
		}
	}
	if err != nil {
		l.note(err)
		return false
	}
	l.f = f
	if l.size, err = f.Seek(0, io.SeekEnd); err == nil && l.size > 0 {
		last := make([]byte, 1)
		if _, err = f.ReadAt(last, l.size-1); err == nil && last[0] != '\n' {
			_, err = f.WriteString("\n")
		}
	}
	l.note(err)
	return true
}

func (l *logFile) note(err error) {
	if l.err == nil {
		l.err = err
	}
}

// failure returns the first error of writing.
func (l *logFile) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// LogLine is a line of a task's log; N counts from 1.
type LogLine struct {
	N int    `json:"n"`
	T string `json:"t"`
}

// readLog returns limit lines of the file from line start (0 is the first) on, and how many there are in all. Limit 0: all.
func readLog(path string, start, limit int) (lines []LogLine, total int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	lines = []LogLine{}
	r := bufio.NewReaderSize(f, 64<<10)
	for {
		text, err := r.ReadString('\n')
		if text != "" {
			if total >= start && (limit == 0 || len(lines) < limit) {
				lines = append(lines, LogLine{N: total + 1, T: clean(strings.TrimSuffix(text, "\n"), 2*maxLine)})
			}
			total++
		}
		if errors.Is(err, io.EOF) {
			return lines, total, nil
		}
		if err != nil {
			return nil, 0, err
		}
	}
}

// repairLog appends the last line of a finished task if a kill came between the commit of its end and that line.
func repairLog(path, status string, max int64) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		(&logFile{path: path, max: max}).end(status)
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	tail := make([]byte, min(size, 2*maxStatus+64))
	if _, err := f.ReadAt(tail, size-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if StatusFromLog(string(tail)) != status {
		l := &logFile{path: path, max: max}
		l.end(status)
		return l.failure()
	}
	return nil
}
