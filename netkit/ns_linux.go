package netkit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// NS is a network namespace, held open by a file descriptor. It is safe for concurrent use until Close.
type NS struct {
	f *os.File
}

// OpenNS opens the namespace behind a file such as /proc/PID/ns/net or /run/netns/NAME.
func OpenNS(path string) (*NS, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("netkit: open namespace: %w", err)
	}
	// setns checks the type too, but only when it is too late for a clear error.
	typ, err := unix.IoctlRetInt(int(f.Fd()), unix.NS_GET_NSTYPE)
	if err != nil || typ != unix.CLONE_NEWNET {
		f.Close()
		return nil, fmt.Errorf("netkit: open namespace: %s is no network namespace", path)
	}
	return &NS{f: f}, nil
}

// HostNS opens the namespace of the process. Call it once at start, while the main thread is still in it.
func HostNS() (*NS, error) { return OpenNS("/proc/self/ns/net") }

// NewNS makes a namespace that lives as long as it is held open, with its loopback device up. It needs CAP_SYS_ADMIN.
func NewNS() (*NS, error) {
	type result struct {
		ns  *NS
		err error
	}
	done := make(chan result)
	go func() { // a thread of its own: it stays in the new namespace and dies with this goroutine
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- result{err: fmt.Errorf("netkit: new namespace: %w", err)}
			return
		}
		ns, err := OpenNS(threadNS())
		if err == nil {
			err = loopbackUp()
		}
		done <- result{ns, err}
	}()
	r := <-done
	return r.ns, r.err
}

func threadNS() string { return fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()) }

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("netkit: loopback: %w", err)
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr); err != nil {
		return fmt.Errorf("netkit: loopback: %w", err)
	}
	return nil
}

// Close releases the handle; a namespace that nothing else holds is gone with its devices.
func (n *NS) Close() error { return n.f.Close() }

// Path names the namespace for other processes, such as nsenter --net=PATH, as long as n is open.
func (n *NS) Path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), n.f.Fd()) }

// Do runs fn on a thread inside the namespace, for the rare call that has no socket to carry it. fn must not start
// goroutines and must not block for long. It runs on a goroutine of its own: when the thread cannot be brought back, it
// dies with that goroutine instead of returning to the scheduler in the wrong namespace.
func (n *NS) Do(ctx context.Context, fn func() error) error {
	if n == nil {
		return errors.New("netkit: nil namespace")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- n.enter(fn)
	}()
	return <-done
}

// enter unlocks the thread only after it is home again.
func (n *NS) enter(fn func() error) error {
	home, err := os.Open(threadNS())
	if err != nil {
		return fmt.Errorf("netkit: enter namespace: %w", err)
	}
	defer home.Close()
	if err := unix.Setns(int(n.f.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("netkit: enter namespace: %w", err)
	}
	err = fn()
	if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
		runtime.UnlockOSThread()
	}
	return err
}
