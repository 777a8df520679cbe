package holders

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
)

func TestProcessesWithAFileOpen(t *testing.T) {
	proc := t.TempDir()
	add := func(pid, comm string, files ...string) {
		fd := filepath.Join(proc, pid, "fd")
		require.NoError(t, os.MkdirAll(fd, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(proc, pid, "comm"), []byte(comm+"\n"), 0o644))
		for i, f := range files {
			require.NoError(t, os.Symlink(f, filepath.Join(fd, string(rune('0'+i)))))
		}
	}
	add("10", "qemu", "/dev/null", "/dev/zd16", "/dev/zd16")
	add("11", "(udev-worker)", "/mnt/root/dev/zd16 (deleted)")
	add("12", "other", "/dev/zd160", "socket:[16]", "/zd1")
	add("13", "elsewhere", "/srv/zd16")
	add("self", "not a pid", "/dev/zd16")
	list, err := processes(proc, "zd16", func(file string) bool {
		target, err := os.Readlink(file)
		require.NoError(t, err)
		return target != "/srv/zd16" // a file that only has the name
	})
	require.NoError(t, err)
	require.ElementsMatch(t, []Holder{{10, "qemu"}, {11, "(udev-worker)"}}, list)
	require.Equal(t, "qemu (pid 10)", list[0].String())
	require.False(t, list[0].Passing())
	require.True(t, list[1].Passing())
}

func TestOfWhatIsNoDevice(t *testing.T) {
	list, err := Of(filepath.Join(t.TempDir(), "none"))
	require.NoError(t, err)
	require.Empty(t, list)
	_, err = Of(t.TempDir())
	require.ErrorIs(t, err, os.ErrInvalid)
}

func TestDeviceHeldByProcessAndKernel(t *testing.T) {
	need.Root(t)
	disk := need.LabDisk(t, 0)
	list, err := Of(disk)
	require.NoError(t, err)
	for _, h := range list {
		require.True(t, h.Passing(), h)
	}
	f, err := os.Open(disk)
	require.NoError(t, err)
	list, err = Of(disk)
	require.NoError(t, err)
	require.Contains(t, list, Holder{os.Getpid(), filepath.Base(os.Args[0])[:min(15, len(filepath.Base(os.Args[0])))]})
	require.NoError(t, f.Close())
	claim, err := os.OpenFile(disk, os.O_RDONLY|os.O_EXCL, 0)
	require.NoError(t, err)
	defer claim.Close()
	list, err = Of(disk)
	require.NoError(t, err)
	require.Equal(t, 0, list[len(list)-1].PID, "claimed")
}
