package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
)

func TestExample(t *testing.T) {
	need.Root(t)
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out))
	require.Contains(t, out.String(), "create veth port0 on guest0\nport0 master vmbr0\nport0 port isolated\nport0 up\n")
	require.Contains(t, out.String(), "a guest reaches its router: true\na guest reaches the other: false\n")
	require.Contains(t, out.String(), "# the switch, again\n0 steps\n")
}
