package netkit

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestInterruptedDumpsAreRepeated(t *testing.T) {
	calls := 0
	list := func(interrupted int, err error) func() ([]int, error) {
		calls = 0
		return func() ([]int, error) {
			if calls++; calls <= interrupted {
				return []int{1}, fmt.Errorf("wrapped: %w", err)
			}
			return []int{1, 2}, nil
		}
	}
	for _, err := range []error{netlink.ErrDumpInterrupted, unix.EINTR} {
		got, dumpErr := dump(t.Context(), list(3, err))
		require.NoError(t, dumpErr)
		require.Equal(t, []int{1, 2}, got)
		require.Equal(t, 4, calls)
	}
	got, err := dump(t.Context(), list(100, netlink.ErrDumpInterrupted))
	require.ErrorIs(t, err, ErrInterrupted)
	require.Nil(t, got, "a part of a list never leaves")
	_, err = dump(t.Context(), list(1, unix.EPERM))
	require.ErrorIs(t, err, unix.EPERM)
	require.Equal(t, 1, calls)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = dump(ctx, list(0, nil))
	require.ErrorIs(t, err, context.Canceled)
}
