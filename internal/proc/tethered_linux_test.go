package proc_test

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/proc"
)

// TestTetheredParent is no test: TestTetheredDiesWithItsOwner runs it as an owner that gets killed.
func TestTetheredParent(t *testing.T) {
	if os.Getenv("GPVE_PROC_TETHER") == "" {
		return
	}
	cmd := exec.Command("/bin/sh", "-c", "echo started $$; exec sleep 300")
	cmd.Stdout = os.Stdout
	require.NoError(t, proc.RunTethered(cmd, nil))
}

func TestTetheredDiesWithItsOwner(t *testing.T) {
	owner := exec.Command(os.Args[0], "-test.run=^TestTetheredParent$")
	owner.Env = append(os.Environ(), "GPVE_PROC_TETHER=1")
	out, err := owner.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, owner.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, "started ")))
	require.NoError(t, err, line)
	id, err := proc.Identify(pid)
	require.NoError(t, err)
	p, err := proc.Open(id)
	require.NoError(t, err)
	defer p.Close()
	require.NoError(t, owner.Process.Kill())
	_ = owner.Wait() // it was killed
	defer p.Kill(context.Background())
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err = p.Wait(ctx)
	require.NoError(t, err, "it lives on")
}

func TestTetheredEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", "sleep 300 & wait")
	began := time.Now()
	var group int
	err := proc.RunTethered(cmd, func(pid int) error {
		group, _ = syscall.Getpgid(pid)
		require.Equal(t, pid, group, "a group of its own")
		cancel()
		return nil
	})
	require.Error(t, err)
	require.Less(t, time.Since(began), 30*time.Second)
	require.Eventually(t, func() bool { return errors.Is(syscall.Kill(-group, 0), syscall.ESRCH) }, 10*time.Second, 5*time.Millisecond, "what it started went too")
}

func TestTetheredIsKilledWhereItCannotBeLimited(t *testing.T) {
	no := errors.New("no limits here")
	began := time.Now()
	require.ErrorIs(t, proc.RunTethered(exec.Command("/bin/sleep", "300"), func(int) error { return no }), no)
	require.Less(t, time.Since(began), 30*time.Second)
	require.Error(t, proc.RunTethered(exec.Command("/no/such/program"), nil))
	require.NoError(t, proc.RunTethered(exec.Command("/bin/true"), nil))
}
