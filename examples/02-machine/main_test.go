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
)

func TestExample(t *testing.T) {
	need.Tool(t, "qemu-img")
	t.Setenv("PATH", filepath.Dir(need.QEMU(t))+string(filepath.ListSeparator)+os.Getenv("PATH"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out strings.Builder
	require.NoError(t, run(ctx, &out))
	for _, line := range []string{"plugged net0\n", "saved snapshot before-move\n", "migration completed", "the target is running\n"} {
		require.Contains(t, out.String(), line)
	}
}
