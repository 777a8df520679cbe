package main

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// scoreboard passes the output of [steps] on, and turns its marks into lines like those of go test.
type scoreboard struct {
	w       io.Writer
	mark    string
	list    []step
	results []result
	line    []byte // what may become a mark; the beginning of a line
	middle  bool   // the last byte passed on was no newline
	current int    // step that runs, -1 between two
}

// result says how a step ended.
type result struct {
	status int
	took   time.Duration
	busy   []string // disks left in use
}

func (r result) ok() bool { return r.status == 0 && len(r.busy) == 0 }

func newScoreboard(w io.Writer, mark string, list []step) *scoreboard {
	return &scoreboard{w: w, mark: mark, list: list, current: -1}
}

// Write implements io.Writer. Text is held back only as long as it may be a mark.
func (s *scoreboard) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n') + 1
		part := p
		if end > 0 {
			part = p[:end]
		}
		p = p[len(part):]
		if err := s.add(part, end > 0); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// add takes a piece of a line, or its end. A mark may stand after text that lacks its newline.
func (s *scoreboard) add(part []byte, ends bool) error {
	s.line = append(s.line, part...)
	at := bytes.Index(s.line, []byte(s.mark))
	switch {
	case at >= 0 && ends:
		if err := s.pass(s.line[:at]); err != nil {
			return err
		}
		text := strings.Fields(string(s.line[at+len(s.mark):]))
		s.line = s.line[:0]
		return s.score(text)
	case at >= 0:
		return nil
	}
	held := 0
	if !ends {
		held = overlap(s.line, s.mark)
	}
	if err := s.pass(s.line[:len(s.line)-held]); err != nil {
		return err
	}
	s.line = append(s.line[:0], s.line[len(s.line)-held:]...)
	return nil
}

// overlap is the length of the longest end of text that is a beginning of mark.
func overlap(text []byte, mark string) int {
	for n := min(len(text), len(mark)); n > 0; n-- {
		if strings.HasPrefix(mark, string(text[len(text)-n:])) {
			return n
		}
	}
	return 0
}

func (s *scoreboard) pass(text []byte) error {
	if len(text) == 0 {
		return nil
	}
	s.middle = text[len(text)-1] != '\n'
	_, err := s.w.Write(text)
	return err
}

// score takes the words of a mark: "begin N" or "end N STATUS MICROSECONDS [DISK...]".
func (s *scoreboard) score(words []string) error {
	if len(words) < 2 {
		return fmt.Errorf("mark %q", words)
	}
	n, err := strconv.Atoi(words[1])
	if err != nil || n < 0 || n >= len(s.list) {
		return fmt.Errorf("mark %q", words)
	}
	if words[0] == "begin" {
		s.current = n
		return nil
	}
	if len(words) < 4 {
		return fmt.Errorf("mark %q", words)
	}
	status, err := strconv.Atoi(words[2])
	if err != nil {
		return err
	}
	took, err := strconv.ParseInt(words[3], 10, 64)
	if err != nil {
		return err
	}
	r := result{status: status, took: time.Duration(took) * time.Microsecond, busy: words[4:]}
	s.results, s.current = append(s.results, r), -1
	return s.report(s.list[n].name, r)
}

func (s *scoreboard) report(name string, r result) error {
	if s.middle {
		fmt.Fprintln(s.w)
		s.middle = false
	}
	if len(r.busy) > 0 {
		fmt.Fprintf(s.w, "left in use: %s\n", strings.Join(r.busy, ", "))
	}
	verdict := "ok  "
	if !r.ok() {
		verdict = "FAIL"
	}
	_, err := fmt.Fprintf(s.w, "%s\t%s\t%.3fs\n", verdict, name, r.took.Seconds())
	return err
}

// finish passes on what was held back and counts the steps that did not pass. aborted says that the lab ended early.
func (s *scoreboard) finish(aborted bool) (failed int) {
	_ = s.pass(s.line) // the writer has failed before, if it fails
	if aborted && s.current >= 0 {
		fmt.Fprintf(s.w, "FAIL\t%s\t(the lab ended while it ran)\n", s.list[s.current].name)
	}
	for _, r := range s.results {
		if !r.ok() {
			failed++
		}
	}
	return failed + len(s.list) - len(s.results)
}
