//go:build !unix

package qmptest

import (
	"net"
	"os"
)

func readRights(conn net.Conn, b []byte) (int, []*os.File, error) {
	n, err := conn.Read(b)
	return n, nil, err
}
