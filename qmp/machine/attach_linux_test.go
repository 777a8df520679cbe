package machine

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/turtacn/go-proxmox/internal/need"
)

// A guest that has taken QEMU over can unlock the lock it was given, but not pass for stopped.
func TestThreat24_UnlockedByQEMU(t *testing.T) {
	o := options(t, "-S")
	p := launch(t, o)
	pidfd, err := unix.PidfdOpen(p.PID(), 0)
	require.NoError(t, err)
	defer unix.Close(pidfd)
	fd, err := unix.PidfdGetfd(pidfd, fdLock, 0)
	need.That(t, "pidfd_getfd", err == nil, fmt.Sprint("the right to take a descriptor of QEMU's: ", err))
	require.NoError(t, unix.Flock(fd, unix.LOCK_UN))
	require.NoError(t, unix.Close(fd))

	_, err = Start(limited(t), o)
	require.ErrorIs(t, err, ErrRunning)
	require.NoError(t, p.Close())
	q, err := Attach(limited(t), o.RunDir, nil)
	require.NoError(t, err)
	require.Equal(t, p.PID(), q.PID())
	require.NoError(t, q.Kill(limited(t)))
}
