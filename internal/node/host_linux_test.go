package node

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRealProcessors(t *testing.T) {
	h, err := NewHost("/")
	require.NoError(t, err)
	c, err := h.CPU()
	require.NoError(t, err)
	require.Positive(t, c.CPUs)
	require.Positive(t, c.Sockets)
	require.Regexp(t, `^\d+\.\d{3}$`, c.MHz)
	k, err := h.Kernel()
	require.NoError(t, err)
	require.Equal(t, "Linux", k.SysName)
}

func TestRootFileSystem(t *testing.T) {
	h, _ := newHost(t)
	d, err := h.RootFS()
	require.NoError(t, err)
	require.Positive(t, d.Total)
	require.Equal(t, d.Total, d.Used+d.Free)
}
