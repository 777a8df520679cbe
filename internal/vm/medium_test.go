package vm

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

// content reads a volume as raw bytes.
func (s *site) content(volid string) string {
	s.t.Helper()
	raw := filepath.Join(s.t.TempDir(), "raw")
	out, err := exec.Command("qemu-img", "convert", "-U", "-O", "raw", s.path(volid), raw).CombinedOutput()
	require.NoError(s.t, err, string(out))
	data, err := os.ReadFile(raw)
	require.NoError(s.t, err)
	return string(data)
}

func (s *site) cloudInitRow(id int, key string) (row vmconfig.Row) {
	s.t.Helper()
	rows, err := ask(s, s.root(), s.GetNodesQemuCloudinit, kv{"vmid", id})
	require.NoError(s.t, err)
	for _, r := range rows {
		if r.Key == key {
			row = r
		}
	}
	return row
}

func TestCloudInitMediumOfAStoppedVM(t *testing.T) {
	const volid = "local:100/vm-100-cloudinit.qcow2"
	s := newSite(t)
	s.makeVM(100, "name", "web.example.com", "ciuser", "me", "ipconfig0", "ip=dhcp", "net0", "virtio,bridge=vmbr0")
	require.NoError(t, s.setVM(100, "ide2", "local:cloudinit"))
	require.Contains(t, s.content(volid), "hostname: web\n", "a drive that is set gets its medium")

	require.NoError(t, s.setVM(100, "ciuser", "you", "sshkeys", ""))
	require.Equal(t, vmconfig.Row{Key: "ciuser", Value: "me", Pending: "you"}, s.cloudInitRow(100, "ciuser"))
	require.NotContains(t, s.content(volid), "user: you\n")
	_, err := ask(s, s.root(), s.PutNodesQemuCloudinit, kv{"vmid", 100})
	require.NoError(t, err)
	require.Contains(t, s.content(volid), "user: you\n")
	require.Equal(t, vmconfig.Row{Key: "ciuser", Value: "you"}, s.cloudInitRow(100, "ciuser"))
	run, err := filepath.Glob(filepath.Join(s.runFolder(), "*"))
	require.NoError(t, err)
	require.Empty(t, run, "no copy of the medium lies around")

	text, err := ask(s, s.root(), s.GetNodesQemuCloudinitDump, kv{"vmid", 100, "type", "user"})
	require.NoError(t, err)
	require.Contains(t, text, "fqdn: web.example.com\n")

	require.NoError(t, s.setVM(100, "delete", "ide2"))
	require.Empty(t, s.files(), "its volume is freed with the drive")
	require.Empty(t, s.conf(100).Special)
	_, err = ask(s, s.root(), s.PutNodesQemuCloudinit, kv{"vmid", 100})
	require.NoError(t, err, "nothing to do")
}

func TestCloudInitSnippets(t *testing.T) {
	s := newSite(t)
	s.makeVM(100, "ide2", "local:cloudinit")
	snippets := filepath.Join(s.dir, "local", "snippets")
	require.NoError(t, os.MkdirAll(snippets, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(snippets, "user.yaml"), []byte("#cloud-config\nmine: yes\n"), 0o600))
	require.NoError(t, s.setVM(100, "cicustom", "user=local:snippets/user.yaml"))
	_, err := ask(s, s.root(), s.PutNodesQemuCloudinit, kv{"vmid", 100})
	require.NoError(t, err)
	require.Contains(t, s.content("local:100/vm-100-cloudinit.qcow2"), "mine: yes\n")
	require.NoError(t, s.setVM(100, "cicustom", "user=local:iso/x.iso"))
	_, err = ask(s, s.root(), s.PutNodesQemuCloudinit, kv{"vmid", 100})
	require.EqualError(t, err, "local:iso/x.iso is not in the snippets directory")
}
