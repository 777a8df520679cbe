package proc

import (
	"os/exec"
	"runtime"
	"syscall"
)

// RunTethered runs a command to its end, and takes it down with the caller: the kernel kills it when the caller's process
// ends, in whatever way, so that nothing goes on writing for an owner who is dead. It gets a process group of its own, which
// the end of its context kills as a whole. Programs that it has started itself are in the group, but on no tether.
//
// started, if it is not nil, is called with the process id as soon as there is one; its error kills the group and is returned.
// Credentials and descriptors are the command's own; its other attributes of this system are kept.
//
// The signal is tied to the thread that forks (prctl(2): PR_SET_PDEATHSIG), and threads of Go's pool may end at any time. So
// the calling goroutine keeps its thread to itself until the command has ended.
func RunTethered(cmd *exec.Cmd, started func(pid int) error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	attr := &syscall.SysProcAttr{}
	if cmd.SysProcAttr != nil {
		*attr = *cmd.SysProcAttr
	}
	attr.Setpgid, attr.Pdeathsig = true, syscall.SIGKILL
	cmd.SysProcAttr = attr
	kill := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if cmd.Cancel != nil { // made with a context; any other command must not have it
		cmd.Cancel = kill
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	if started != nil {
		if err := started(cmd.Process.Pid); err != nil {
			_ = kill()
			_ = cmd.Wait() // it was killed
			return err
		}
	}
	return cmd.Wait()
}
