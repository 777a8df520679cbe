// Package need lets a test declare what it needs of the machine. A missing need skips the test loudly ("SKIP need=zpool"),
// and fails it where the environment promises to have it: GPVE_TEST_REQUIRE is a comma list of needs, or "all".
package need

import (
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// RequireVar names the environment variable that turns a missing need into a failure.
const RequireVar = "GPVE_TEST_REQUIRE"

// Root needs an effective uid of 0 on Linux: namespaces, other uids, network devices.
func Root(t testing.TB) {
	t.Helper()
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		missing(t, "root", "effective uid 0 on Linux")
	}
}

// Tool needs each of names in PATH. The need is called by the tool's name.
func Tool(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			missing(t, name, "tool in PATH")
		}
	}
}

// File needs path to exist; the need is called name.
func File(t testing.TB, name, path string) {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		missing(t, name, path)
	}
}

// That needs a condition that the test has probed itself, such as a kernel feature.
func That(t testing.TB, name string, ok bool, why string) {
	t.Helper()
	if !ok {
		missing(t, name, why)
	}
}

func missing(t testing.TB, name, what string) {
	t.Helper()
	if Required(name) {
		t.Fatalf("need=%s (%s) is missing, and %s promises it", name, what, RequireVar)
		return
	}
	t.Skipf("SKIP need=%s (%s)", name, what)
}

// Required reports whether the environment promises the need.
func Required(name string) bool {
	list := strings.Split(os.Getenv(RequireVar), ",")
	return slices.Contains(list, name) || slices.Contains(list, "all")
}
