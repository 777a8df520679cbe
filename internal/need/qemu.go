package need

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

const (
	qemu = "qemu-system-x86_64"

	// QEMUVar names the environment variable with the QEMU that tests run on; unset, it is the one in PATH.
	QEMUVar = "GPVE_QEMU"
	// QEMU10Var names the environment variable with the QEMU 10 that tests of two versions run on; unset, it is the one in
	// .cache/qemu10 of the repository, which .ci/qemu10 puts there.
	QEMU10Var = "GPVE_QEMU10"
)

// QEMU needs "qemu-system-x86_64" and returns its absolute path.
func QEMU(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath(qemu)
	if named := os.Getenv(QEMUVar); named != "" {
		path, err = exec.LookPath(named)
	}
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		missing(t, qemu, err.Error())
	}
	return path
}

// QEMU10 needs "qemu10", a second and newer QEMU beside the system's, and returns its absolute path.
func QEMU10(t testing.TB) string {
	t.Helper()
	path := os.Getenv(QEMU10Var)
	if path == "" {
		_, file, _, _ := runtime.Caller(0)
		path = filepath.Join(filepath.Dir(file), "..", "..", ".cache", "qemu10", qemu)
	}
	path, err := exec.LookPath(path)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		missing(t, "qemu10", err.Error())
	}
	return path
}
