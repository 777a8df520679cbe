package hosttool_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/hosttool"
)

func run(t *testing.T, c hosttool.Command) (string, error) {
	t.Helper()
	out, err := hosttool.Host{}.Run(t.Context(), c)
	return string(out), err
}

func TestRun(t *testing.T) {
	t.Setenv("SECRET", "of the daemon")
	out, err := run(t, hosttool.Command{Name: "sh", Args: []string{"-c", `read x; echo "$x $A $LC_ALL $SECRET|$1"`, "sh", "a b;c"}, Stdin: []byte("in\n"), Env: []string{"A=1"}})
	require.NoError(t, err)
	require.Equal(t, "in 1 C |a b;c\n", out)

	out, err = run(t, hosttool.Command{Name: "sh", Args: []string{"-c", "echo part; echo first >&2; echo last >&2; exit 3"}})
	var e *hosttool.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, 3, e.Exit)
	require.Equal(t, "last", e.Text())
	require.Equal(t, "part\n", out, "what was printed before is there")

	_, err = run(t, hosttool.Command{Name: "no-such-program-anywhere"})
	require.ErrorIs(t, err, hosttool.ErrMissing)
	_, err = run(t, hosttool.Command{Name: "sh", Args: []string{"-c", "head -c 5000 /dev/zero"}, Limit: 4096})
	require.ErrorIs(t, err, hosttool.ErrOutput)
	_, err = run(t, hosttool.Command{Name: "sh", Args: []string{"-c", "head -c 100000 /dev/zero | tr '\\0' x >&2; exit 1"}})
	require.ErrorAs(t, err, &e)
	require.Len(t, e.Stderr, 4096)
}

func TestNamesAreNoPaths(t *testing.T) {
	for _, name := range []string{"", ".", "..", "../../bin", "nothing/here"} {
		_, err := run(t, hosttool.Command{Name: name})
		require.ErrorIs(t, err, hosttool.ErrMissing, name)
	}
}

func TestTheEndOfTheContextEndsAllProcesses(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, err := hosttool.Host{}.Run(ctx, hosttool.Command{Name: "sh", Args: []string{"-c", "sleep 60 & sleep 60"}})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(begun), 10*time.Second)
	require.True(t, strings.HasPrefix(err.Error(), "sh: "))
}
