package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
)

// sh runs a command now and, if there is one, another when the test ends.
func sh(t *testing.T, command, after string) {
	t.Helper()
	do := func(line string) {
		argv := strings.Fields(line)
		out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
		require.NoError(t, err, "%s: %s", line, out)
	}
	do(command)
	t.Cleanup(func() { do(after) })
}

func TestLabZFS(t *testing.T) {
	need.Root(t)
	need.Tool(t, "zfs", "zpool")
	need.Module(t, "zfs")
	sh(t, "zpool create -f -m none example04 "+need.LabDisk(t, 0), "zpool destroy example04")
	out := walked(t, options{Type: "zfspool", Pool: "example04", Image: image(t)})
	require.Contains(t, out, "linked clone base-101-disk-0/vm-102-disk-0")
}

func TestLabThinPool(t *testing.T) {
	need.Root(t)
	need.Tool(t, "lvm", "thin_check")
	need.Module(t, "dm_thin_pool")
	disk := need.LabDisk(t, 1)
	sh(t, "vgcreate -y example04 "+disk, "pvremove -y "+disk)
	sh(t, "lvcreate -y --type thin-pool -L 1G -n thin example04", "vgremove -f -y example04")
	out := walked(t, options{Type: "lvmthin", Group: "example04", Pool: "thin", Image: image(t)})
	require.Contains(t, out, "make base    base-101-disk-0")
}
