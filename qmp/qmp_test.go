package qmp_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/qmptest"
)

func TestConformanceFake(t *testing.T) {
	qmptest.Run(t, qmptest.Config{Path: func(t *testing.T) string {
		path := filepath.Join(t.TempDir(), "qmp.sock")
		qmptest.NewMachine(t, nil).Listen(path)
		return path
	}})
}

func TestConformanceQEMU(t *testing.T) {
	need.Tool(t, "qemu-system-x86_64")
	qmptest.Run(t, qmptest.Config{Path: func(t *testing.T) string { return startQEMU(t, "-M", "pc") }})
}

// startQEMU starts a stopped QEMU without a guest and returns its monitor socket.
func startQEMU(t testing.TB, args ...string) string {
	t.Helper()
	need.Tool(t, "qemu-system-x86_64")
	path := filepath.Join(t.TempDir(), "qmp.sock")
	args = append(args, "-S", "-m", "64", "-accel", "tcg,tb-size=16", "-nodefaults", "-display", "none", "-qmp", "unix:"+path+",server=on,wait=off")
	cmd := exec.Command("qemu-system-x86_64", args...)
	require.NoError(t, cmd.Start())
	gone := make(chan error, 1)
	go func() { gone <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-gone
	})
	require.Eventually(t, func() bool {
		c, err := qmp.Dial(t.Context(), path, nil)
		if err == nil {
			c.Close()
		}
		return err == nil
	}, 20*time.Second, 10*time.Millisecond)
	return path
}

func deadline(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// open starts a session with a peer in memory.
func open(t testing.TB, peer *qmptest.Peer, opts *qmp.Options) *qmp.Client {
	t.Helper()
	c, err := qmp.NewClient(deadline(t), peer.Conn(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}
