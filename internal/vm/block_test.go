package vm

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/internal/volume"
	"github.com/turtacn/go-proxmox/storage"
)

// newBlockSite is a node that also has the storage thin, whose volumes are block devices.
func newBlockSite(t *testing.T) (*site, loopDisks) {
	t.Helper()
	need.Tool(t, "losetup")
	s := newGuestSite(t)
	s.put(volume.Key, storageCfg(s.dir)+"\nlvmthin: thin\n\tvgname loops\n\tthinpool pool\n\tcontent images\n\n")
	l := loopDisks{filepath.Join(s.dir, "thin")}
	t.Cleanup(func() {
		left, err := filepath.Glob(filepath.Join(l.folder, "*"))
		require.NoError(t, err)
		for _, f := range left {
			require.NoError(t, l.Detach(t.Context(), storage.VolumeID(filepath.Base(f))))
		}
	})
	return s, l
}

// boots waits until the firmware of a guest of bootSector has read the sector from its disk.
func (s *site) boots(id int) {
	s.t.Helper()
	s.eventually("the guest boots", func() bool { return strings.Contains(s.hmp(id, "xp /4bx 0x7c00"), "0x31 0xc0 0x8e 0xd8") })
}

func TestGuestOnABlockDevice(t *testing.T) {
	s, l := newBlockSite(t)
	s.makeVM(100, "memory", 32, "scsihw", "virtio-scsi-pci", "scsi0", "thin:0,import-from="+s.bootImage(), "scsi1", "thin:0.01", "boot", "order=scsi0")
	c := s.conf(100)
	require.Equal(t, "thin:vm-100-disk-0,size=4M", c.Main["scsi0"])
	require.Equal(t, "thin:vm-100-disk-1,size=12M", c.Main["scsi1"])
	require.Empty(t, l.device("vm-100-disk-0"), "nothing is attached that no guest uses")

	s.startVM(100)
	s.boots(100)
	dev := l.device("vm-100-disk-0")
	require.NotEmpty(t, dev)
	require.Contains(t, s.query(100, "query-block", nil), `"filename":"`+dev+`"`)

	s.ok(ask(s, s.root(), s.PutNodesQemuResize, kv{"vmid", 100, "disk", "scsi1", "size", "16M"}))
	require.Contains(t, s.query(100, "query-block", nil), `"virtual-size":16777216`)
	require.Contains(t, s.conf(100).Main["scsi1"], "size=16M")

	require.NoError(t, s.setVM(100, "scsi2", "thin:0.001"))
	require.NotEmpty(t, l.device("vm-100-disk-2"))
	require.NoError(t, s.setVM(100, "delete", "scsi2"))
	require.Empty(t, l.device("vm-100-disk-2"), "what is unplugged is detached")
	require.Equal(t, "thin:vm-100-disk-2", s.conf(100).Main["unused0"])

	s.restart() // of the daemon, beside the running guest
	require.NoError(t, s.setVM(100, "delete", "unused0"))
	require.NoFileExists(t, l.file("vm-100-disk-2"))
	s.stopVM(100)
	for _, id := range []storage.VolumeID{"vm-100-disk-0", "vm-100-disk-1"} {
		require.Empty(t, l.device(id), "what was attached for a guest goes with it")
	}
}

func TestCloneOnBlockDevices(t *testing.T) {
	s, l := newBlockSite(t)
	s.makeVM(100, "memory", 32, "scsi0", "thin:0,import-from="+s.bootImage(), "boot", "order=scsi0")
	s.cloneVM(100, 101, "full", 1)
	s.cloneVM(100, 102, "full", 1, "storage", "local", "format", "qcow2")
	require.Equal(t, "thin:vm-101-disk-0,size=4M", s.conf(101).Main["scsi0"])
	require.Equal(t, "local:102/vm-102-disk-0.qcow2,size=4M", s.conf(102).Main["scsi0"])
	got, err := os.ReadFile(l.file("vm-101-disk-0"))
	require.NoError(t, err)
	require.True(t, bytes.HasPrefix(got, bootSector()))
	s.startVM(100)
	s.cloneVM(100, 103, "full", 1)
	require.Empty(t, l.device("vm-103-disk-0"), "a copy's target is attached for the copy alone")
	got, err = os.ReadFile(l.file("vm-103-disk-0"))
	require.NoError(t, err)
	require.True(t, bytes.HasPrefix(got, bootSector()))
	s.stopVM(100)
	for id := 102; id <= 103; id++ {
		s.startVM(id)
		s.stopVM(id)
	}
}
