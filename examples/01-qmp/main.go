// Command 01-qmp talks to a QEMU: it connects, asks a few questions, and listens to the events of what it does.
//
//	go run ./examples/01-qmp                   starts a QEMU of its own, paused and without a guest
//	go run ./examples/01-qmp /run/vm/qmp.sock  only looks at one that runs
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/machine"
	"github.com/turtacn/go-proxmox/qmp/qapi"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx, os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, args []string) error {
	if len(args) > 0 {
		// A monitor serves one client at a time. One that is taken is silent: the error is qmp.ErrNoGreeting.
		c, err := qmp.Dial(ctx, args[0], nil)
		if err != nil {
			return err
		}
		defer c.Close()
		return look(ctx, out, c)
	}
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		return err
	}
	m := machine.New("example", "q35")
	m.Paused, m.Board.Accel = true, "tcg" // no guest runs: QEMU's emulator is there everywhere
	p, err := machine.Start(ctx, &machine.StartOptions{Binary: binary, Args: m.Args(), RunDir: filepath.Join(dir, "vm")})
	if err != nil {
		return err
	}
	defer p.Kill(context.WithoutCancel(ctx))
	return errors.Join(look(ctx, out, p.QMP()), act(ctx, out, p.QMP()))
}

// look asks. Each command is a function of package qapi; c.Do(ctx, "query-status", nil, &v) does the same by hand.
func look(ctx context.Context, out io.Writer, c *qmp.Client) error {
	fmt.Fprintf(out, "connected to QEMU %d.%d\n", c.Greeting().Version.Major, c.Greeting().Version.Minor)
	status, err := qapi.QueryStatus(ctx, c)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "the guest is %s\n", status.Status)

	schema, err := qapi.Probe(ctx, c) // what this very binary has
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "snapshot-save: %v, io_uring: %v\n", schema.HasCommand("snapshot-save"),
		schema.HasArgumentValue("blockdev-add", "io_uring", "aio"))

	// Errors have QEMU's class: branch on that, never on the text.
	err = qapi.QOMSet(ctx, c, "/machine/no-such-thing", "x", 1)
	fmt.Fprintf(out, "no such device: %v\n", errors.Is(err, qmp.ErrDeviceNotFound))
	return nil
}

// act lets the guest run and waits for the event that says so.
func act(ctx context.Context, out io.Writer, c *qmp.Client) error {
	sub := c.Subscribe(qapi.EventResume, qapi.EventStop, qapi.EventReset) // before the command, or the event is missed
	defer sub.Close()
	for _, step := range []func(context.Context, qapi.Client) error{qapi.Cont, qapi.SystemReset, qapi.Stop} {
		if err := step(ctx, c); err != nil {
			return err
		}
		event, err := sub.Next(ctx, nil)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "event %s", event.Name)
		if reset, err := qapi.EventAs[qapi.ResetEvent](event); err == nil {
			fmt.Fprintf(out, " because of %s", reset.Reason)
		}
		fmt.Fprintln(out)
	}
	return nil
}
