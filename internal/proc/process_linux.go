package proc

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Start starts a process in a session of its own. It lives on when the caller dies.
func Start(s *Spec) (*Process, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("proc: %w", err)
	}
	defer null.Close()
	fd := -1
	attr := &os.ProcAttr{
		Dir: s.Dir, Env: s.Env,
		Files: append([]*os.File{null, null, null}, s.Files...),
		Sys:   &syscall.SysProcAttr{Setsid: true, PidFD: &fd, Credential: s.credential()},
	}
	if attr.Dir == "" {
		attr.Dir = "/"
	}
	if attr.Env == nil {
		attr.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	}
	if s.Stdout != nil {
		attr.Files[1] = s.Stdout
	}
	if s.Stderr != nil {
		attr.Files[2] = s.Stderr
	}
	child, err := s.fork(attr)
	if err != nil {
		return nil, fmt.Errorf("proc: start: %w", err)
	}
	p, err := adopt(child.Pid, fd)
	if err == nil {
		err = s.place(child.Pid)
	}
	if err != nil {
		discard(child.Pid)
		if p != nil {
			p.pidfd.Close()
		}
		return nil, fmt.Errorf("proc: start %s: %w", s.Path, err)
	}
	_ = child.Release() // waited for by pidfd, without a thread
	p.child = true
	p.wg.Go(p.watch)
	return p, nil
}

// fork starts the process inside its unified group where the kernel can do that (5.7), so that it cannot have forked before
// it was moved there.
func (s *Spec) fork(attr *os.ProcAttr) (*os.Process, error) {
	argv := append([]string{s.Path}, s.Args...)
	if s.Group != nil && s.Group.unified != "" {
		dir, err := os.Open(s.Group.unified)
		if err != nil {
			return nil, err
		}
		defer dir.Close()
		attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = true, int(dir.Fd())
		child, err := os.StartProcess(s.Path, argv, attr)
		if err == nil {
			return child, nil
		}
		attr.Sys.UseCgroupFD = false // an old kernel, or a filter on clone3; place moves it
	}
	return os.StartProcess(s.Path, argv, attr)
}

// discard kills and reaps a child that nobody waits for.
func discard(pid int) {
	_ = syscall.Kill(pid, syscall.SIGKILL)
	for {
		if _, err := syscall.Wait4(pid, nil, 0, nil); err != syscall.EINTR {
			return
		}
	}
}

func (s *Spec) credential() *syscall.Credential {
	if s.UID == 0 && s.GID == 0 {
		return nil
	}
	c := &syscall.Credential{Uid: uint32(s.UID), Gid: uint32(s.GID)}
	if s.UID == 0 {
		c.Uid = uint32(os.Geteuid())
	}
	if s.GID == 0 {
		c.Gid = c.Uid
	}
	for _, g := range s.Groups {
		c.Groups = append(c.Groups, uint32(g))
	}
	return c
}

// place does to the new process what fork cannot. One that has ended meanwhile needs nothing: its exit code says more.
func (s *Spec) place(pid int) error {
	if err := s.placeLive(pid); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

func (s *Spec) placeLive(pid int) error {
	// A daemon that the out-of-memory killer must spare would hand its protection down.
	if err := os.WriteFile("/proc/"+strconv.Itoa(pid)+"/oom_score_adj", []byte("0"), 0); err != nil {
		if !errors.Is(err, os.ErrNotExist) && !errors.Is(err, os.ErrPermission) {
			return err
		}
	}
	if s.Group != nil {
		return s.Group.Add(pid)
	}
	return nil
}

// adopt makes a process of a child that has not been waited for. fd is its pidfd or -1.
func adopt(pid, fd int) (*Process, error) {
	id, err := Identify(pid)
	if errors.Is(err, ErrGone) { // ended already, but not reaped: the pid is still its own
		id, err = Identity{PID: pid}, nil
	}
	if err == nil && fd < 0 {
		fd, err = unix.PidfdOpen(pid, 0)
	}
	if err != nil {
		return nil, err
	}
	return newProcess(id, fd)
}

// Open returns the process of an identity, or ErrGone when it has ended, however its pid is used now.
func Open(id Identity) (*Process, error) {
	fd, err := unix.PidfdOpen(id.PID, 0)
	switch {
	case errors.Is(err, unix.ESRCH), errors.Is(err, unix.EINVAL):
		return nil, fmt.Errorf("proc: pid %d: %w", id.PID, ErrGone)
	case err != nil:
		return nil, fmt.Errorf("proc: pid %d: pidfd_open: %w", id.PID, err)
	}
	// The pidfd holds whoever had the pid then. If that one has the start time now, it is the one asked for.
	now, err := Identify(id.PID)
	if err == nil && now != id {
		err = fmt.Errorf("proc: pid %d is another process by now: %w", id.PID, ErrGone)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	p, err := newProcess(id, fd)
	if err != nil {
		return nil, fmt.Errorf("proc: %w", err)
	}
	p.wg.Go(p.watch)
	return p, nil
}

func newProcess(id Identity, fd int) (*Process, error) {
	if err := unix.SetNonblock(fd, true); err != nil { // makes the runtime's poller wait on it
		unix.Close(fd)
		return nil, err
	}
	unix.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), "pidfd:"+strconv.Itoa(id.PID))
	return &Process{id: id, pidfd: f, done: make(chan struct{}), closed: make(chan struct{})}, nil
}

// watch waits until the pidfd is readable, which it is once all threads have ended, and reaps a child.
func (p *Process) watch() {
	conn, err := p.pidfd.SyscallConn()
	if err != nil {
		return
	}
	err = conn.Read(func(fd uintptr) bool {
		n, perr := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return perr == nil && n > 0
	})
	if err != nil {
		return // closed
	}
	if p.child {
		var ws syscall.WaitStatus
		for {
			got, werr := syscall.Wait4(p.id.PID, &ws, 0, nil)
			if werr == syscall.EINTR {
				continue
			}
			if got == p.id.PID {
				p.status = Status{Known: true, Code: ws.ExitStatus(), Core: ws.CoreDump()}
				if ws.Signaled() {
					p.status.Code, p.status.Signal = 0, ws.Signal()
				}
			}
			break
		}
	}
	close(p.done)
}

// Signal sends a signal, or returns ErrGone.
func (p *Process) Signal(sig syscall.Signal) error {
	conn, err := p.pidfd.SyscallConn()
	if err != nil {
		return fmt.Errorf("proc: signal pid %d: %w", p.id.PID, ErrClosed)
	}
	var serr error
	if err := conn.Control(func(fd uintptr) { serr = unix.PidfdSendSignal(int(fd), sig, nil, 0) }); err != nil {
		return fmt.Errorf("proc: signal pid %d: %w", p.id.PID, ErrClosed)
	}
	switch {
	case errors.Is(serr, unix.ESRCH):
		return fmt.Errorf("proc: signal pid %d: %w", p.id.PID, ErrGone)
	case serr != nil:
		return fmt.Errorf("proc: signal pid %d: %w", p.id.PID, serr)
	}
	return nil
}

// Limit sets a resource limit of the running process. For a process of another user, and to raise the hard limit, that takes
// CAP_SYS_RESOURCE, which root in a container may lack: fs.ErrPermission.
func (p *Process) Limit(l Limit) error {
	if now, err := Identify(p.id.PID); err != nil || now != p.id { // prlimit knows no pidfd
		return fmt.Errorf("proc: limit of pid %d: %w", p.id.PID, ErrGone)
	}
	if err := unix.Prlimit(p.id.PID, l.Resource, &unix.Rlimit{Cur: l.Soft, Max: l.Hard}, nil); err != nil {
		return fmt.Errorf("proc: limit %d of pid %d: %w", l.Resource, p.id.PID, err)
	}
	return nil
}
