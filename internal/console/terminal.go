package console

import (
	"bufio"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// The terminal protocol: the client sends USER:TICKET and a line feed, the server answers OK and then what the guest prints.
// From then on the client sends frames: 0:LENGTH:DATA is input, 1:COLUMNS:ROWS: a new size, 2 a sign of life.

// maxLine and maxFrame bound in bytes what a client may send before it makes sense.
const (
	maxLine  = 4096
	maxFrame = 64 << 10
)

var errProtocol = errors.New("console: malformed message of the terminal")

// serveTerminal joins a client with a serial port.
func serveTerminal(client net.Conn, guest stream, user, ticket string) error {
	in := bufio.NewReaderSize(client, maxLine)
	if err := client.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	line, err := in.ReadSlice('\n')
	if err != nil {
		return fmt.Errorf("console: greeting: %w", err)
	}
	if subtle.ConstantTimeCompare(line[:len(line)-1], []byte(user+":"+ticket)) != 1 {
		return errors.New("console: authentication failure")
	}
	if err := client.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	if _, err := client.Write([]byte("OK")); err != nil {
		return err
	}
	return joined(client, guest, func() error { return input(in, guest) })
}

// input reads frames until the client ends.
func input(in *bufio.Reader, guest io.Writer) error {
	for {
		kind, err := in.ReadByte()
		if err != nil {
			return err
		}
		switch kind {
		case '0':
			n, err := number(in, maxFrame)
			if err != nil {
				return err
			}
			if _, err := io.CopyN(guest, in, int64(n)); err != nil {
				return err
			}
		case '1': // a serial line has no size
			for range 3 {
				if _, err := in.ReadSlice(':'); err != nil {
					return err
				}
			}
		case '2':
		default:
			return errProtocol
		}
	}
}

// number reads the part of a frame up to the next colon; the first is preceded by one.
func number(in *bufio.Reader, limit int) (int, error) {
	text, err := in.ReadSlice(':')
	if err != nil {
		return 0, err
	}
	if len(text) == 1 { // the colon behind the kind
		if text, err = in.ReadSlice(':'); err != nil {
			return 0, err
		}
	}
	n, err := strconv.Atoi(strings.TrimSuffix(string(text), ":"))
	if err != nil || n < 0 || n > limit {
		return 0, errProtocol
	}
	return n, nil
}
