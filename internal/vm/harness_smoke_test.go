package vm

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHarnessRunsAGuest(t *testing.T) {
	s := newGuestSite(t)
	s.makeVM(100, "name", "one", "memory", 16, "scsi0", "local:0,import-from="+s.bootImage(), "net0", "virtio,bridge=vmbr0")
	require.Len(t, s.files(), 1)
	s.startVM(100)
	require.Len(t, s.processes(), 1)
	require.Equal(t, []string{"tap100i0"}, s.taps())
	s.restart()
	require.Equal(t, []int{100}, s.Running())
}
