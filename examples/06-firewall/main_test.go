package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRun(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, os.Geteuid() == 0))
	require.Contains(t, out.String(), "192.0.2.7 to port 22: ACCEPT\n192.0.2.7 to port 443: ACCEPT\n192.0.2.66 to port 22: DROP\n")
	require.Contains(t, out.String(), "198.51.100.1 to port 22: DROP\n198.51.100.1 to port 443: ACCEPT\n")
}
