// Package proc runs processes that outlive their parent: it starts them in a session of their own, under another uid and in
// a control group, recognises them again after the parent has restarted, waits for them and stops them.
//
//	p, err := proc.Start(&proc.Spec{Path: "/usr/bin/qemu-system-x86_64", Args: args, UID: 64100, Stderr: log})
//	…
//	p, err = proc.Open(identity) // in a later life of the daemon; ErrGone unless it is the very same process
//	<-p.Done()
//
// Nothing of that kills a child because its parent, or the thread that started it, has ended: there is no parent-death signal
// and no context on a process's life. The opposite is [RunTethered], for commands that write on behalf of their parent and
// must not outlive it: those have both.
//
// Pids are reused, so a process is named by its pid, its start time and the boot (Identity), and everything done to it goes
// through a pidfd (Linux 5.3). Waiting costs one parked goroutine and no thread, also for processes that are not children.
//
// Other uids and control groups need root. On systems other than Linux everything returns errors.ErrUnsupported.
package proc
