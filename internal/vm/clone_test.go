package vm

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func (s *site) cloneVM(id, newID int, p ...any) []string {
	s.t.Helper()
	return s.ok(ask(s, s.root(), s.PostNodesQemuClone, append(kv{"vmid", id, "newid", newID}, p...)))
}

func TestFullCloneOfAStoppedVM(t *testing.T) {
	s := newSite(t)
	s.users("pool:p1::::\n")
	s.makeVM(100, "name", "one", "memory", 64, "onboot", 1, "description", "the first", "tags", "x",
		"scsi0", "local:0,import-from="+s.bootImage(), "scsi1", "local:0.01,format=qcow2,backup=0", "ide2", "local:cloudinit",
		"net0", "virtio,bridge=vmbr0,firewall=1")
	require.NoError(t, s.setVM(100, "delete", "scsi1"))
	require.NoError(t, s.setVM(100, "scsi1", "local:0.02,format=qcow2,backup=0", "protection", 1))
	source := s.conf(100)
	log := s.cloneVM(100, 101, "name", "two", "pool", "p1", "description", "the second")
	require.Contains(t, log, "creating a clone of VM 100 with ID 101")
	require.Contains(t, log, "create full clone of drive scsi0 (local:100/vm-100-disk-0.raw)")
	require.Equal(t, source.Digest, s.conf(100).Digest, "the source never changes")
	main := s.conf(101).Main
	require.Equal(t, "two", main["name"])
	require.Equal(t, "the second", main["description"])
	require.Equal(t, "1", main["protection"])
	require.Equal(t, "x", main["tags"])
	require.Equal(t, source.Main["meta"], main["meta"])
	require.Equal(t, "local:101/vm-101-cloudinit.qcow2,media=cdrom,size=4M", main["ide2"])
	require.Equal(t, "local:101/vm-101-disk-0.raw,size=1M", main["scsi0"])
	require.Equal(t, "local:101/vm-101-disk-1.qcow2,backup=0,size=20972K", main["scsi1"])
	require.False(t, main.Has("unused0") || main.Has("lock"))
	require.NotEqual(t, source.Main["smbios1"], main["smbios1"])
	require.NotEqual(t, source.Main["vmgenid"], main["vmgenid"])
	require.NotEqual(t, source.Main["net0"], main["net0"])
	require.True(t, strings.HasSuffix(main["net0"], ",bridge=vmbr0,firewall=1"))
	data, err := os.ReadFile(s.path("local:101/vm-101-disk-0.raw"))
	require.NoError(t, err)
	require.Equal(t, bootSector(), data[:512])
	s.eventually("it is in the pool", func() bool {
		cfg, err := s.access.UserConfig(s.root())
		return err == nil && cfg.Pools["p1"].VMs.Has("101")
	})

	s.cloneVM(100, 102, "storage", "other", "format", "qcow2")
	main = s.conf(102).Main
	require.Equal(t, "Copy-of-VM-one", main["name"])
	require.Equal(t, "other:102/vm-102-disk-0.qcow2,size=1M", main["scsi0"])
	require.Contains(t, main["ide2"], "other:102/vm-102-cloudinit.qcow2")
	require.Equal(t, "the first", main["description"])
}

func TestLinkedCloneOfATemplate(t *testing.T) {
	s := newSite(t)
	s.makeVM(100, "name", "tmpl", "scsi0", "local:0,import-from="+s.bootImage(), "scsi1", "local:0.01,format=qcow2",
		"ide2", "local:cloudinit")
	s.ok(ask(s, s.root(), s.PostNodesQemuTemplate, kv{"vmid", 100}))
	main := s.conf(100).Main
	require.Equal(t, "1", main["template"])
	require.Equal(t, "local:100/base-100-disk-0.raw,size=1M", main["scsi0"])
	require.Contains(t, main["scsi1"], "local:100/base-100-disk-1.qcow2")
	require.Equal(t, "local:100/vm-100-cloudinit.qcow2,media=cdrom", main["ide2"])
	_, err := ask(s, s.root(), s.PostNodesQemuTemplate, kv{"vmid", 100})
	require.EqualError(t, err, "you can't convert a template to a template")
	require.Contains(t, s.fails(ask(s, s.root(), s.PostNodesQemuStatusStart, kv{"vmid", 100})), "you can't start a vm if it's a template")

	log := s.cloneVM(100, 101)
	require.Contains(t, log, "create linked clone of drive scsi0 (local:100/base-100-disk-0.raw)")
	main = s.conf(101).Main
	require.Equal(t, "local:100/base-100-disk-0.raw/101/vm-101-disk-0.qcow2,size=1M", main["scsi0"])
	require.Contains(t, main["scsi1"], "local:100/base-100-disk-1.qcow2/101/vm-101-disk-1.qcow2")
	require.Contains(t, main["ide2"], "local:101/vm-101-cloudinit.qcow2")
	require.False(t, main.Has("template"))

	require.Equal(t, "base volume 'local:100/base-100-disk-0.raw' is still in use by linked cloned",
		s.fails(ask(s, s.root(), s.DeleteNodesQemuVmid, kv{"vmid", 100})))
	require.False(t, s.conf(100).Main.Has("lock"), "nothing was begun")
	s.cloneVM(100, 102, "full", 1)
	require.Equal(t, "local:102/vm-102-disk-0.raw,size=1M", s.conf(102).Main["scsi0"])
	s.dropVM(101)
	s.dropVM(100)
	require.Equal(t, []int{102}, s.vmids())
}

func TestCloneChecks(t *testing.T) {
	s := newSite(t)
	s.makeVM(100, "scsi0", "local:0.01")
	for name, c := range map[string]struct {
		p    kv
		text string
	}{
		"linked":     {kv{"full", 0}, "Linked clone feature is not supported for 'local:100/vm-100-disk-0.raw' (scsi0)"},
		"storage":    {kv{"full", 0, "storage", "other"}, "parameter 'storage' not allowed for linked clones"},
		"format":     {kv{"full", 0, "format", "raw"}, "parameter 'format' not allowed for linked clones"},
		"snapshot":   {kv{"snapname", "before"}, "snapshot 'before' does not exist"},
		"taken":      {kv{"newid", 100}, "unable to create VM 100: config file already exists"},
		"pool":       {kv{"pool", "none"}, "pool 'none' does not exist"},
		"unknown":    {kv{"storage", "none"}, "storage 'none' does not exist"},
		"no images":  {kv{"storage", "isos"}, "parameter verification failed: storage: storage 'isos' does not support vm images"},
		"node":       {kv{"target", "beta"}, "no such cluster node 'beta'"},
		"missing VM": {kv{"vmid", 500}, "unable to find configuration file for VM 500 on node 'alpha'"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ask(s, s.root(), s.PostNodesQemuClone, append(kv{"vmid", 100, "newid", 101}, c.p...))
			require.EqualError(t, err, c.text)
			require.Equal(t, []int{100}, s.vmids())
		})
	}
	require.NoError(t, os.Remove(s.path("local:100/vm-100-disk-0.raw")))
	_, err := ask(s, s.root(), s.PostNodesQemuClone, kv{"vmid", 100, "newid", 101})
	require.EqualError(t, err, "volume 'local:100/vm-100-disk-0.raw' does not exist")
}

func TestAFailedCloneLeavesNothing(t *testing.T) {
	s := newSite(t)
	s.makeVM(100, "scsi0", "local:0.01", "scsi1", "local:0.01")
	s.users("pool:p1::::\n")
	gate := s.block(100) // its queue is busy until the source has lost a disk
	up, err := ask(s, s.root(), s.PostNodesQemuClone, kv{"vmid", 100, "newid", 101, "pool", "p1"})
	require.NoError(t, err)
	require.Equal(t, "clone", s.conf(101).Main["lock"])
	require.NoError(t, os.Remove(s.path("local:100/vm-100-disk-1.raw")))
	close(gate)
	require.Equal(t, "clone failed: volume 'local:100/vm-100-disk-1.raw' does not exist", s.fails(up, nil))
	require.Equal(t, []int{100}, s.vmids())
	require.Equal(t, []string{"local/images/100/vm-100-disk-0.raw"}, s.files())
}
