package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/qmp/qmptest"
)

func TestExample(t *testing.T) {
	t.Setenv("PATH", filepath.Dir(need.QEMU(t))+string(filepath.ListSeparator)+os.Getenv("PATH"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out strings.Builder
	require.NoError(t, run(ctx, &out, nil))
	require.Contains(t, out.String(), "the guest is prelaunch\nsnapshot-save: true")
	require.Contains(t, out.String(), "no such device: true\nevent RESUME\nevent RESET because of host-qmp-system-reset\nevent STOP\n")
}

func TestExampleOnASocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	qmptest.NewMachine(t, nil).Listen(path)
	require.Error(t, run(t.Context(), &strings.Builder{}, []string{path + "-none"}))
}
