package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// stream is an open connection to a guest's socket.
type stream = io.ReadWriteCloser

// dial opens a guest's socket.
func dial(ctx context.Context, path string) (stream, error) {
	var d net.Dialer
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	return conn, nil
}

// join copies both ways until one side ends, and closes both.
func join(client net.Conn, guest stream) error {
	return joined(client, guest, func() error {
		_, err := io.Copy(guest, client)
		return err
	})
}

// joined copies what the guest sends while input does the other way, until one of them ends, and closes both.
func joined(client net.Conn, guest stream, input func() error) error {
	done := make(chan error, 1)
	go func() { // ends when guest is closed
		_, err := io.Copy(client, guest)
		client.Close()
		done <- err
	}()
	err := input()
	guest.Close()
	return errors.Join(quiet(err), quiet(<-done))
}

// quiet passes over the ends that every connection has.
func quiet(err error) error {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
