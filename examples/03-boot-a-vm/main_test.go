package main

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/internal/tinyguest"
)

func TestExample(t *testing.T) {
	need.Tool(t, "qemu-system-x86_64", "qemu-img")
	disk := tinyguest.Disk(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var out strings.Builder
	require.NoError(t, run(ctx, &out, disk, "tcg", tinyguest.Up))
	require.Contains(t, out.String(), tinyguest.Up)
	require.Contains(t, out.String(), "QEMU ended: guest-shutdown (exit code 0)")
}

func TestNoImage(t *testing.T) {
	require.ErrorIs(t, run(t.Context(), io.Discard, "/nowhere", "tcg", "up"), os.ErrNotExist)
	require.ErrorIs(t, show(io.Discard, strings.NewReader("a line\n"), "up"), io.EOF)
}
