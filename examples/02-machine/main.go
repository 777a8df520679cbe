// Command 02-machine describes a machine and starts it, plugs a network card in, takes a snapshot, and moves the running
// machine to a second QEMU.
//
//	go run ./examples/02-machine
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/turtacn/go-proxmox/qmp/jobs"
	"github.com/turtacn/go-proxmox/qmp/machine"
	"github.com/turtacn/go-proxmox/qmp/qapi"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	disk := filepath.Join(dir, "disk.qcow2")
	if err := exec.CommandContext(ctx, "qemu-img", "create", "-q", "-f", "qcow2", disk, "1G").Run(); err != nil {
		return err
	}

	// A description is data. Spare is an empty slot: what is plugged later needs one.
	spare := machine.Device{Driver: "pcie-root-port", ID: "spare", Props: []machine.Property{{Name: "chassis", Value: 1}}}
	describe := func() *machine.Machine {
		m := machine.New("example", "q35")
		m.Memory.SizeMiB, m.Board.Accel = 64, "tcg" // only the firmware runs
		return m.Add(machine.VirtioDisk("disk0", machine.Image("qcow2", disk), 1), spare.Unit("spare"))
	}
	source, err := start(ctx, filepath.Join(dir, "source"), describe())
	if err != nil {
		return err
	}
	defer source.Kill(context.WithoutCancel(ctx))
	fmt.Fprintf(out, "started process %d\n", source.PID())

	// The same value that would be -netdev and -device at a start is plugged into the running machine.
	card := machine.UserNet("net0")
	card.Devices[0].Bus = "spare"
	c := source.QMP()
	if err := machine.Plug(ctx, c, card); err != nil {
		return err
	}
	fmt.Fprintln(out, "plugged net0")

	// Memory and disk as one internal snapshot. The job ends by QEMU's events; its error, if any, is typed.
	job, err := jobs.SaveSnapshot(ctx, c, &qapi.SnapshotSaveArgs{
		JobID: "save", Tag: "before-move", Vmstate: "drive-disk0", Devices: []string{"drive-disk0"}})
	if err != nil {
		return err
	}
	if err := job.Run(ctx, nil); err != nil { // the end of ctx would cancel it
		return err
	}
	fmt.Fprintln(out, "saved snapshot before-move")
	return move(ctx, out, dir, source, describe().Add(card))
}

// move starts the same machine once more, the plugged card in it, and lets it take over.
func move(ctx context.Context, out io.Writer, dir string, source *machine.Process, m *machine.Machine) error {
	m.Incoming = "defer"
	target, err := start(ctx, filepath.Join(dir, "target"), m)
	if err != nil {
		return err
	}
	defer target.Kill(context.WithoutCancel(ctx))
	info, err := jobs.Migrate(ctx, &jobs.MigrateOptions{
		Source: source.QMP(), Target: target.QMP(), URI: "unix:" + filepath.Join(dir, "migrate.sock"),
		OnProgress: func(p jobs.MigrationProgress) { fmt.Fprintf(out, "migration %s, pass %d\n", p.Status, p.Pass) },
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "moved, the guest stood still for %d ms\n", *info.Downtime)
	if err := source.Stop(ctx, nil); err != nil { // what is left there is a shell
		return err
	}
	if status, err := qapi.QueryStatus(ctx, target.QMP()); err == nil {
		fmt.Fprintf(out, "the target is %s\n", status.Status)
	}
	return target.Stop(ctx, nil)
}

func start(ctx context.Context, dir string, m *machine.Machine) (*machine.Process, error) {
	binary, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		return nil, err
	}
	return machine.Start(ctx, &machine.StartOptions{Binary: binary, Args: m.Args(), RunDir: dir})
}
