// Command 03-boot-a-vm boots a virtual machine with nothing but the packages that do one thing each: storage/dir keeps the
// disk, netkit makes the network, qmp/machine runs QEMU. There is no daemon and no configuration.
//
//	go run ./examples/03-boot-a-vm -image disk.qcow2 [-accel kvm] [-until "login:"]
//
// As root the guest gets a tap on a bridge, in a network namespace of its own; without, QEMU's built-in NAT. The guest's
// serial console is shown until it prints the text of -until; then the power button is pressed.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/qmp/machine"
	"github.com/turtacn/go-proxmox/qmp/qapi"
)

func main() {
	image := flag.String("image", ".cache/tinyguest/disk.qcow2", "qcow2 `file` to boot a copy of; the default is made by `make guest`")
	accel := flag.String("accel", "tcg", "kvm where the host has it")
	until := flag.String("until", "gpve-guest: up", "`text` on the serial console that means the guest is up")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	if err := run(ctx, os.Stdout, *image, *accel, *until); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, image, accel, until string) error {
	work, err := os.MkdirTemp("", "example")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	disk, err := importDisk(ctx, filepath.Join(work, "storage"), image)
	if err != nil {
		return err
	}
	card, files, done, err := network(ctx)
	if err != nil {
		return err
	}
	defer done()

	console := filepath.Join(work, "console")
	m := machine.New("example", "q35")
	m.Board.Accel, m.Memory.SizeMiB, m.Paused, m.NoShutdown = accel, 256, true, true
	m.Add(machine.VirtioDisk("disk0", machine.Image(string(disk.Format), disk.Path), 1), card, machine.SerialSocket(0, console))
	binary, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		return err
	}
	p, err := machine.Start(ctx, &machine.StartOptions{Binary: binary, Args: m.Args(), RunDir: filepath.Join(work, "vm"), Files: files})
	if err != nil {
		return err
	}
	defer p.Kill(context.WithoutCancel(ctx))
	serial, err := net.Dial("unix", console) // before the guest runs, so that no line is missed
	if err != nil {
		return err
	}
	defer serial.Close()
	defer context.AfterFunc(ctx, func() { serial.Close() })()
	if err := qapi.Cont(ctx, p.QMP()); err != nil {
		return err
	}
	if err := show(out, serial, until); err != nil {
		return errors.Join(err, ctx.Err())
	}
	if err := p.Shutdown(ctx, nil); err != nil { // presses the power button and waits
		return err
	}
	fmt.Fprintf(out, "\nQEMU ended: %v\n", p.Exit())
	return nil
}

func show(out io.Writer, serial io.Reader, until string) error {
	for lines := bufio.NewScanner(serial); ; {
		if !lines.Scan() {
			return fmt.Errorf("the console ended before %q: %w", until, errors.Join(lines.Err(), io.EOF))
		}
		fmt.Fprintln(out, strings.TrimRight(lines.Text(), "\r"))
		if strings.Contains(lines.Text(), until) {
			return nil
		}
	}
}
