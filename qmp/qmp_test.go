package qmp_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/internal/qemutest"
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
	conform(t, need.QEMU(t))
}

func TestConformanceQEMU10(t *testing.T) {
	conform(t, need.QEMU10(t))
}

func conform(t *testing.T, binary string) {
	qmptest.Run(t, qmptest.Config{Path: func(t *testing.T) string { return qemutest.StartBinary(t, binary, "-S", "-M", "pc") }})
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
