package nfs

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/turtacn/go-proxmox/internal/proc"
)

// system is the mounter of this machine.
type system struct{}

func (system) at(path string) (mount, bool, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return mount{}, false, err
	}
	defer f.Close()
	return parseMountinfo(f, path)
}

func (system) mount(ctx context.Context, source, path, options string) error {
	cmd := exec.CommandContext(ctx, "mount", "-t", "nfs", "-o", options, "--", source, path)
	cmd.Env = []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) } // mount.nfs too
	cmd.WaitDelay = time.Second
	var out proc.Tail
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return fmt.Errorf("%v: %w: %s", cmd.Args, err, out.String())
}

func (s system) unmount(ctx context.Context, path string, lazy bool) error {
	if lazy {
		return s.detach(ctx, path)
	}
	if err := unix.Unmount(path, unix.UMOUNT_NOFOLLOW); err != nil {
		return &os.PathError{Op: "unmount", Path: path, Err: err}
	}
	return nil
}

// gonePoll is how often detach looks whether the mount is gone.
const gonePoll = 50 * time.Millisecond

// detach takes a dead mount away. The kernel does so at once, but holds the process that asked for it until it has given up on
// the server; so a child asks, with nothing that looks into the mount, and is left to the kernel.
func (s system) detach(ctx context.Context, path string) error {
	cmd := exec.Command("umount", "-c", "-i", "-f", "-l", path)
	cmd.Env = []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH")}
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }() // ends with the child
	poll := time.NewTicker(gonePoll)
	defer poll.Stop()
	for {
		select {
		case err := <-exited:
			if err != nil {
				return fmt.Errorf("%v: %w", cmd.Args, err)
			}
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-poll.C:
			if _, there, err := s.at(path); err != nil || !there {
				return err
			}
		}
	}
}
