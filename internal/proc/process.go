package proc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"
)

// Spec says what to start.
type Spec struct {
	Path string   // of the program, absolute
	Args []string // without the program's name
	Env  []string // nil is a search path and the C locale: nothing of the caller's environment
	Dir  string   // "" is "/": the process must not hold a file system that somebody wants to unmount

	// UID and GID run it as another user; 0 is the caller's. With a UID and no GID the gid is the uid, never the caller's
	// group. Groups are its supplementary groups; the caller's are dropped.
	UID, GID int
	Groups   []int

	Stdout, Stderr *os.File   // nil is /dev/null, as standard input always is
	Files          []*os.File // become descriptors 3, 4, …

	Group *Group // to run in; nil is the caller's
}

// Limit is a resource limit. See setrlimit(2).
type Limit struct {
	Resource   int // unix.RLIMIT_…
	Soft, Hard uint64
}

// Process is a running process, a child or not. It is safe for concurrent use.
type Process struct {
	id    Identity
	child bool
	pidfd *os.File

	done   chan struct{}
	status Status // written before done is closed
	wg     sync.WaitGroup
	once   sync.Once
	closed chan struct{}
}

// Status is how a process ended.
type Status struct {
	Known  bool           // false when it was not our child: the kernel tells only the parent
	Code   int            // the exit code, when Signal is 0
	Signal syscall.Signal // that killed it
	Core   bool           // it left a core dump
}

// String returns "exit code 1", "signal killed" or "unknown".
func (s Status) String() string {
	switch {
	case !s.Known:
		return "unknown"
	case s.Signal != 0:
		return "signal " + s.Signal.String()
	}
	return fmt.Sprintf("exit code %d", s.Code)
}

// Identity returns what Open takes.
func (p *Process) Identity() Identity { return p.id }

// PID returns the process id.
func (p *Process) PID() int { return p.id.PID }

// Done is closed when the process has ended; a child has been reaped then.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits for the end of the process. It returns the context's error, or ErrClosed after Close.
func (p *Process) Wait(ctx context.Context) (Status, error) {
	select {
	case <-p.done:
		return p.status, nil
	default:
	}
	select {
	case <-p.done:
		return p.status, nil
	case <-p.closed:
		return Status{}, fmt.Errorf("proc: wait for pid %d: %w", p.id.PID, ErrClosed)
	case <-ctx.Done():
		return Status{}, fmt.Errorf("proc: wait for pid %d: %w", p.id.PID, ctx.Err())
	}
}

// Stop sends SIGTERM, and SIGKILL when the process is still there after grace, and waits for its end. The last step takes as
// long as the kernel needs (a process in uninterruptible sleep), within ctx. Killed tells that SIGKILL was sent.
func (p *Process) Stop(ctx context.Context, grace time.Duration) (killed bool, err error) {
	if err := p.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, ErrGone) {
		return false, err
	}
	short, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if _, err = p.Wait(short); err == nil || ctx.Err() != nil || errors.Is(err, ErrClosed) {
		return false, err
	}
	return true, p.Kill(ctx)
}

// Kill sends SIGKILL and waits for the end.
func (p *Process) Kill(ctx context.Context) error {
	if err := p.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, ErrGone) {
		return err
	}
	_, err := p.Wait(ctx)
	return err
}

// Close gives up the handle; the process runs on. A child that is still running is not reaped any more by us.
func (p *Process) Close() error {
	var err error
	p.once.Do(func() {
		close(p.closed)
		err = p.pidfd.Close()
	})
	p.wg.Wait()
	return err
}
