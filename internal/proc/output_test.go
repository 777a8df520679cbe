package proc_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/proc"
)

func TestTailKeepsTheEnd(t *testing.T) {
	var tail proc.Tail
	require.Empty(t, tail.String())
	for range 3 {
		n, err := tail.Write([]byte(strings.Repeat("x", proc.StderrKeep-5)))
		require.NoError(t, err)
		require.Equal(t, proc.StderrKeep-5, n)
	}
	tail.Write([]byte("the end\n"))
	require.Len(t, tail.String(), proc.StderrKeep-1)
	require.True(t, strings.HasSuffix(tail.String(), "xthe end"))
}

func TestCappedFailsOnceAndForAll(t *testing.T) {
	var out bytes.Buffer
	c := &proc.Capped{W: &out, Left: 5}
	_, err := c.Write([]byte("12345"))
	require.NoError(t, err)
	_, err = c.Write([]byte("6"))
	require.ErrorIs(t, err, proc.ErrOutput)
	_, err = c.Write(nil)
	require.ErrorIs(t, err, proc.ErrOutput)
	require.Equal(t, "12345", out.String())
}
