package cloudinit

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

func TestISOIsReadable(t *testing.T) {
	need.Tool(t, "isoinfo")
	for kind, path := range map[string]string{"nocloud": "/user-data", "configdrive2": "/openstack/latest/user_data"} {
		m, err := Generate(vmconfig.Section{"citype": kind, "name": "iso-test"}, Options{VMID: 1})
		require.NoError(t, err)
		data, err := m.ISO(time.Unix(1700000000, 0))
		require.NoError(t, err)
		name := filepath.Join(t.TempDir(), "ci.iso")
		require.NoError(t, os.WriteFile(name, data, 0o600))
		for _, names := range []string{"-R", "-J"} {
			out, err := exec.Command("isoinfo", names, "-i", name, "-x", path).Output()
			require.NoError(t, err)
			require.Contains(t, string(out), "hostname: iso-test\n", "%s %s", kind, names)
		}
		out, err := exec.Command("isoinfo", "-d", "-i", name).Output()
		require.NoError(t, err)
		require.Contains(t, string(out), "Volume id: "+m.Label+"\n")
		require.Contains(t, string(out), "Joliet with UCS level 3 found")
		require.Contains(t, string(out), "Rock Ridge signatures version 1 found")
	}
}

func TestISOTooBig(t *testing.T) {
	m := Medium{Label: "cidata", Files: []File{{"user-data", make([]byte, MaxImageBytes)}}}
	_, err := m.ISO(time.Now())
	require.ErrorContains(t, err, "do not fit")
}
