// Package lvmlab prepares the kernel lab for tests of lvm2's drivers, where every command is emulated. Tests only.
package lvmlab

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Tests are the tests of one package, a *testing.M. In the lab they run on a machine that is set up like one which has lvm2 and
// nothing else for block devices; elsewhere as they are.
type Tests struct{ M interface{ Run() int } }

// Run runs the tests and undoes what it set up.
func (t Tests) Run() int {
	if os.Getenv("GPVE_LAB") != "1" {
		return t.M.Run()
	}
	undo, err := setUp()
	if err != nil {
		fmt.Fprintln(os.Stderr, "lvmlab:", err)
		return 1
	}
	status := t.M.Run()
	if err := undo(); err != nil {
		fmt.Fprintln(os.Stderr, "lvmlab:", err)
		return cmp.Or(status, 1)
	}
	return status
}

const (
	// hints is the folder where lvm2 remembers which disks it need not read. systemd-tmpfiles makes it on other systems.
	hints = "/run/lvm"
	// masked hides ZFS's rules for udev, which run a shell script for each block device that comes or changes, three for
	// each command of ours.
	masked = "/run/udev/rules.d/69-vdev.rules"
)

func setUp() (undo func() error, err error) {
	if err := errors.Join(os.MkdirAll(hints, 0o755), os.MkdirAll(filepath.Dir(masked), 0o755)); err != nil {
		return nil, err
	}
	if err := os.WriteFile(masked, nil, 0o644); err != nil {
		return nil, err
	}
	return func() error { return errors.Join(os.Remove(masked), reload()) }, reload()
}

func reload() error {
	out, err := exec.Command("udevadm", "control", "--reload").CombinedOutput()
	if err != nil {
		return fmt.Errorf("udevadm control --reload: %w: %s", err, out)
	}
	return nil
}
