package vmconfig

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStageDelete(t *testing.T) {
	c := New()
	c.Main = Section{
		"name": "n", "tags": "a", "unused3": "st:vm-1-disk-3", "scsi0": "st:vm-1-disk-0,size=1G", "boot": "order=scsi0;net0",
		"vmstate": "st:vm-1-state", "lock": "suspended", "runningmachine": "pc", "runningcpu": "c", "running-nets-host-mtu": "net0=1500",
	}
	c.Pending = Section{"scsi1": "st:vm-1-disk-1,size=1G", "scsi0": "st:vm-1-disk-0,size=2G"}
	stage := func(key string, force bool) Staged {
		s, err := c.StageDelete(key, force)
		require.NoError(t, err)
		return s
	}
	require.Equal(t, Staged{Warning: "cannot delete 'vga' - not set in current configuration!"}, stage("vga", false))
	require.Equal(t, Staged{Orphan: "st:vm-1-disk-1"}, stage("scsi1", false))
	require.Equal(t, Staged{}, stage("scsi0", true), "the pending value has the current volume")
	require.Equal(t, Staged{Free: "st:vm-1-disk-3"}, stage("unused3", false))
	require.Equal(t, Staged{}, stage("tags", false))
	require.Equal(t, Staged{Free: "st:vm-1-state"}, stage("vmstate", false))
	require.Equal(t, Staged{}, stage("name", false))
	c.CleanPending()
	require.Equal(t, Section{"boot": "order=net0", "delete": "name,!scsi0"}, c.Pending)
	require.Equal(t, []string{"boot", "name", "scsi0"}, c.Main.Keys())
}

func TestStageDeleteProtected(t *testing.T) {
	c := New()
	c.Main = Section{"protection": "1", "unused0": "st:vm-1-disk-3", "scsi0": "st:x", "vmstate": "st:s", "name": "n"}
	for key, text := range map[string]string{
		"unused0": "can't remove unused disk 'st:vm-1-disk-3' - protection mode enabled",
		"scsi0":   "can't remove drive 'scsi0' - protection mode enabled",
		"vmstate": "can't remove vmstate 'st:s' - protection mode enabled",
	} {
		_, err := c.StageDelete(key, false)
		require.EqualError(t, err, text)
	}
	_, err := c.StageDelete("name", false)
	require.NoError(t, err)
}

func TestStageSet(t *testing.T) {
	c := New()
	c.Main = Section{"boot": "order=scsi0", "scsi0": "st:a", "bootdisk": "scsi0", "ide0": "none,media=cdrom"}
	c.Pending = Section{"scsi1": "st:b,size=1G"}
	stage := func(key, value string) Staged {
		s, err := c.StageSet(key, value)
		require.NoError(t, err)
		return s
	}
	require.Equal(t, Staged{Orphan: "st:b"}, stage("scsi1", "st:c"))
	require.Equal(t, Staged{}, stage("scsi1", "st:c,ssd=1"))
	stage("cipassword", "$5$a$b")
	require.Equal(t, "$5$a$b", c.Main["cipassword"])
	stage("ide0", "st:iso/x.iso,media=cdrom")
	require.NotContains(t, c.Pending, "boot", "the CD-ROM drive is not new")
	stage("ide2", "none,media=cdrom")
	require.Equal(t, "order=scsi0;ide2", c.Pending["boot"])
	stage("boot", "order=scsi1")
	require.Equal(t, Section{
		"boot": "order=scsi1", "delete": "bootdisk", "ide0": "st:iso/x.iso,media=cdrom", "ide2": "none,media=cdrom", "scsi1": "st:c,ssd=1",
	}, c.Pending)

	c.DeletePending("scsi0", false)
	_, err := c.StageSet("boot", "order=scsi0")
	require.EqualError(t, err, "invalid bootorder: device 'scsi0' does not exist'")
	_, err = c.StageSet("machine", "pc,viommu=intel")
	require.Error(t, err)
	_, err = c.StageSet("scsi5", "oops")
	require.Error(t, err)
}

func TestReplacedVolume(t *testing.T) {
	for want, changes := range map[string][]Change{
		"st:v": {
			{Key: "scsi0", Old: "st:v,size=1G", Delete: true},
			{Key: "scsi0", Old: "st:v,size=1G", New: "st:w"},
		},
		"st:vm-1-cloudinit": {{Key: "ide2", Old: "st:vm-1-cloudinit,media=cdrom", New: "none,media=cdrom"}},
		"": {
			{Key: "scsi0", Old: "st:v,size=1G", New: "st:v,ssd=1"},
			{Key: "ide2", Old: "st:iso/x.iso,media=cdrom", Delete: true},
			{Key: "scsi0", Old: "/dev/sda", Delete: true},
			{Key: "name", Old: "n", Delete: true},
			{Key: "scsi0", New: "st:w"},
		},
	} {
		for _, ch := range changes {
			require.Equal(t, want, ch.ReplacedVolume(), "%+v", ch)
		}
	}
}
