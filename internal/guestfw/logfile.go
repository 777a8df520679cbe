package guestfw

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/turtacn/go-proxmox/netkit/firewall/nflog"
)

// The log file is rotated when it is full: NAME, NAME.1 (the last one) and so on.
const (
	logBytes = 8 << 20
	logFiles = 4 // that are kept beside the present one
)

// logTime is how lines tell when.
const logTime = "02/Jan/2006:15:04:05 -0700"

// logFile appends lines to a file of bounded size.
type logFile struct {
	path string
	max  int64

	mu   sync.Mutex // guards the rest, and the order of writing and rotating
	f    *os.File
	size int64
}

func newLogFile(path string) *logFile { return &logFile{path: path, max: logBytes} }

// write appends a line.
func (l *logFile) write(line string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.openLocked(); err != nil {
		return err
	}
	if l.size+int64(len(line)) > l.max && l.size > 0 {
		if err := l.rotateLocked(); err != nil {
			return err
		}
	}
	n, err := l.f.WriteString(line)
	l.size += int64(n)
	return err
}

func (l *logFile) openLocked() error {
	if l.f != nil {
		return nil
	}
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.f, l.size = f, st.Size()
	return nil
}

func (l *logFile) rotateLocked() error {
	if err := l.closeLocked(); err != nil {
		return err
	}
	for n := logFiles; n >= 1; n-- {
		from := l.path
		if n > 1 {
			from = l.rotated(n - 1)
		}
		if err := os.Rename(from, l.rotated(n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return l.openLocked()
}

func (l *logFile) rotated(n int) string { return l.path + "." + strconv.Itoa(n) }

func (l *logFile) closeLocked() error {
	if l.f == nil {
		return nil
	}
	err := l.f.Close()
	l.f = nil
	return err
}

func (l *logFile) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closeLocked()
}

// logLine prints a packet: guest, level, chain, time, what happened, the packet. Prefixes of the ruleset tell the first three.
func logLine(p *nflog.Packet) string {
	guest, level, chain, text := "0", "6", "-", p.Prefix+" "
	if parts := strings.SplitN(p.Prefix, ":", 5); len(parts) == 5 && parts[0] == "" {
		guest, level, chain, text = parts[1], parts[2], parts[3], strings.TrimPrefix(parts[4], " ")
	}
	line := fmt.Sprintf("%s %s %s %s %s%s", guest, level, chain, p.Time.Format(logTime), text, p)
	return strings.Map(func(r rune) rune { // a line is a line, whatever a device or a rule is called
		if r < ' ' {
			return ' '
		}
		return r
	}, line) + "\n"
}

// listenAgain is how long to wait before the kernel's log is asked for again.
const listenAgain = 30 * time.Second

// writeLog writes what rules log to the file, from the time that there is a firewall at all.
func (s *Service) writeLog(ctx context.Context, on <-chan struct{}) error {
	defer s.file.close()
	if s.o.Packets == nil || s.o.LogFile == "" {
		return nil
	}
	select {
	case <-on:
	case <-ctx.Done():
		return ctx.Err()
	}
	told := ""
	for {
		err := s.readPackets(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if text := err.Error(); text != told {
			told = text
			s.log.Warn("firewall: what rules log is lost", "err", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(listenAgain):
		}
	}
}

func (s *Service) readPackets(ctx context.Context) error {
	source, err := s.o.Packets(ctx)
	if err != nil {
		return err
	}
	defer source.Close()
	for {
		p, err := source.Next(ctx)
		if err != nil {
			return err
		}
		if err := s.file.write(logLine(p)); err != nil {
			return err
		}
	}
}
