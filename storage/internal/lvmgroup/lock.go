package lvmgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Lock is the right to change one volume on this machine. The end of the process ends it.
type Lock struct{ file *os.File }

const (
	lockSuffix, attachedSuffix = ".lock", ".attached"
	lockPoll                   = 10 * time.Millisecond
)

// Lock waits until the volume of a name is nobody else's on this machine.
func (g *Group) Lock(ctx context.Context, name string) (*Lock, error) {
	var tick *time.Ticker
	for {
		l, err := g.lock(name)
		if err != nil || l != nil {
			return l, err
		}
		if tick == nil {
			tick = time.NewTicker(lockPoll)
			defer tick.Stop()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// LockNew waits until nobody else on this machine makes a volume of a name.
func (g *Group) LockNew(ctx context.Context, name string) (*Lock, error) {
	return g.Lock(ctx, name+":new") // which no volume is called
}

// TryLock is Lock that does not wait.
func (g *Group) TryLock(name string) (*Lock, bool) {
	l, err := g.lock(name)
	return l, err == nil && l != nil
}

// lock returns nil if somebody else has the lock.
func (g *Group) lock(name string) (*Lock, error) {
	if err := os.MkdirAll(g.opt.RunDir, 0o700); err != nil {
		return nil, fmt.Errorf("run folder: %w", err)
	}
	path := g.runFile(name, lockSuffix)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EINTR) {
			return nil, nil
		}
		return nil, &os.PathError{Op: "flock", Path: path, Err: err}
	}
	mine, err := f.Stat()
	there, e := os.Stat(path)
	if err != nil || e != nil || !os.SameFile(mine, there) { // removed by who had it before
		f.Close()
		return nil, err
	}
	return &Lock{file: f}, nil
}

// Unlock gives the right back. A nil Lock has none to give.
func (l *Lock) Unlock() {
	if l != nil {
		os.Remove(l.file.Name()) // while it is still held, so that nobody waits for a name that is gone
		l.file.Close()
	}
}

func (g *Group) runFile(name, suffix string) string { return filepath.Join(g.opt.RunDir, name+suffix) }

// holder is to whom a volume is attached.
type holder struct {
	uid      int
	readOnly bool
}

// mark notes that a volume is attached.
func (g *Group) mark(name string, h holder) error {
	return os.WriteFile(g.runFile(name, attachedSuffix), fmt.Appendf(nil, "%d %t\n", h.uid, h.readOnly), 0o600)
}

// Forget notes that a volume is attached no longer.
func (g *Group) Forget(name string) error {
	err := os.Remove(g.runFile(name, attachedSuffix))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return err
}

// marked tells to whom a volume is attached.
func (g *Group) marked(name string) (holder, bool) {
	text, err := os.ReadFile(g.runFile(name, attachedSuffix))
	if err != nil {
		return holder{}, false
	}
	var uid, readOnly string
	if n, err := fmt.Sscan(string(text), &uid, &readOnly); n != 2 || err != nil {
		return holder{}, true
	}
	h := holder{readOnly: readOnly == "true"}
	h.uid, _ = strconv.Atoi(uid)
	return h, true
}

// counts counts, by name, the images that this process has open.
type counts struct {
	mu sync.Mutex // guards of
	of map[string]int
}

func (c *counts) add(name string, n int) (now int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now = c.of[name] + n
	if now == 0 {
		delete(c.of, name)
	} else {
		c.of[name] = now
	}
	return now
}
