package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"github.com/turtacn/go-proxmox/proxmoxapi/client"
)

// escape ends a console: Ctrl-], as in telnet.
const escape = 0x1d

var errNoTerminal = errors.New("the console needs a terminal")

// console joins the terminal with the guest's serial console until either side ends.
func (a *app) console(ctx context.Context, c *client.Client, path string) error {
	in, ok := a.in.(*os.File)
	if !ok || !isTerminal(in) {
		return errNoTerminal
	}
	conn, err := c.Console(ctx, path)
	if err != nil {
		return err
	}
	defer conn.Close()
	old, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return err
	}
	defer term.Restore(int(in.Fd()), old)
	fmt.Fprint(a.err, "connected; Ctrl-] ends\r\n")

	ended := make(chan error, 2)
	go func() { // ends when conn is closed
		_, err := io.Copy(a.out, conn)
		ended <- err
	}()
	go func() { ended <- typed(in, conn) }() // ends with the process: a read of a terminal cannot be interrupted
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)
	resized <- syscall.SIGWINCH // the first size
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
				return nil
			}
			return err
		case <-resized:
			if w, h, err := term.GetSize(int(in.Fd())); err == nil {
				if _, err := conn.Write(client.ConsoleResize(w, h)); err != nil {
					return err
				}
			}
		}
	}
}

// typed sends what the user types until the escape character.
func typed(in io.Reader, conn io.Writer) error {
	buf := make([]byte, 4096)
	for {
		n, err := in.Read(buf)
		data := buf[:n]
		if i := bytes.IndexByte(data, escape); i >= 0 {
			return nil
		}
		if n > 0 {
			if _, err := conn.Write(client.ConsoleInput(data)); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}
