package guestfw

import (
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// logQuery asks for lines of the log.
type logQuery struct {
	guest        int // lines of one guest; 0: all
	start, limit *int64
	since, until *int64 // Unix time; rotated files are read, too, where one is given
}

// logRow is a line of an answer.
type logRow struct {
	N int64  `json:"n"` // from 1
	T string `json:"t"`
}

const (
	defaultLogLimit = 50
	maxLogLine      = 64 << 10
)

// readLog answers lines of the log, oldest first, and how many there are.
func (s *Service) readLog(q logQuery) (call.List, error) {
	r := &logReader{q: q, start: schema.Value(q.start, 0), limit: schema.Value(q.limit, defaultLogLimit), rows: []logRow{}}
	if q.guest > 0 {
		r.prefix = strconv.Itoa(q.guest) + " "
	}
	files := []string{s.o.LogFile}
	if q.since != nil || q.until != nil {
		for n := 1; n <= logFiles; n++ {
			name := s.file.rotated(n)
			files = append([]string{name, name + ".gz"}, files...)
		}
	}
	for _, name := range files {
		if err := r.read(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return call.List{Rows: []logRow{{1, "unable to open file - " + reason(err)}}, Total: 1}, nil
		}
	}
	if r.total == 0 {
		return call.List{Rows: []logRow{{1, "no content"}}, Total: 1}, nil
	}
	return call.List{Rows: r.rows, Total: int(r.total)}, nil
}

// reason is the cause of a failed open without the path, which is nobody's business.
func reason(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err.Error()
	}
	return "read error"
}

type logReader struct {
	q            logQuery
	prefix       string
	start, limit int64
	total        int64
	rows         []logRow
}

func (r *logReader) read(name string) error {
	if name == "" {
		return fs.ErrNotExist
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	var from io.Reader = f
	if strings.HasSuffix(name, ".gz") {
		z, err := gzip.NewReader(f)
		if err != nil {
			return err
		}
		from = io.LimitReader(z, 64*logBytes)
	}
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 4096), maxLogLine)
	for lines.Scan() {
		if line := lines.Text(); r.wanted(line) {
			r.total++
			if r.total > r.start && (r.limit == 0 || r.total <= r.start+r.limit) {
				r.rows = append(r.rows, logRow{r.total, line})
			}
		}
	}
	return lines.Err()
}

// wanted tells whether a line is asked for. A line without a readable time is, unless times are.
func (r *logReader) wanted(line string) bool {
	if !strings.HasPrefix(line, r.prefix) {
		return false
	}
	if r.q.since == nil && r.q.until == nil {
		return true
	}
	words := strings.SplitN(line, " ", 6)
	if len(words) < 5 {
		return false
	}
	at, err := time.Parse(logTime, words[3]+" "+words[4])
	if err != nil {
		return false
	}
	return (r.q.since == nil || at.Unix() >= *r.q.since) && (r.q.until == nil || at.Unix() <= *r.q.until)
}
