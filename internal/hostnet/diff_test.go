package hostnet

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
)

// TestDiffApplies makes patch(1) turn one text into the other.
func TestDiffApplies(t *testing.T) {
	need.Tool(t, "patch")
	r := rand.New(rand.NewPCG(1, 2))
	text := func() string {
		var b strings.Builder
		for range r.IntN(40) {
			fmt.Fprintf(&b, "line %d\n", r.IntN(9))
		}
		return b.String()
	}
	for range 100 {
		a, b := text(), text()
		if a == b || a == "" || b == "" {
			continue
		}
		file := filepath.Join(t.TempDir(), "a")
		require.NoError(t, os.WriteFile(file, []byte(a), 0o644))
		cmd := exec.Command("patch", "-s", file)
		cmd.Stdin = strings.NewReader(unifiedDiff(file, file, a, b))
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		got, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, b, string(got))
	}
}
