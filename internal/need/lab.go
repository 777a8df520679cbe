package need

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// LabVar names the environment variable that is set inside the kernel lab (internal/lab).
const LabVar = "GPVE_LAB"

// sysBlock is where the kernel lists block devices.
const sysBlock = "/sys/block"

// LabDisk needs "lab-disk", the n-th of the kernel lab's disks, and returns its device. The disk is empty when the test's
// package starts, and must be free when it ends; what is on it in between is the package's. Disks count from 0.
func LabDisk(t testing.TB, n int) string {
	t.Helper()
	if os.Getenv(LabVar) == "" {
		missing(t, "lab-disk", LabVar+" is not set: this is not the kernel lab")
		return ""
	}
	serial := fmt.Sprintf("lab%d", n)
	device, ok := deviceWithSerial(sysBlock, serial)
	if !ok {
		missing(t, "lab-disk", "no disk with the serial "+serial)
	}
	return device
}

func deviceWithSerial(sys, serial string) (string, bool) {
	files, err := filepath.Glob(filepath.Join(sys, "*", "serial"))
	if err != nil {
		return "", false
	}
	for _, f := range files {
		if text, err := os.ReadFile(f); err == nil && strings.TrimSpace(string(text)) == serial {
			return "/dev/" + filepath.Base(filepath.Dir(f)), true
		}
	}
	return "", false
}

// Module needs each of the kernel modules names, built in or loaded by this call. The need is called by the module's name.
func Module(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := loadModule(name); err != nil {
			missing(t, name, err.Error())
		}
	}
}

func loadModule(name string) error {
	if _, err := os.Stat(filepath.Join("/sys/module", strings.ReplaceAll(name, "-", "_"))); err == nil {
		return nil
	}
	// Built in and without parameters: no folder, but modprobe knows it. As root, it loads what is not there yet.
	out, err := exec.Command("modprobe", "--", name).CombinedOutput()
	if err != nil {
		return fmt.Errorf("kernel module: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
