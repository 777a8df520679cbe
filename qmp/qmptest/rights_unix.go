//go:build unix

package qmptest

import (
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

func readRights(conn net.Conn, b []byte) (int, []*os.File, error) {
	u, ok := conn.(*net.UnixConn)
	if !ok {
		n, err := conn.Read(b)
		return n, nil, err
	}
	oob := make([]byte, unix.CmsgSpace(8*4))
	n, oobn, _, _, err := u.ReadMsgUnix(b, oob)
	n = max(n, 0) // it is -1 after some errors
	if n == 0 && err == nil {
		err = io.EOF
	}
	messages, perr := unix.ParseSocketControlMessage(oob[:oobn])
	if perr != nil {
		return n, nil, perr
	}
	var files []*os.File
	for _, m := range messages {
		if fds, err := unix.ParseUnixRights(&m); err == nil {
			for _, fd := range fds {
				unix.CloseOnExec(fd)
				files = append(files, os.NewFile(uintptr(fd), "passed"))
			}
		}
	}
	return n, files, err
}
