package tinyguest

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/turtacn/go-proxmox/internal/need"
)

// What the guest prints on its serial console.
const (
	Up          = "gpve-guest: up "          // followed by host name, address, kernel
	PowerButton = "gpve-guest: power button" // before it powers off by ACPI
	Seed        = "gpve-guest: seed "        // followed by the seed's instance id
)

// DirVar names the environment variable with the folder that holds disk.qcow2; unset, it is .cache/tinyguest of the repository.
const DirVar = "GPVE_TINYGUEST"

// Disk returns the path of the guest's qcow2 disk, which the test must copy, or needs "tinyguest".
func Disk(t testing.TB) string {
	t.Helper()
	path := filepath.Join(dir(), "disk.qcow2")
	need.File(t, "tinyguest", path)
	return path
}

func dir() string {
	if d := os.Getenv(DirVar); d != "" {
		return d
	}
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", ".cache", "tinyguest")
}
