package vm

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

func TestUpdateOfAStoppedVMTakesEffectAtOnce(t *testing.T) {
	s := newSite(t)
	s.makeVM(100, "memory", 64, "scsi0", "local:0.01", "ide2", "none,media=cdrom")
	require.NoError(t, s.setVM(100, "memory", 128, "cores", 2, "scsi1", "other:0.02,discard=on", "delete", "ide2"))
	main := s.conf(100).Main
	require.Equal(t, "128", main["memory"])
	require.Equal(t, "2", main["cores"])
	require.Contains(t, main["scsi1"], "other:100/vm-100-disk-0.raw,discard=on,size=")
	require.False(t, main.Has("ide2"))
	require.Equal(t, "order=scsi0", main["boot"], "a deleted device leaves the boot order")
	require.Empty(t, s.conf(100).Pending)

	cfg, err := ask(s, s.root(), s.GetNodesQemuConfig, kv{"vmid", 100})
	require.NoError(t, err)
	require.Equal(t, s.conf(100).Digest, cfg["digest"])
	rows, err := ask(s, s.root(), s.GetNodesQemuPending, kv{"vmid", 100})
	require.NoError(t, err)
	require.Contains(t, rows, vmconfig.Row{Key: "digest", Value: s.conf(100).Digest})
}

func TestUpdateChecksItsParameters(t *testing.T) {
	s := newSite(t)
	s.makeVM(100, "memory", 64, "scsi0", "local:0.01", "balloon", 32)
	digest := s.conf(100).Digest
	for name, c := range map[string]struct {
		p    kv
		text string
		errs call.ParamErrors
	}{
		"nothing":                                {text: "no options specified"},
		"set and delete":                         {p: kv{"memory", 64, "delete", "memory"}, errs: call.ParamErrors{"delete": "you can't use '-memory' and -delete memory' at the same time"}},
		"unknown":                                {p: kv{"delete", "nonsense"}, errs: call.ParamErrors{"delete": "unknown option 'nonsense'"}},
		"balloon":                                {p: kv{"balloon", 65}, text: "balloon value too large (must be smaller than assigned memory)"},
		"less memory":                            {p: kv{"memory", 16}, text: "balloon value too large (must be smaller than assigned memory)"},
		"boot order":                             {p: kv{"boot", "order=scsi5"}, text: "invalid bootorder: device 'scsi5' does not exist'"},
		"digest":                                 {p: kv{"memory", 65, "digest", strings.Repeat("0", 40)}, text: "checksum mismatch (file change by other user?)"},
		"hotplug":                                {p: kv{"hotplug", "disk,sun"}, errs: call.ParamErrors{"hotplug": "invalid format - invalid hotplug feature 'sun'\n"}},
		"second cloudinit":                       {p: kv{"ide0", "local:cloudinit", "ide2", "local:cloudinit"}, text: "ide2 - cloud-init drive is already attached at 'ide0'"},
		"hook script":                            {p: kv{"hookscript", "local:snippets/x.sh"}, errs: call.ParamErrors{"hookscript": "script 'local:snippets/x.sh' does not exist"}},
		"a disk of no storage, after a good one": {p: kv{"scsi1", "local:0.01", "scsi2", "local:100/vm-100-disk-9.raw"}, text: "volume local:100/vm-100-disk-9.raw does not exist"},
	} {
		t.Run(name, func(t *testing.T) {
			err := s.setVM(100, c.p...)
			if c.errs != nil {
				require.Equal(t, c.errs, err)
			} else {
				require.EqualError(t, err, c.text)
			}
			require.Equal(t, digest, s.conf(100).Digest, "refused as a whole")
			require.Len(t, s.files(), 1)
		})
	}
	require.EqualError(t, s.setVM(999, "memory", 16), "Configuration file 'nodes/alpha/qemu-server/999.conf' does not exist")
	require.NoError(t, s.setVM(100, "memory", 80, "digest", digest))
}

func TestUnusedVolumes(t *testing.T) {
	s := newSite(t)
	s.makeVM(100, "scsi0", "local:0.01", "scsi1", "local:0.01,backup=0")
	require.NoError(t, s.setVM(100, "delete", "scsi0,scsi1"))
	main := s.conf(100).Main
	require.Equal(t, "local:100/vm-100-disk-0.raw", main["unused0"])
	require.Equal(t, "local:100/vm-100-disk-1.raw", main["unused1"])
	require.NoError(t, s.setVM(100, "virtio3", "local:100/vm-100-disk-0.raw"))
	main = s.conf(100).Main
	require.False(t, main.Has("unused0"), "a drive uses it")
	require.Equal(t, "local:100/vm-100-disk-0.raw,size=10486K", main["virtio3"])
	require.NoError(t, s.setVM(100, "virtio3", "local:100/vm-100-disk-0.raw,cache=unsafe"))
	require.Equal(t, "local:100/vm-100-disk-0.raw,cache=unsafe,size=10486K", s.conf(100).Main["virtio3"], "the size stays")
	require.NoError(t, s.setVM(100, "virtio3", "other:0.01"))
	require.Equal(t, "local:100/vm-100-disk-0.raw", s.conf(100).Main["unused0"], "the replaced volume is kept")
	require.NoError(t, s.setVM(100, "delete", "unused0"))
	require.NoFileExists(t, s.path("local:100/vm-100-disk-0.raw"))
	_, err := ask(s, s.root(), s.PutNodesQemuUnlink, kv{"vmid", 100, "idlist", "virtio3", "force", 1})
	require.NoError(t, err)
	require.False(t, s.conf(100).Main.Has("unused0"))
	require.Equal(t, []string{"local/images/100/vm-100-disk-1.raw"}, s.files())
	require.NoError(t, s.setVM(100, "delete", "unused7"), "what is not there is deleted")
}

func TestAVolumeOfASnapshotIsNotFreed(t *testing.T) {
	s := newSite(t)
	s.makeVM(100, "scsi0", "local:0.01")
	v, err := s.Load(s.root(), 100)
	require.NoError(t, err)
	v.Config.Snapshots["before"] = vmconfig.Section{"scsi0": v.Config.Main["scsi0"], "snaptime": "1"}
	parts, err := v.Write()
	require.NoError(t, err)
	_, err = s.store.Txn(s.root(), parts...)
	require.NoError(t, err)
	const text = "unable to delete 'local:100/vm-100-disk-0.raw' - volume is still in use (snapshot?)"
	require.Equal(t, call.ParamErrors{"scsi0": "unable to apply pending change scsi0 : " + text}, s.setVM(100, "delete", "scsi0", "force", 1))
	require.True(t, s.conf(100).Main.Has("scsi0"))
	require.Equal(t, "!scsi0", s.conf(100).Pending["delete"], "it stays pending")
	require.NoError(t, s.setVM(100, "revert", "scsi0"))
	require.Empty(t, s.conf(100).Pending)
	require.NoError(t, s.setVM(100, "delete", "scsi0"))
	require.EqualError(t, s.setVM(100, "delete", "unused0"), text)
	require.Len(t, s.files(), 1)
	require.True(t, s.conf(100).Main.Has("unused0"))
	_, err = ask(s, s.root(), s.GetNodesQemuConfig, kv{"vmid", 100, "snapshot", "no"})
	require.EqualError(t, err, "snapshot 'no' does not exist")
	_, err = ask(s, s.root(), s.GetNodesQemuConfig, kv{"vmid", 100, "snapshot", "before", "current", 1})
	require.ErrorAs(t, err, new(call.ParamErrors))
	view, err := ask(s, s.root(), s.GetNodesQemuConfig, kv{"vmid", 100, "snapshot", "before"})
	require.NoError(t, err)
	require.Equal(t, s.conf(100).Digest, view["digest"])
	s.dropSnapshot(100, "before")
}

// dropSnapshot takes a snapshot section away.
func (s *site) dropSnapshot(id int, name string) {
	s.t.Helper()
	v, err := s.Load(s.root(), id)
	require.NoError(s.t, err)
	delete(v.Config.Snapshots, name)
	_, err = s.store.Txn(s.root(), v.Parts()...)
	require.NoError(s.t, err)
}

func TestProtectionKeepsDisks(t *testing.T) {
	s := newSite(t)
	s.makeVM(100, "scsi0", "local:0.01", "protection", 1)
	require.EqualError(t, s.setVM(100, "delete", "scsi0"), "can't remove drive 'scsi0' - protection mode enabled")
	_, err := ask(s, s.root(), s.DeleteNodesQemuVmid, kv{"vmid", 100})
	require.EqualError(t, err, "can't remove VM 100 - protection mode enabled")
}

func TestLocks(t *testing.T) {
	s := newSite(t)
	s.makeVM(100, "memory", 16, "scsi0", "local:0.01")
	require.NoError(t, s.setVM(100, "lock", "backup"))
	require.EqualError(t, s.setVM(100, "memory", 32), "VM is locked (backup)")
	require.NoError(t, s.setVM(100, "memory", 32, "skiplock", 1))
	for name, call := range map[string]func() (string, error){
		"template": func() (string, error) { return ask(s, s.root(), s.PostNodesQemuTemplate, kv{"vmid", 100}) },
		"clone":    func() (string, error) { return ask(s, s.root(), s.PostNodesQemuClone, kv{"vmid", 100, "newid", 101}) },
	} {
		_, err := call()
		require.EqualError(t, err, "VM is locked (backup)", name)
	}
	require.Equal(t, "VM is locked (backup)", s.fails(ask(s, s.root(), s.PutNodesQemuResize, kv{"vmid", 100, "disk", "scsi0", "size", "+1M"})))
	require.Equal(t, "VM is locked (backup)", s.fails(ask(s, s.root(), s.DeleteNodesQemuVmid, kv{"vmid", 100})))
	_, err := ask(s, s.root(), s.PutNodesQemuCloudinit, kv{"vmid", 100})
	require.EqualError(t, err, "VM is locked (backup)")
	require.NoError(t, s.setVM(100, "delete", "lock", "skiplock", 1))

	require.NoError(t, s.setVM(100, "lock", "suspended"))
	require.EqualError(t, s.setVM(100, "memory", 32), "VM is locked (suspended)")
	v, err := s.Load(s.root(), 100)
	require.NoError(t, err)
	v.Config.Main["vmstate"], v.Config.Main["runningmachine"] = "local:100/vm-100-state-suspend-2026-01-01.raw", "pc-i440fx-9.2"
	_, err = s.store.Txn(s.root(), v.Parts()...)
	require.NoError(t, err)
	require.NoError(t, s.setVM(100, "delete", "vmstate"), "gives the hibernation up")
	main := s.conf(100).Main
	require.False(t, main.Has("lock") || main.Has("vmstate") || main.Has("runningmachine"))
}

func TestPostConfigIsATask(t *testing.T) {
	s := newSite(t)
	s.makeVM(100, "memory", 16)
	up, err := ask(s, s.root(), s.PostNodesQemuConfig, kv{"vmid", 100, "memory", 32, "cipassword", "secret"})
	require.NoError(t, err)
	log := s.ok(up.(string), nil)
	require.Equal(t, "update VM 100: -cipassword <hidden> -memory 32", log[0])
	require.Regexp(t, `^\$5\$`, s.conf(100).Main["cipassword"])
	done, err := ask(s, s.root(), s.PostNodesQemuConfig, kv{"vmid", 100, "memory", 64, "background_delay", 20})
	require.NoError(t, err)
	require.Nil(t, done)
	_, err = ask(s, s.root(), s.PostNodesQemuConfig, kv{"vmid", 100, "boot", "order=net9", "background_delay", 20})
	require.EqualError(t, err, "failed to update VM 100: invalid bootorder: device 'net9' does not exist'")
}

func TestTPMVersionIsFixed(t *testing.T) {
	s := newSite(t)
	s.makeVM(100, "tpmstate0", "local:1,version=v2.0")
	require.Equal(t, "local:100/vm-100-disk-0.raw,size=4M,version=v2.0", s.conf(100).Main["tpmstate0"])
	require.EqualError(t, s.setVM(100, "tpmstate0", "local:100/vm-100-disk-0.raw,version=v1.2"), "cannot change TPM state version after creation")
}

func TestAStorageThatIsGoneTakesItsVolumesOutOfTheConfiguration(t *testing.T) {
	s := newSite(t)
	s.makeVM(100, "scsi0", "local:0.01", "scsi1", "other:0.01")
	full := storageCfg(s.dir)
	s.put("/pve/storage.cfg", strings.Replace(full, "dir: other", "dir: third", 1))
	up, err := ask(s, s.root(), s.PostNodesQemuConfig, kv{"vmid", 100, "delete", "scsi1"})
	require.NoError(t, err)
	exit, log := s.wait(up.(string))
	require.Equal(t, "WARNINGS: 1", exit)
	require.Contains(t, log, "WARN: storage 'other' no longer exists, volume 'other:100/vm-100-disk-0.raw' will be removed from config")
	require.False(t, s.conf(100).Main.Has("unused0"))
	s.put("/pve/storage.cfg", full)
	require.NoError(t, s.setVM(100, "unused0", "other:100/vm-100-disk-0.raw"))
}
