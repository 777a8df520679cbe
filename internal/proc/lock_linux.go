package proc

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Lock takes the exclusive lock of the file at path, which it creates when needed (mode 0600), or returns ErrLocked at once.
// The lock belongs to the open file: it lasts as long as any process, such as a child that the file is passed to, has it
// open. The file is open for reading only. Never delete it, or two may hold "the" lock.
func Lock(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	switch err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		f.Close()
		return nil, fmt.Errorf("proc: %s: %w", path, ErrLocked)
	case err != nil:
		f.Close()
		return nil, &os.PathError{Op: "flock", Path: path, Err: err}
	}
	return f, nil
}

// Holder returns the process, other than the caller's, that has the file at path open as descriptor fd, or ErrGone. It looks
// at one file of each process of the machine, and sees those that the caller may trace.
func Holder(path string, fd int) (Identity, error) {
	var want unix.Stat_t
	if err := unix.Stat(path, &want); err != nil {
		return Identity{}, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	dir, err := os.Open("/proc")
	if err != nil {
		return Identity{}, fmt.Errorf("proc: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return Identity{}, fmt.Errorf("proc: %w", err)
	}
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid == os.Getpid() {
			continue
		}
		// The identity first: were the pid used anew in between, opening the identity would fail later.
		id, err := Identify(pid)
		if err != nil {
			continue
		}
		var st unix.Stat_t
		if unix.Stat("/proc/"+name+"/fd/"+strconv.Itoa(fd), &st) == nil && st.Dev == want.Dev && st.Ino == want.Ino {
			return id, nil
		}
	}
	return Identity{}, fmt.Errorf("proc: holder of %s: %w", path, ErrGone)
}
