package vmconfig

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

func TestNewUpdate(t *testing.T) {
	u, err := NewUpdate(map[string]string{
		"node": "n", "vmid": "9", "digest": "d", "cores": "2", "cdrom": "none", "delete": "vga;net0,vga", "revert": "name", "force": "1",
	})
	require.NoError(t, err)
	require.Equal(t, &Update{
		Set: map[string]string{"cores": "2", "ide2": "none"}, Delete: []string{"net0", "vga"}, Revert: []string{"name"}, Force: true,
	}, u)
	require.Equal(t, "-cores 2 -ide2 none -delete net0,vga -revert name", u.Line())
}

func TestUpdateRefused(t *testing.T) {
	for _, c := range []struct {
		params map[string]string
		want   error
	}{
		{map[string]string{"node": "n", "digest": "d"}, call.Errorf("no options specified")},
		{map[string]string{"revert": "bogus"}, call.Param("revert", "unknown option 'bogus'")},
		{map[string]string{"delete": "bogus"}, call.Param("delete", "unknown option 'bogus'")},
		{map[string]string{"revert": "cores", "cores": "1"}, call.Param("delete", "you can't use '-cores' and -revert cores' at the same time")},
		{map[string]string{"delete": "cores", "cores": "1"}, call.Param("delete", "you can't use '-cores' and -delete cores' at the same time")},
		{map[string]string{"delete": "cores", "revert": "cores"}, call.Param("revert", "you can't use '-delete cores' and -revert cores' at the same time")},
		{map[string]string{"scsi0": "oops"}, call.Param("scsi0", "unable to parse drive options")},
		{map[string]string{"sshkeys": "not%20a%20key"}, call.Errorf("SSH public key validation error")},
	} {
		_, err := NewUpdate(c.params)
		require.Equal(t, c.want, err)
	}
}

func TestUpdateResolveAndChanges(t *testing.T) {
	c := New()
	c.Main = Section{"cores": "2", "name": "n", "vga": "std"}
	c.Pending = Section{"cores": "4", "memory": "64", "cpu": "host", "delete": "vga"}
	u := &Update{Set: map[string]string{"cpu": "host", "numa": "1"}, Delete: []string{"name"}, Revert: []string{"cores", "memory", "hotplug"}}
	u.Resolve(c)
	require.Equal(t, map[string]string{"cpu": "host", "numa": "1", "cores": "2"}, u.Set)
	require.Equal(t, []string{"memory", "name"}, u.Delete)
	require.Equal(t, []Change{
		{Key: "memory", Old: "64", Delete: true},
		{Key: "name", Old: "n", Delete: true},
		{Key: "cores", Old: "2", New: "2"},
		{Key: "numa", New: "1"},
	}, u.Changes(c), "cpu is pending with that value already")
}

func TestPrepare(t *testing.T) {
	d := Defaults{MACPrefix: "02:00", QEMUVersion: "10.1.2", PVELevel: 1}
	u := &Update{Set: map[string]string{
		"net0": "virtio,bridge=vmbr0", "net1": "e1000=BC:24:11:00:00:01", "vmgenid": "1", "tags": "Beta alpha;beta", "cipassword": "pw",
	}}
	log, err := u.Prepare(New(), d)
	require.NoError(t, err)
	require.Empty(t, log)
	require.Regexp(t, `^virtio=02:00(:[0-9A-F]{2}){4},bridge=vmbr0$`, u.Set["net0"])
	require.Equal(t, "e1000=BC:24:11:00:00:01", u.Set["net1"])
	require.Regexp(t, `^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`, u.Set["vmgenid"])
	require.Equal(t, "alpha;beta", u.Set["tags"])
	require.Regexp(t, `^\$5\$`, u.Set["cipassword"])

	windows := New()
	windows.Main = Section{"ostype": "win10"}
	u = &Update{Set: map[string]string{"cipassword": "pw"}}
	_, err = u.Prepare(windows, d)
	require.NoError(t, err)
	require.Equal(t, "pw", u.Set["cipassword"], "Windows gets it in clear")
	u = &Update{Set: map[string]string{"cipassword": "pw"}}
	_, err = u.Prepare(nil, d)
	require.NoError(t, err)
	require.Equal(t, "pw", u.Set["cipassword"], "create stores it as given")

	u = &Update{Set: map[string]string{"ostype": "win11"}}
	q35 := New()
	q35.Main["machine"] = "q35,viommu=virtio"
	log, err = u.Prepare(q35, d)
	require.NoError(t, err)
	require.Equal(t, "pc-q35-10.1+pve1,viommu=virtio", u.Set["machine"])
	require.Equal(t, []string{"pinning machine type to 'pc-q35-10.1+pve1' for Windows guest OS"}, log)
	u = &Update{Set: map[string]string{"ostype": "win11"}, Delete: []string{"machine"}}
	_, err = u.Prepare(q35, d)
	require.NoError(t, err)
	require.NotContains(t, u.Set, "machine")
}

func TestBootOrder(t *testing.T) {
	boot, changed := BootWithout("order=scsi0;ide2;net0", "ide2")
	require.True(t, changed)
	require.Equal(t, "order=scsi0;net0", boot)
	_, changed = BootWithout("order=scsi0", "net0")
	require.False(t, changed)
	boot, changed = BootWith("order=scsi0", "ide2")
	require.True(t, changed)
	require.Equal(t, "order=scsi0;ide2", boot)
	_, changed = BootWith("cdn", "ide2")
	require.False(t, changed)
	_, changed = BootWith(" ", "ide2")
	require.False(t, changed)

	main := Section{"scsi0": "x"}
	require.NoError(t, CheckBoot("order=scsi0", main.Has))
	require.EqualError(t, CheckBoot("order=scsi0;net7", main.Has), "invalid bootorder: device 'net7' does not exist'")
}

func TestSemanticChecks(t *testing.T) {
	require.EqualError(t, CheckMachine("pc,viommu=intel"), "to use Intel vIOMMU please set the machine type to q35")
	require.EqualError(t, CheckMachine("q35,viommu=intel,aw-bits=40"), "Intel vIOMMU supports only 39 or 48 bits as address width")
	require.EqualError(t, CheckMachine("q35,aw-bits=40"), "cannot set aw-bits if no vIOMMU is configured")
	require.NoError(t, CheckMachine("q35,viommu=intel,aw-bits=48"))
	require.NoError(t, CheckMachine("pc,viommu=virtio,aw-bits=40"))
	require.EqualError(t, CheckBalloon("4096", "2048"), "balloon value too large (must be smaller than assigned memory)")
	require.EqualError(t, CheckBalloon("513", ""), "balloon value too large (must be smaller than assigned memory)")
	require.NoError(t, CheckBalloon("512", ""))
}

func TestCreateDefaults(t *testing.T) {
	d := Defaults{QEMUVersion: "10.1.2", Arch: "x86_64", UnixTime: 1700000000}
	main, log, err := NewMain(map[string]string{
		"net4": "virtio", "virtio1": "st:vm-1-disk-0,size=1G", "sata0": "st:vm-1-disk-1,size=1G", "ide3": "none,media=cdrom",
		"scsi0": "st:vm-1-cloudinit,media=cdrom", "net2": "virtio=BC:24:11:00:00:01",
	}, d)
	require.NoError(t, err)
	require.Empty(t, log)
	require.Equal(t, "order=virtio1;ide3;net2", main["boot"])
	require.Equal(t, "creation-qemu=10.1.2,ctime=1700000000", main["meta"])
	require.Regexp(t, `^uuid=[0-9a-f-]{36}$`, main["smbios1"])
	require.Regexp(t, `^[0-9a-f-]{36}$`, main["vmgenid"])
	require.Regexp(t, `^virtio=BC:24:11:`, main["net4"])
	require.NotContains(t, main, "machine")

	main, _, err = NewMain(map[string]string{"arch": "aarch64", "ostype": "w2k8", "smbios1": "uuid=1", "boot": "order=net0"}, d)
	require.NoError(t, err)
	require.NotContains(t, main, "vmgenid")
	require.Equal(t, "pc-i440fx-10.1", main["machine"])
	require.Equal(t, "uuid=1", main["smbios1"])
	require.Equal(t, "order=net0", main["boot"])

	main, _, err = NewMain(nil, d)
	require.NoError(t, err)
	require.Equal(t, "", main["boot"])

	_, _, err = NewMain(map[string]string{"vga": "serial0,clipboard=vnc"}, d)
	require.EqualError(t, err, "vga type serial0 is not compatible with VNC clipboard")
}

func TestWindowsVersion(t *testing.T) {
	for ostype, want := range map[string]int{"": 0, "l26": 0, "wxp": 5, "wvista": 6, "win7": 7, "win11": 11, "other": 0} {
		require.Equal(t, want, WindowsVersion(ostype), ostype)
	}
}

func TestMAC(t *testing.T) {
	for prefix, want := range map[string]string{
		"": `^BC:24:11:`, "aa:bb:cc:d": `^AA:BB:CC:D[0-9A-F]:`, "1": `^1[02468ACE]:`, "02": `^02:`,
	} {
		mac, err := NewMAC(prefix, nil)
		require.NoError(t, err)
		require.Regexp(t, want, mac)
		require.Len(t, mac, 17)
	}
	_, err := NewMAC("zz", nil)
	require.Error(t, err)
}

func TestTags(t *testing.T) {
	require.Equal(t, "a;b", NormalizeTags("B, a;b", TagStyle{}))
	require.Equal(t, "B;a;b", NormalizeTags("B a;b", TagStyle{CaseSensitive: true}))
	require.Equal(t, "z;a", NormalizeTags("Z;a;z", TagStyle{ConfigOrder: true}))
	require.Equal(t, "", NormalizeTags("", TagStyle{}))
}

func TestUnused(t *testing.T) {
	s := Section{"unused0": "st:vm-1-disk-0", "unused2": "st:vm-1-disk-2"}
	key, err := s.AddUnused("st:vm-1-disk-9")
	require.NoError(t, err)
	require.Equal(t, "unused1", key)
	key, err = s.AddUnused("st:vm-1-disk-2")
	require.NoError(t, err)
	require.Equal(t, "unused2", key)
	for range unusedCount {
		_, err = s.AddUnused("st:vm-1-disk-" + string(rune('a'+len(s)%26)) + string(rune('a'+len(s)/26)))
	}
	require.EqualError(t, err, "Too many unused volumes - please delete them first.")
}

func TestReferences(t *testing.T) {
	c := New()
	c.Main = Section{"scsi0": "st:v,size=1G", "unused4": "st:w"}
	c.Pending = Section{"scsi1": "st:v"}
	c.Snapshots["s1"] = Section{"ide0": "st:v,size=1G", "vmstate": "st:w"}
	require.Equal(t, []Reference{{"", "scsi0"}, {"pending", "scsi1"}, {"s1", "ide0"}}, c.References("st:v"))
	require.Equal(t, []Reference{{"", "unused4"}, {"s1", "vmstate"}}, c.References("st:w"))
	require.Empty(t, c.References("st:x"))
}

func TestClone(t *testing.T) {
	source := Section{
		"name": "web", "net0": "virtio=BC:24:11:00:00:01,bridge=vmbr0", "smbios1": "base64=1,serial=QUJD,uuid=00000000-0000-0000-0000-000000000000",
		"vmgenid": "00000000-0000-0000-0000-000000000000", "template": "1", "parent": "s", "unused0": "st:x", "vmstate": "st:y", "runningcpu": "z",
		"protection": "1", "description": "d", "cipassword": "p", "meta": "ctime=1",
	}
	out, err := CloneMain(source, CloneOptions{VMID: 9})
	require.NoError(t, err)
	require.Equal(t, []string{"cipassword", "description", "meta", "name", "net0", "protection", "smbios1", "vmgenid"}, out.Keys())
	require.Equal(t, "Copy-of-VM-web", out["name"])
	require.Regexp(t, `^virtio=BC:24:11:.*,bridge=vmbr0$`, out["net0"])
	require.NotEqual(t, source["net0"], out["net0"])
	require.Regexp(t, `^base64=1,serial=QUJD,uuid=[0-9a-f-]{36}$`, out["smbios1"])
	require.NotEqual(t, source["smbios1"], out["smbios1"])
	require.NotEqual(t, source["vmgenid"], out["vmgenid"])

	text := "new"
	out, err = CloneMain(Section{"vmgenid": "0"}, CloneOptions{VMID: 9, Description: &text})
	require.NoError(t, err)
	require.Equal(t, "Copy-of-VM-9", out["name"])
	require.Equal(t, "0", out["vmgenid"])
	require.Equal(t, "new", out["description"])

	d, err := ParseDrive("scsi0", "st:vm-1-disk-0,format=raw,size=1G,ssd=1")
	require.NoError(t, err)
	require.Equal(t, "su:vm-2-disk-0,size=2G,ssd=1", CloneDrive(d, "su:vm-2-disk-0", 2<<30).String())

	c := New()
	c.Pending = Section{"memory": "1", "delete": "cores,memory"}
	require.Equal(t, "cores,memory", c.DiscardedByClone())
}

func TestRestore(t *testing.T) {
	backup := `#note
scsi1: sa:vm-5-disk-1,format=qcow2,ssd=1,size=2G
lock: backup
unused3: sa:vm-5-disk-7
parent: s
memory: 512
sata0: sa:vm-5-disk-2,backup=0
ide2: none,media=cdrom
net0: virtio=BC:24:11:00:00:01,bridge=vmbr0
smbios1: uuid=00000000-0000-0000-0000-000000000000,serial=x
vmgenid: 00000000-0000-0000-0000-000000000000
#vzdump#something
#qmdump#map:scsi1:drive-scsi1:sa:qcow2:
`
	require.Equal(t, []DeviceMap{{"scsi1", "drive-scsi1", "sa", "qcow2"}}, DeviceMaps(backup))
	text, err := RestoreText(backup, RestoreOptions{Volumes: map[string]string{"scsi1": "sb:vm-6-disk-0"}})
	require.NoError(t, err)
	require.Regexp(t, `^#note
scsi1: sb:vm-6-disk-0,ssd=1,size=2G
memory: 512
#sata0: sa:vm-5-disk-2,backup=0
ide2: none,media=cdrom
net0: virtio=BC:24:11:00:00:01,bridge=vmbr0
smbios1: uuid=00000000-0000-0000-0000-000000000000,serial=x
vmgenid: [0-9a-f-]{36}
$`, text)
	require.NotContains(t, text, "vmgenid: 00000000")

	text, err = RestoreText(backup, RestoreOptions{Unique: true, MACPrefix: "02:02:02"})
	require.NoError(t, err)
	require.Contains(t, text, "\nnet0: virtio=02:02:02:")
	require.NotContains(t, text, "uuid=00000000")
	require.Contains(t, text, "scsi1: sa:vm-5-disk-1,format=qcow2,ssd=1,size=2G\n")

	text, err = RestoreText("cores: 1\n[PENDING]\nargs: x\n", RestoreOptions{})
	require.NoError(t, err)
	require.Equal(t, "cores: 1\n", text)
}
