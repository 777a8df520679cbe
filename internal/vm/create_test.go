package vm

import (
	"errors"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

func TestCreateWritesTheDefaults(t *testing.T) {
	s := newSite(t)
	log := s.makeVM(100, "name", "one", "scsi0", "local:0.5,format=qcow2,iothread=1", "ide2", "none", "net0", "virtio,bridge=vmbr0",
		"tags", "b;A;b", "cipassword", "plain", "memory", 64)
	require.Contains(t, log, "scsi0: successfully created disk 'local:100/vm-100-disk-0.qcow2,iothread=1,size=512M'")
	main := s.conf(100).Main
	require.Equal(t, "local:100/vm-100-disk-0.qcow2,iothread=1,size=512M", main["scsi0"])
	require.Equal(t, "none,media=cdrom", main["ide2"])
	require.Equal(t, "order=scsi0;ide2;net0", main["boot"])
	require.Regexp(t, `^virtio=BC:24:11(:[0-9A-F]{2}){3},bridge=vmbr0$`, main["net0"])
	require.Regexp(t, `^uuid=[0-9a-f-]{36}$`, main["smbios1"])
	require.Regexp(t, `^[0-9a-f-]{36}$`, main["vmgenid"])
	require.Regexp(t, `^creation-qemu=\d+\.\d+\.\d+,ctime=\d+$`, main["meta"])
	require.Equal(t, "a;b", main["tags"])
	require.Equal(t, "plain", main["cipassword"], "create stores it as given")
	require.False(t, main.Has("lock"))
	require.Equal(t, []string{"local/images/100/vm-100-disk-0.qcow2"}, s.files())
}

func TestCreateWithoutAnythingHasAnEmptyBootOrder(t *testing.T) {
	s := newSite(t)
	s.makeVM(100)
	require.Equal(t, " ", s.conf(100).Main["boot"])
	s.makeVM(101, "ostype", "win11", "machine", "q35")
	require.Regexp(t, `^pc-q35-\d+\.\d+`, s.conf(101).Main["machine"])
}

func TestCreateNumbersItsDisksInTheOrderOfTheirNames(t *testing.T) {
	s := newSite(t)
	s.makeVM(100, "virtio0", "local:0.01", "scsi1", "other:0.01", "scsi0", "local:0.5", "ide0", "local:0.01",
		"ide2", "local:cloudinit")
	main := s.conf(100).Main
	require.Equal(t, "local:100/vm-100-disk-0.raw,size=10486K", main["ide0"], "rounded up to KiB")
	require.Equal(t, "local:100/vm-100-disk-1.raw,size=512M", main["scsi0"])
	require.Contains(t, main["scsi1"], "other:100/vm-100-disk-0.raw")
	require.Contains(t, main["virtio0"], "local:100/vm-100-disk-2.raw")
	require.Equal(t, "local:100/vm-100-cloudinit.qcow2,media=cdrom", main["ide2"])
	require.Len(t, s.files(), 5)
}

func TestCreateRefusesWhatItCannotMakeAndLeavesNothing(t *testing.T) {
	s := newSite(t)
	s.makeVM(200, "scsi0", "local:0.01")
	for name, c := range map[string]struct {
		p     kv
		text  string // of the task
		param string // or at once, for this parameter
	}{
		"unknown storage": {p: kv{"scsi0", "gone:1"}, text: "storage 'gone' does not exist", param: "-"},
		"no images":       {p: kv{"scsi0", "isos:1"}, text: "storage 'isos' does not support vm images", param: "storage"},
		"missing volume":  {p: kv{"scsi0", "local:0.01", "scsi1", "local:100/vm-100-disk-7.raw"}, text: "unable to create VM 100 - volume local:100/vm-100-disk-7.raw does not exist"},
		"format is not the volume's": {p: kv{"scsi1", "local:200/vm-200-disk-0.raw,format=qcow2"},
			text: "unable to create VM 100 - drive 'scsi1' - volume 'local:200/vm-200-disk-0.raw' - 'format=qcow2' option different from storage format 'raw'"},
		"two cloud-init drives": {p: kv{"ide0", "local:cloudinit", "ide2", "local:cloudinit"}, text: " - cloud-init drive is already attached at 'ide"},
		"import of what is not there": {p: kv{"scsi0", "local:0.01", "scsi1", "local:0,import-from=/nowhere/x.raw"},
			text: "cannot import from '/nowhere/x.raw' - "},
		"import syntax":   {p: kv{"scsi1", "local:1,import-from=/nowhere/x.raw"}, text: "'import-from' requires special syntax", param: "scsi1"},
		"import of a TPM": {p: kv{"tpmstate0", "local:0,import-from=/nowhere/x.raw"}, text: "need to specify 'version'", param: "tpmstate0"},
		"clipboard":       {p: kv{"vga", "serial0,clipboard=vnc"}, text: "vga type serial0 is not compatible with VNC clipboard"},
		"vIOMMU":          {p: kv{"machine", "pc,viommu=intel"}, text: "to use Intel vIOMMU please set the machine type to q35", param: "-"},
		"pool":            {p: kv{"pool", "nopool"}, text: "pool 'nopool' does not exist", param: "-"},
		"SSH keys":        {p: kv{"sshkeys", "no%20key"}, text: "SSH", param: "-"},
		"a file":          {p: kv{"scsi0", "/etc/passwd"}, text: "unable to associate path '/etc/passwd' to any storage"},
		"hook script":     {p: kv{"hookscript", "local:snippets/none.sh"}, text: "script 'local:snippets/none.sh' does not exist", param: "hookscript"},
		"no hook script":  {p: kv{"hookscript", "local:iso/x.iso"}, text: "'local:iso/x.iso' is not in the snippets directory", param: "hookscript"},
		"an ISO as disk":  {p: kv{"scsi0", "local:iso/x.iso"}, text: "explicit 'media=cdrom' is required for iso images", param: "scsi0"},
	} {
		t.Run(name, func(t *testing.T) {
			up, err := ask(s, s.root(), s.PostNodesQemu, append(kv{"vmid", 100}, c.p...))
			if c.param != "" {
				require.ErrorContains(t, err, c.text)
				if c.param != "-" {
					params, ok := errors.AsType[call.ParamErrors](err)
					require.True(t, ok, "%v", err)
					require.Contains(t, params, c.param)
				}
			} else {
				s.idle()
				require.Contains(t, s.fails(up, err), c.text)
			}
			require.Equal(t, []int{200}, s.vmids(), "no half VM")
			require.Len(t, s.files(), 1, "no orphan volume")
		})
	}
}

func TestCreateIsLockedUntilItIsWhole(t *testing.T) {
	s := newSite(t)
	up, err := ask(s, s.root(), s.PostNodesQemu, kv{"vmid", 100, "scsi0", "local:0.01", "start", 0})
	require.NoError(t, err)
	require.True(t, s.inv.Snapshot().Guests[0].ID == 100, "lists show it at once")
	s.ok(up, nil)
	_, err = ask(s, s.root(), s.PostNodesQemu, kv{"vmid", 100})
	require.EqualError(t, err, "unable to create VM 100 - VM 100 already exists on node 'alpha'")
}

func TestThreat41ParallelCreatesOfOneIDHaveOneWinner(t *testing.T) {
	s := newSite(t)
	var all sync.WaitGroup
	wins := make(chan string, 200)
	for range 200 {
		all.Go(func() {
			up, err := ask(s, s.root(), s.PostNodesQemu, kv{"vmid", 100, "scsi0", "local:0.01"})
			if err == nil {
				wins <- up
				return
			}
			if err.Error() != "unable to create VM 100 - VM 100 already exists on node 'alpha'" {
				t.Error(err)
			}
		})
	}
	all.Wait()
	close(wins)
	var won []string
	for up := range wins {
		won = append(won, up)
	}
	require.Len(t, won, 1)
	s.ok(won[0], nil)
	require.Len(t, s.files(), 1)
}

func TestCreatesAndDestroysOfOnePoolWaitForEachOther(t *testing.T) {
	s := newSite(t)
	s.users("pool:p1::::\n")
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			up, err := ask(s, s.root(), s.PostNodesQemu, kv{"vmid", 100 + i, "pool", "p1"})
			if err != nil {
				t.Error(err)
				return
			}
			if exit, _ := s.wait(up); exit != "OK" {
				t.Error(exit)
			}
		})
	}
	all.Wait()
	members := func() int {
		cfg, err := s.access.UserConfig(s.root())
		require.NoError(t, err)
		return len(cfg.Pools["p1"].VMs)
	}
	s.eventually("all are in the pool", func() bool { return members() == 20 })
	for i := range 20 {
		all.Go(func() {
			up, err := ask(s, s.root(), s.DeleteNodesQemuVmid, kv{"vmid", 100 + i, "purge", 1})
			if err != nil {
				t.Error(err)
				return
			}
			if exit, _ := s.wait(up); exit != "OK" {
				t.Error(exit)
			}
		})
	}
	all.Wait()
	require.Empty(t, s.vmids())
	s.eventually("none is in the pool", func() bool { return members() == 0 })
}

func TestImportFromAPathAndFromAVolume(t *testing.T) {
	s := newSite(t)
	s.makeVM(100, "scsi0", "local:0,format=qcow2,import-from="+s.bootImage())
	require.Equal(t, "local:100/vm-100-disk-0.qcow2,size=1M", s.conf(100).Main["scsi0"])
	s.makeVM(101, "scsi0", "other:0,import-from=local:100/vm-100-disk-0.qcow2")
	require.Equal(t, "other:101/vm-101-disk-0.raw,size=1M", s.conf(101).Main["scsi0"])
	data, err := os.ReadFile(s.path("other:101/vm-101-disk-0.raw"))
	require.NoError(t, err)
	require.Equal(t, bootSector(), data[:512])
	s.makeVM(102, "ide2", "local:cloudinit")
	err = s.setVM(101, "scsi1", "local:0,import-from=local:102/vm-102-cloudinit.qcow2")
	require.EqualError(t, err, "cannot import from cloudinit disk")
	err = s.setVM(101, "scsi1", "local:0,import-from=local:iso/x.iso")
	require.Equal(t, call.ParamErrors{"scsi1": "local:iso/x.iso has wrong type 'iso' - needs to be 'images' or 'import'"}, err)
}

func TestAFileOfAStorageBecomesItsVolume(t *testing.T) {
	s := newSite(t)
	s.makeVM(100, "scsi0", "local:0.01")
	require.NoError(t, s.setVM(100, "delete", "scsi0"))
	require.NoError(t, s.setVM(100, "scsi1", s.path("local:100/vm-100-disk-0.raw")))
	require.Contains(t, s.conf(100).Main["scsi1"], "local:100/vm-100-disk-0.raw,size=")
}

// hasFirmware reports whether guests can have UEFI firmware.
func hasFirmware(t *testing.T) bool {
	h, err := testHost()
	require.NoError(t, err)
	_, err = h.FirmwareVars(vmconfig.Section{"bios": "ovmf"}, vmconfig.Drive{Key: "efidisk0", EFIType: "4m"})
	return err == nil
}

func TestEFIDiskIsMadeFromTheFirmware(t *testing.T) {
	s := newSite(t)
	need.That(t, "ovmf", hasFirmware(t), "firmware of the distribution")
	s.makeVM(100, "bios", "ovmf", "efidisk0", "local:1,efitype=4m")
	require.Equal(t, "local:100/vm-100-disk-0.raw,efitype=4m,size=528K", s.conf(100).Main["efidisk0"])
	require.NoError(t, s.setVM(100, "delete", "efidisk0", "force", 1))
	require.Empty(t, s.files())
}

func TestCreateOfATemplateHasBaseVolumes(t *testing.T) {
	s := newSite(t)
	s.makeVM(100, "template", 1, "scsi0", "local:0.01,format=qcow2", "ide2", "local:cloudinit")
	require.Contains(t, s.conf(100).Main["scsi0"], "local:100/base-100-disk-0.qcow2")
	require.NoError(t, s.setVM(100, "scsi1", "local:0.01"))
	require.Contains(t, s.conf(100).Main["scsi1"], "local:100/base-100-disk-1.raw")
}

func TestAutostartIsATaskOfItsOwn(t *testing.T) {
	s := newGuestSite(t)
	log := s.makeVM(100, "memory", 16, "start", 1, "scsi0", "local:0,import-from="+s.bootImage())
	require.Contains(t, log, "Execute autostart")
	require.Equal(t, "TASK OK", log[len(log)-1])
	s.eventually("it runs", func() bool { return len(s.Running()) == 1 })
	s.idle()
	require.Equal(t, strconv.Itoa(100), strconv.Itoa(s.Running()[0]))
}
