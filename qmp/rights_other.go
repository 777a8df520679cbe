//go:build !unix

package qmp

import (
	"errors"
	"os"
	"syscall"
)

type rightsWriter interface{ neverImplemented() }

func writeRights(rightsWriter, []byte, *os.File) (int, error) { return 0, errors.ErrUnsupported }

func writeNow(syscall.RawConn, []byte) int { return 0 }

func duplicate(fd *os.File) (*os.File, error) {
	if fd == nil {
		return nil, nil
	}
	return nil, errors.ErrUnsupported
}
