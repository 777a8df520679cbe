package vm

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

func TestNewSize(t *testing.T) {
	const now = 10 << 20
	for text, want := range map[string]int64{
		"10M": now, "11M": 11 << 20, "+1M": 11 << 20, "+0": now, "1G": 1 << 30, "0.5G": 512 << 20, "+1.5K": now + 1536,
		"2147483648": 2147483648, "1T": 1 << 40, "+1.0001K": now + 1024,
	} {
		got, err := newSize(text, now)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"9M", "1", "0", "5K"} {
		_, err := newSize(text, now)
		require.EqualError(t, err, "shrinking disks is not supported", text)
	}
	for _, text := range []string{"", "x", "1X", "99999999999999999999T", "+", "1e400"} {
		_, err := newSize(text, now)
		require.Error(t, err, text)
	}
}

func FuzzNewSize(f *testing.F) {
	f.Add("+1.5G", int64(1<<20))
	f.Fuzz(func(t *testing.T, text string, now int64) {
		if now < 0 || now > 1<<60 {
			return
		}
		if got, err := newSize(text, now); err == nil && got < now {
			t.Fatalf("%q of %d is %d", text, now, got)
		}
	})
}

func TestResizeOfAStoppedVM(t *testing.T) {
	s := newSite(t)
	s.makeVM(100, "scsi0", "local:0.0625", "virtio0", "local:0.0625,format=qcow2,cache=none", "ide2", "local:cloudinit", "ide0", "none,media=cdrom")
	resize := func(p ...any) (string, error) {
		return ask(s, s.root(), s.PutNodesQemuResize, append(kv{"vmid", 100}, p...))
	}
	s.ok(resize("disk", "scsi0", "size", "+64M"))
	require.Equal(t, "local:100/vm-100-disk-0.raw,size=128M", s.conf(100).Main["scsi0"])
	fi, err := os.Stat(s.path("local:100/vm-100-disk-0.raw"))
	require.NoError(t, err)
	require.EqualValues(t, 128<<20, fi.Size())
	digest := s.conf(100).Digest
	s.ok(resize("disk", "scsi0", "size", "128M"))
	require.Equal(t, digest, s.conf(100).Digest, "nothing to do")
	s.ok(resize("disk", "virtio0", "size", "134217729"))
	require.Regexp(t, `^local:100/vm-100-disk-1.qcow2,cache=none,size=`, s.conf(100).Main["virtio0"])

	for text, p := range map[string]kv{
		"shrinking disks is not supported":               {"disk", "scsi0", "size", "1M"},
		"disk 'scsi7' does not exist":                    {"disk", "scsi7", "size", "1M"},
		"you can't resize a cdrom":                       {"disk", "ide2", "size", "1G"},
		"disk 'ide0' has no associated volume":           {"disk", "ide0", "size", "1G"},
		"checksum mismatch (file change by other user?)": {"disk", "scsi0", "size", "1G", "digest", strings.Repeat("1", 40)},
	} {
		require.Equal(t, text, s.fails(resize(p...)))
	}
	_, err = resize("disk", "scsi0", "size", "-1G")
	require.ErrorAs(t, err, new(call.ParamErrors))
}

func TestDestroyFreesWhatTheVMOwns(t *testing.T) {
	s := newSite(t)
	s.users("pool:p1::::\nuser:alice@pve:1:0::::::\n")
	s.makeVM(100, "scsi0", "local:0.01", "scsi1", "other:0.01", "ide2", "local:cloudinit", "pool", "p1")
	s.makeVM(101, "scsi0", "local:0.01")
	require.NoError(t, s.setVM(100, "delete", "scsi1", "scsi2", "local:101/vm-101-disk-0.raw"))
	s.users("acl:1:/vms/100:alice@pve:PVEVMAdmin:\n")
	require.NoError(t, s.volumes.Create(s.root(), "local:100/vm-100-disk-5.raw", 1<<20)) // named nowhere
	log := s.dropVM(100, "purge", 1)
	require.Contains(t, log, "purging VM 100 from related configurations..")
	require.Equal(t, []string{"local/images/100/vm-100-disk-5.raw", "local/images/101/vm-101-disk-0.raw"}, s.files())
	s.eventually("the access rights are gone", func() bool {
		return s.access.Check(s.as("alice@pve"), "/vms/100", "VM.Audit") != nil
	})
	s.makeVM(100, "scsi0", "local:0.01")
	require.Contains(t, s.conf(100).Main["scsi0"], "vm-100-disk-0.raw")
	s.dropVM(100, "destroy-unreferenced-disks", 1)
	require.Equal(t, []string{"local/images/101/vm-101-disk-0.raw"}, s.files())
	_, err := ask(s, s.root(), s.DeleteNodesQemuVmid, kv{"vmid", 100})
	require.EqualError(t, err, "Configuration file 'nodes/alpha/qemu-server/100.conf' does not exist")
}

func TestTemplateOfOneDisk(t *testing.T) {
	s := newSite(t)
	s.makeVM(100, "scsi0", "local:0.01", "scsi1", "local:0.01")
	s.ok(ask(s, s.root(), s.PostNodesQemuTemplate, kv{"vmid", 100, "disk", "scsi1"}))
	require.Contains(t, s.conf(100).Main["scsi0"], "vm-100-disk-0")
	require.Contains(t, s.conf(100).Main["scsi1"], "base-100-disk-1")
	s.ok(ask(s, s.root(), s.PostNodesQemuTemplate, kv{"vmid", 100, "disk", "scsi0"}))
	require.Contains(t, s.conf(100).Main["scsi0"], "base-100-disk-0")
}

func TestFeature(t *testing.T) {
	s := newSite(t)
	s.makeVM(100, "scsi0", "local:0.01", "ide2", "none,media=cdrom")
	has := func(id int, what string) int {
		f, err := ask(s, s.root(), s.GetNodesQemuFeature, kv{"vmid", id, "feature", what})
		require.NoError(t, err)
		return f.(feature).HasFeature
	}
	require.Equal(t, []int{0, 0, 1}, []int{has(100, "snapshot"), has(100, "clone"), has(100, "copy")})
	s.makeVM(101, "scsi0", "local:0.01,format=qcow2")
	require.Equal(t, 1, has(101, "snapshot"))
	s.ok(ask(s, s.root(), s.PostNodesQemuTemplate, kv{"vmid", 101}))
	require.Equal(t, 1, has(101, "clone"))
}
