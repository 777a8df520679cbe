//go:build unix

package qmp

import (
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// rightsWriter is what *net.UnixConn offers for SCM_RIGHTS.
type rightsWriter interface {
	WriteMsgUnix(b, oob []byte, addr *net.UnixAddr) (n, oobn int, err error)
}

func writeRights(w rightsWriter, b []byte, fd *os.File) (int, error) {
	var n int
	conn, err := fd.SyscallConn()
	if err != nil {
		return 0, err
	}
	// Within Control the descriptor stays open and in the mode it is in; Fd would make it blocking.
	cerr := conn.Control(func(raw uintptr) { n, _, err = w.WriteMsgUnix(b, unix.UnixRights(int(raw)), nil) })
	if cerr != nil {
		return 0, cerr
	}
	return n, err
}

// writeNow writes what the socket takes without waiting and returns how much that was.
func writeNow(conn syscall.RawConn, b []byte) int {
	var n int
	_ = conn.Write(func(fd uintptr) bool {
		n, _ = unix.Write(int(fd), b)
		return true // also after EAGAIN: do not wait
	})
	return max(n, 0)
}

// duplicate returns a descriptor of ours for the same open file, or nil for nil.
func duplicate(fd *os.File) (*os.File, error) {
	if fd == nil {
		return nil, nil
	}
	conn, err := fd.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("duplicate file descriptor: %w", err)
	}
	var dup int
	cerr := conn.Control(func(raw uintptr) { dup, err = unix.FcntlInt(raw, unix.F_DUPFD_CLOEXEC, 0) })
	if cerr != nil {
		err = cerr
	}
	if err != nil {
		return nil, fmt.Errorf("duplicate file descriptor: %w", err)
	}
	return os.NewFile(uintptr(dup), fd.Name()), nil
}
