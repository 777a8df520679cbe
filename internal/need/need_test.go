package need_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
)

// recorder stands in for a test and notes how it ended.
type recorder struct {
	testing.TB
	skipped, failed string
}

func (r *recorder) Helper()                   {}
func (r *recorder) Skipf(f string, a ...any)  { r.skipped = fmt.Sprintf(f, a...) }
func (r *recorder) Fatalf(f string, a ...any) { r.failed = fmt.Sprintf(f, a...) }

func TestMissingToolSkipsLoudly(t *testing.T) {
	t.Setenv(need.RequireVar, "root,other")
	r := &recorder{TB: t}
	need.Tool(r, "no-such-tool-anywhere")
	require.Contains(t, r.skipped, "SKIP need=no-such-tool-anywhere")
	require.Empty(t, r.failed)
}

func TestPromisedNeedFails(t *testing.T) {
	for _, list := range []string{"root,no-such-tool-anywhere", "all"} {
		t.Setenv(need.RequireVar, list)
		r := &recorder{TB: t}
		need.Tool(r, "no-such-tool-anywhere")
		require.Contains(t, r.failed, "no-such-tool-anywhere", list)
		require.Empty(t, r.skipped)
	}
}

func TestMetNeedsRunOn(t *testing.T) {
	r := &recorder{TB: t}
	need.That(r, "thing", true, "probed")
	need.File(r, "null", "/dev/null")
	require.Empty(t, r.skipped+r.failed)
	need.That(r, "thing", false, "probed")
	require.NotEmpty(t, r.skipped+r.failed)
}
