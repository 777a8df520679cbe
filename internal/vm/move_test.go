package vm

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/storage"
)

func (s *site) moveDisk(id int, p ...any) (string, error) {
	s.t.Helper()
	return ask(s, s.root(), s.PostNodesQemuMoveDisk, append(kv{"vmid", id}, p...))
}

func TestMoveOfAStoppedVMsDisk(t *testing.T) {
	s := newSite(t)
	s.makeVM(100, "scsi0", "local:0,import-from="+s.bootImage(), "scsi1", "local:0.01,format=qcow2", "ide2", "local:cloudinit", "ide3", "none,media=cdrom", "tpmstate0", "local:1")

	log := s.ok(s.moveDisk(100, "disk", "scsi0", "storage", "other", "format", "qcow2"))
	require.Contains(t, strings.Join(log, "\n"), "adding source volume 'local:100/vm-100-disk-0.raw' as 'unused0' to config")
	c := s.conf(100)
	require.Equal(t, "other:100/vm-100-disk-0.qcow2,size=1M", c.Main["scsi0"])
	require.Equal(t, "local:100/vm-100-disk-0.raw", c.Main["unused0"])

	digest := c.Digest
	log = s.ok(s.moveDisk(100, "disk", "scsi0", "storage", "local", "format", "raw", "delete", 1, "digest", digest))
	require.Contains(t, strings.Join(log, "\n"), "removing source volume 'other:100/vm-100-disk-0.qcow2' after successful copy")
	c = s.conf(100)
	moved, _, _ := c.Main.Drive("scsi0")
	got, err := os.ReadFile(s.path(moved.File))
	require.NoError(t, err)
	require.Equal(t, bootSector(), got[:512], "what was moved twice is what it was")
	require.NoFileExists(t, filepath.Join(s.dir, "other/images/100/vm-100-disk-0.qcow2"))

	s.ok(s.moveDisk(100, "disk", "unused0", "storage", "other", "delete", 1))
	require.Equal(t, "other:100/vm-100-disk-0.raw", s.conf(100).Main["unused0"])
	s.ok(s.moveDisk(100, "disk", "ide2", "storage", "other", "delete", 1))
	require.Equal(t, "other:100/vm-100-cloudinit.qcow2,media=cdrom", s.conf(100).Main["ide2"])
	s.ok(s.moveDisk(100, "disk", "tpmstate0", "storage", "other", "delete", 1))
	require.Contains(t, s.conf(100).Main["tpmstate0"], "other:100/")

	for name, c := range map[string]struct {
		p    kv
		text string
	}{
		"same":      {kv{"disk", "scsi1", "storage", "local"}, "you can't move to the same storage with same format"},
		"too":       {kv{"disk", "scsi1", "storage", "local", "format", "qcow2"}, "you can't move to the same storage with same format"},
		"no disk":   {kv{"disk", "scsi7", "storage", "other"}, "disk 'scsi7' does not exist"},
		"cdrom":     {kv{"disk", "ide3", "storage", "other"}, "disk 'ide3' has no associated volume"},
		"digest":    {kv{"disk", "scsi1", "storage", "other", "digest", digest}, "detected modified configuration - file changed by other user? Try again."},
		"no images": {kv{"disk", "scsi1", "storage", "isos"}, ""},
		"unknown":   {kv{"disk", "scsi1", "storage", "nowhere"}, "storage 'nowhere' does not exist"},
	} {
		_, err := s.moveDisk(100, c.p...)
		require.Error(t, err, name)
		if c.text != "" {
			require.EqualError(t, err, c.text, name)
		}
	}
	_, err = s.moveDisk(100, "disk", "scsi1")
	require.Equal(t, call.ParamErrors{
		"storage":     "both 'storage' and 'target-vmid' missing, either needs to be set",
		"target-vmid": "both 'storage' and 'target-vmid' missing, either needs to be set",
	}, err)
	_, err = s.moveDisk(100, "disk", "scsi1", "storage", "other", "target-vmid", 101)
	require.ErrorContains(t, err, "either set 'storage' or 'target-vmid', but not both")
}

func TestMoveOfARunningVMsDisk(t *testing.T) {
	s, l := newBlockSite(t)
	s.makeVM(100, "memory", 32, "scsihw", "virtio-scsi-single", "scsi0", "local:0,import-from="+s.bootImage(),
		"scsi1", "local:0.0625,mbps=50", "boot", "order=scsi0", "tpmstate0", "local:1")
	require.NoError(t, s.setVM(100, "delete", "tpmstate0", "force", 1)) // the TPM's program may not be there
	s.startVM(100)
	for _, step := range []struct{ storage, format, disk, want string }{
		{"other", "qcow2", "scsi0", "other:100/vm-100-disk-0.qcow2,size=1M"},
		{"other", "raw", "scsi1", "other:100/vm-100-disk-1.raw,mbps=50,size=64M"},
	} {
		log := s.ok(s.moveDisk(100, "disk", step.disk, "storage", step.storage, "format", step.format, "delete", 1))
		require.Contains(t, strings.Join(log, "\n"), "mirror-"+step.disk+": Completed successfully.")
		require.Equal(t, step.want, s.conf(100).Main[step.disk])
		require.False(t, s.conf(100).Main.Has("unused0"))
		require.Len(t, s.heldBy(100).Volumes, 2)
	}
	blocks := s.query(100, "query-named-block-nodes", map[string]any{"flat": true})
	require.NotContains(t, blocks, filepath.Join(s.dir, "local"), "the old images are closed")
	require.Equal(t, s.heldBy(100).UID, s.owner("other:100/vm-100-disk-1.raw"))
	require.Len(t, s.files(), 2)

	s.ok(s.moveDisk(100, "disk", "scsi1", "storage", "thin"))
	require.NotEmpty(t, l.device("vm-100-disk-0"))
	require.Contains(t, s.conf(100).Main["unused0"], "other:100/vm-100-disk-1.raw")
	require.Equal(t, os.Geteuid(), s.owner("other:100/vm-100-disk-1.raw"), "the guest's user has lost the old volume")
	s.restart() // of the daemon: what the guest has is known still
	s.ok(s.moveDisk(100, "disk", "scsi1", "storage", "local", "format", "qcow2", "delete", 1))
	require.NoFileExists(t, l.file("vm-100-disk-0"))
	require.NoError(t, s.setVM(100, "delete", "unused0"))
	require.NoError(t, s.setVM(100, "delete", "scsi1"), "what was moved is unplugged as what was not")
	require.NoError(t, s.setVM(100, "delete", "unused0"))
	s.boots(100)
	s.stopVM(100)
	s.startVM(100)
	s.boots(100)
}

func TestMoveOfADiskWithAnIOThread(t *testing.T) {
	s := newGuestSite(t)
	s.makeVM(100, "memory", 32, "scsihw", "virtio-scsi-single", "scsi0", "local:0.0625,iothread=1")
	s.startVM(100)
	up, err := s.moveDisk(100, "disk", "scsi0", "storage", "other", "delete", 1)
	if s.guest(100).proc.QMP().Greeting().Version.Major < 9 {
		require.Contains(t, s.fails(up, err), "needs QEMU 9.0 or newer")
		require.Len(t, s.files(), 1)
		require.Contains(t, s.conf(100).Main["scsi0"], "local:")
		return
	}
	s.ok(up, err)
	require.Contains(t, s.conf(100).Main["scsi0"], "other:")
}

func TestAFailedMoveOfARunningVMsDiskLeavesNothing(t *testing.T) {
	s := newGuestSite(t)
	s.makeVM(100, "memory", 32, "scsihw", "virtio-scsi-pci", "scsi0", "local:0.0625")
	require.NoError(t, os.WriteFile(s.path("local:100/vm-100-disk-0.raw"), bytes.Repeat([]byte{1}, 64<<20), 0o600)) // something to copy
	s.startVM(100)
	before := s.conf(100).Digest
	up, err := s.moveDisk(100, "disk", "scsi0", "storage", "other", "format", "qcow2", "bwlimit", 1)
	require.NoError(t, err)
	s.eventually("the mirror runs", func() bool { return strings.Contains(s.query(100, "query-jobs", nil), "mirror-scsi0") })
	s.cancel(up)
	s.fails(up, nil)
	require.Equal(t, before, s.conf(100).Digest)
	require.Len(t, s.files(), 1)
	require.Equal(t, "[]", s.query(100, "query-jobs", nil))
	require.NotContains(t, s.query(100, "query-named-block-nodes", map[string]any{"flat": true}), filepath.Join(s.dir, "other"))
	require.Len(t, s.heldBy(100).Volumes, 1)
}

func TestReassign(t *testing.T) {
	s := newSite(t)
	s.makeVM(100, "scsi0", "local:0.01", "scsi1", "local:0.01,discard=on", "scsi2", "local:0.01", "ide2", "none,media=cdrom", "boot", "order=scsi0;scsi1")
	s.makeVM(101, "scsi0", "local:0.01")
	up, err := s.moveDisk(100, "disk", "scsi1", "target-vmid", 101, "target-disk", "virtio3")
	require.NoError(t, err)
	require.Contains(t, up, ":qmmove:100-scsi1>101-virtio3:")
	s.ok(up, nil)
	require.Contains(t, s.conf(101).Main["virtio3"], "local:101/vm-101-disk-1.raw,discard=on")
	c := s.conf(100)
	require.False(t, c.Main.Has("scsi1"))
	require.Equal(t, "order=scsi0", c.Main["boot"])

	require.NoError(t, s.setVM(100, "delete", "scsi2"))
	s.ok(s.moveDisk(100, "disk", "unused0", "target-vmid", 101, "target-disk", "unused5"))
	require.Equal(t, "local:101/vm-101-disk-2.raw", s.conf(101).Main["unused5"])
	require.False(t, s.conf(100).Main.Has("unused0"))

	s.users("user:moe@pve:1:0::::::\nrole:Disks:VM.Config.Disk,VM.Audit,Datastore.Audit:\nacl:1:/vms/100:moe@pve:Disks:\n")
	_, err = ask(s, s.as("moe@pve"), s.PostNodesQemuMoveDisk, kv{"vmid", 100, "disk", "scsi0", "target-vmid", 101, "target-disk", "scsi9"})
	require.ErrorContains(t, err, "/vms/101, VM.Config.Disk", "the target belongs to somebody else")

	for name, c := range map[string]struct {
		p    kv
		text string
	}{
		"itself":   {kv{"disk", "scsi0", "target-vmid", 100}, "must be different than source VMID to reassign disk"},
		"no VM":    {kv{"disk", "scsi0", "target-vmid", 999}, "could not find target VM 999"},
		"taken":    {kv{"disk", "scsi0", "target-vmid", 101}, "Target disk key 'scsi0' is already in use for VM '101'"},
		"no disk":  {kv{"disk", "scsi5", "target-vmid", 101}, "Disk 'scsi5' for VM '100' does not exist"},
		"a cdrom":  {kv{"disk", "ide2", "target-vmid", 101}, "CD drive contents can't be moved to another VM"},
		"modified": {kv{"disk", "scsi0", "target-vmid", 101, "target-disk", "scsi4", "target-digest", strings.Repeat("0", 40)}, "VM 101: detected modified configuration"},
	} {
		_, err := s.moveDisk(100, c.p...)
		require.ErrorContains(t, err, c.text, name)
	}
}

func TestKilledWhileMoving(t *testing.T) {
	t.Parallel()
	s := newKillSite(t)
	s.makeVM(100, "scsi0", "local:0.01")
	prepare := func() {
		if d, _, _ := s.conf(100).Main.Drive("scsi0"); strings.HasPrefix(d.File, "other:") {
			s.ok(s.moveDisk(100, "disk", "scsi0", "storage", "local", "delete", 1))
		}
	}
	killEverywhere(t, s, "move", prepare, func(where, outcome string) {
		require.Len(t, s.files(), 1, where)
		require.Contains(t, []string{"OK", interrupted}, outcome, where)
		c := s.conf(100)
		require.False(t, c.Main.Has("unused0"), where)
		if outcome == "OK" {
			require.Contains(t, c.Main["scsi0"], "other:", where)
		}
	})
}

func TestKilledWhileReassigning(t *testing.T) {
	t.Parallel()
	s := newKillSite(t)
	s.makeVM(100, "scsi0", "local:0.01", "boot", "order=scsi0")
	s.makeVM(101)
	prepare := func() {
		if s.conf(101).Main.Has("virtio1") {
			s.ok(s.moveDisk(101, "disk", "virtio1", "target-vmid", 100, "target-disk", "scsi0"))
			require.NoError(t, s.setVM(100, "boot", "order=scsi0"))
		}
	}
	killEverywhere(t, s, "reassign", prepare, func(where, outcome string) {
		require.Len(t, s.files(), 1, where)
		source, target := s.conf(100).Main, s.conf(101).Main
		require.NotEqual(t, source.Has("scsi0"), target.Has("virtio1"), "%s: the volume is exactly one VM's", where)
		require.Equal(t, source.Has("scsi0"), source["boot"] == "order=scsi0", where)
	})
}

func TestKilledWhileMovingARunningVMsDisk(t *testing.T) {
	s, _ := killSite(t)
	s.makeVM(100, "memory", 16, "scsihw", "virtio-scsi-pci", "scsi0", "local:0.0625")
	s.startVM(100)
	prepare := func() {
		if d, _, _ := s.conf(100).Main.Drive("scsi0"); strings.HasPrefix(d.File, "other:") {
			s.ok(s.moveDisk(100, "disk", "scsi0", "storage", "local", "delete", 1))
		}
		if unused := s.conf(100).Main["unused0"]; unused != "" {
			require.NoError(t, s.setVM(100, "delete", "unused0"))
		}
	}
	ends := map[string]int{}
	killEverywhere(t, s, "move of a running VM's disk", prepare, func(where, outcome string) {
		d, _, err := s.conf(100).Main.Drive("scsi0")
		require.NoError(t, err)
		id, _, _ := d.Volume()
		ends[id]++
		nodes := s.query(100, "query-named-block-nodes", map[string]any{"flat": true})
		require.Contains(t, nodes, s.path(d.File), "%s: the guest has what its configuration says", where)
		other := map[string]string{"local": "other", "other": "local"}[id]
		require.NotContains(t, nodes, filepath.Join(s.dir, other, "images"), where)
		require.Equal(t, "[]", s.query(100, "query-jobs", nil), where)
		require.Equal(t, []string{d.File}, s.heldBy(100).Volumes, where)
	})
	require.Len(t, ends, 2, "%v", ends)
}

func TestFeatureOnStorages(t *testing.T) {
	s := newSite(t)
	s.put("/pve/storage.cfg", storageCfg(s.dir)+"\nlvmthin: thin\n\tvgname loops\n\tthinpool pool\n\tcontent images\n\n")
	s.makeVM(100, "scsi0", "local:0.01")
	s.makeVM(101, "scsi0", "local:0.01,format=qcow2", "ide2", "none,media=cdrom")
	s.makeVM(102, "scsi0", "thin:0.01")
	has := func(id int, name string) bool {
		got, err := ask(s, s.root(), s.GetNodesQemuFeature, kv{"vmid", id, "feature", name})
		require.NoError(t, err)
		return got.(feature).HasFeature == 1
	}
	for id, want := range map[int][3]bool{100: {false, false, true}, 101: {true, false, true}, 102: {false, false, true}} {
		require.Equal(t, want, [3]bool{has(id, "snapshot"), has(id, "clone"), has(id, "copy")}, id)
	}
	_, err := ask(s, s.root(), s.GetNodesQemuFeature, kv{"vmid", 101, "feature", "copy", "snapname", "none"})
	require.EqualError(t, err, "snapshot 'none' does not exist")
	_, err = s.volumes.Stat(s.root(), "thin:vm-102-disk-7")
	require.ErrorIs(t, err, storage.ErrNotFound)
}
