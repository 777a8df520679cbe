package machine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/turtacn/go-proxmox/internal/proc"
)

// GoneError is ErrNotRunning for a QEMU that ended while nobody attended it.
type GoneError struct {
	Exit Exit // Cause is OOM or Unknown
}

func (e *GoneError) Error() string {
	return fmt.Sprintf("machine: %v: it ended unseen: %v", ErrNotRunning, e.Exit)
}
func (e *GoneError) Unwrap() error { return ErrNotRunning }

// unrecorded bounds the search for a QEMU that holds the lock and is in no record: it may still be on its way through exec.
const unrecorded = 5 * time.Second

// Attach takes up the QEMU that runs in runDir, after a restart of the caller. It waits for QMP for a while (ReadyTimeout)
// and succeeds also when that does not answer: the process is there, can be killed, and its session is opened once QEMU
// comes to. When none runs the error is ErrNotRunning: a *GoneError when there was one, whose left-overs are removed then.
// See Start for how it is found.
func Attach(ctx context.Context, runDir string, o *AttachOptions) (*Process, error) {
	opts, err := o.withDefaults(3 * time.Second)
	if err != nil {
		return nil, err
	}
	paths := paths{filepath.Clean(runDir)}
	rec, err := readRecord(paths)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	pr, err := find(ctx, paths, &rec)
	group := rec.group()
	switch {
	case errors.Is(err, ErrNotRunning) && rec.Version != 0:
		gone := &GoneError{Exit{Cause: Unknown, Stderr: lastLines(paths.log()), Time: time.Now()}}
		if oomKills(group, rec) > 0 {
			gone.Exit.Cause = OOM
		}
		cleanUp(paths, group)
		return nil, gone
	case err != nil:
		return nil, fmt.Errorf("machine: attach to %s: %w", paths.dir, err)
	}
	if group != nil { // a crash may have come before it was moved
		if err := group.Add(pr.PID()); err != nil {
			opts.Logger.Warn("QEMU is outside its control group", "name", rec.Name, "error", err)
		}
	}
	p := newProcess(paths.dir, rec, pr, group, opts)
	s, err := p.firstSession(ctx)
	if err != nil {
		if ctx.Err() != nil {
			pr.Close()
			return nil, fmt.Errorf("machine: attach to %s: %w", paths.dir, ctx.Err())
		}
		opts.Logger.Warn("QEMU does not answer", "name", rec.Name, "error", err)
	}
	p.run(s)
	return p, nil
}

// find returns the running QEMU, or ErrNotRunning. It completes the record of one that is in none.
func find(ctx context.Context, p paths, rec *record) (*proc.Process, error) {
	if rec.Process.PID != 0 {
		pr, err := proc.Open(rec.Process)
		if err == nil || !errors.Is(err, proc.ErrGone) {
			return pr, err
		}
	}
	deadline := time.Now().Add(unrecorded)
	for {
		lock, err := proc.Lock(p.lock())
		switch {
		case err == nil:
			lock.Close()
			return nil, ErrNotRunning
		case errors.Is(err, fs.ErrNotExist): // not even a directory
			return nil, ErrNotRunning
		case !errors.Is(err, proc.ErrLocked):
			return nil, err
		}
		id, err := proc.Holder(p.lock(), fdLock)
		if err == nil {
			pr, err := proc.Open(id)
			if err != nil {
				return nil, err
			}
			rec.Process = id
			return pr, rec.write(p)
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("the lock is held, by whom is not to be seen: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// group returns the recorded control group where it is still there, or nil.
func (r record) group() *proc.Group {
	if r.Cgroup == "" {
		return nil
	}
	c, err := proc.FindCgroups()
	if err != nil {
		return nil
	}
	g, err := c.Open(r.Cgroup)
	if err != nil {
		return nil
	}
	return g
}
