package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/internal/proc"
)

// share is a folder of the host that the guest mounts at the same path.
type share struct {
	path  string
	write bool
}

// machine is one boot of the lab.
type machine struct {
	settings
	image  string
	shares []share
	script string // bash, run as root when the shares are mounted
}

// run boots, runs the script, writes its output to w and returns its exit status. An error means that there is none: the
// kernel ended before the script did.
func (m *machine) run(ctx context.Context, w io.Writer) (int, error) {
	work, err := os.MkdirTemp("", "lab-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(work)
	if m.out != "" {
		if m.out, err = filepath.Abs(m.out); err != nil {
			return 0, err
		}
		if err := os.MkdirAll(m.out, 0o755); err != nil {
			return 0, err
		}
		m.shares = append(m.shares, share{m.out, true})
	}
	job := filepath.Join(work, "share")
	if err := os.Mkdir(job, 0o755); err != nil {
		return 0, err
	}
	if err := os.WriteFile(filepath.Join(job, "job"), []byte(m.prologue()+m.script), 0o755); err != nil {
		return 0, err
	}
	args, err := m.args(work)
	if err != nil {
		return 0, err
	}
	timed, cancel := context.WithTimeoutCause(ctx, m.limit, fmt.Errorf("the lab was taken down: it ran for %v (flag -limit)", m.limit))
	defer cancel()
	var said bytes.Buffer
	cmd := exec.CommandContext(timed, "qemu-system-x86_64", args...)
	// A pipe, even if w is a file: QEMU opens what its stdout is once more, with a position of its own.
	cmd.Stdout, cmd.Stderr = struct{ io.Writer }{w}, &said
	cmd.WaitDelay = 10 * time.Second
	err = proc.RunTethered(cmd, nil)
	text, readErr := os.ReadFile(filepath.Join(job, "rc"))
	if readErr == nil {
		if status, bad := strconv.Atoi(strings.TrimSpace(string(text))); bad == nil {
			return status, nil
		}
	}
	switch {
	case timed.Err() != nil:
		err = context.Cause(timed)
	case err != nil:
		err = fmt.Errorf("QEMU: %w", err)
	default:
		err = errors.New("the lab ended before its job did (a kernel panic, or a power-off)")
	}
	return 0, fmt.Errorf("%w%s%s", err, section("QEMU says", said.Bytes()), section("end of its console", consoleOf(work)))
}

// args are QEMU's. Every disk is a -device of its own: mixing in -drive if=virtio would number them in another order.
func (m *machine) args(work string) ([]string, error) {
	args := []string{
		"-machine", cmp.Or(os.Getenv("GPVE_LAB_MACHINE"), "q35,accel=tcg"), "-cpu", "max,-erms,-fsrm", // whose string moves are slow where they are emulated
		"-smp", strconv.Itoa(m.cpus), "-m", strconv.Itoa(m.memMiB),
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-kernel", filepath.Join(m.image, "vmlinux"), "-initrd", filepath.Join(m.image, "initrd.gz"),
		"-append", "console=ttyS0 quiet loglevel=4 panic=-1 oops=panic mitigations=off",
		"-serial", "file:" + console(work),
		// A file, not the chardev stdio: with stdin at its end, that blocks the guest's first write for ever.
		"-device", "virtio-serial-pci", "-chardev", "file,id=out,path=/dev/stdout,append=on", "-device", "virtserialport,chardev=out,name=lab.out",
		"-device", "virtio-rng-pci",
		"-drive", "file=" + escape(filepath.Join(m.image, "root.img")) + ",format=raw,if=none,id=root,readonly=on,file.locking=off",
		"-device", "virtio-blk-pci,drive=root",
	}
	for i := range m.disks {
		disk := filepath.Join(work, fmt.Sprintf("disk%d", i))
		if err := os.WriteFile(disk, nil, 0o600); err != nil {
			return nil, err
		}
		if err := os.Truncate(disk, m.diskBytes); err != nil {
			return nil, err
		}
		args = append(args,
			"-drive", fmt.Sprintf("file=%s,format=raw,if=none,id=lab%d,cache=unsafe,discard=unmap,detect-zeroes=off", escape(disk), i),
			"-device", fmt.Sprintf("virtio-blk-pci,drive=lab%d,serial=lab%d", i, i))
	}
	for i, s := range append([]share{{filepath.Join(work, "share"), true}}, m.shares...) {
		tag := "lab"
		if i > 0 {
			tag = fmt.Sprintf("share%d", i-1)
		}
		mode := ",readonly=on"
		if s.write {
			mode = ""
		}
		args = append(args,
			"-fsdev", fmt.Sprintf("local,id=%s,path=%s,security_model=none,multidevs=remap%s", tag, escape(s.path), mode),
			"-device", fmt.Sprintf("virtio-9p-pci,fsdev=%s,mount_tag=%s", tag, tag))
	}
	return args, nil
}

// escape writes a path as a value of QEMU's options, where a comma is doubled.
func escape(path string) string { return strings.ReplaceAll(path, ",", ",,") }

func console(work string) string { return filepath.Join(work, "console") }

func consoleOf(work string) []byte {
	text, _ := os.ReadFile(console(work)) // what cannot be read has nothing to say
	return text
}

// consoleLines is how much of the console an error shows: a panic with its call trace.
const consoleLines = 60

// section is the end of a text under a heading; nothing for an empty one.
func section(heading string, text []byte) string {
	lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(string(text), "\r", "")), "\n")
	if len(lines) == 1 && lines[0] == "" {
		return ""
	}
	return "\n" + heading + ":\n  " + strings.Join(lines[max(0, len(lines)-consoleLines):], "\n  ")
}
