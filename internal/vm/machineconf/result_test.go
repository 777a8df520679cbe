package machineconf_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/vm/machineconf"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/storage/volid"
)

func launch(in *machineconf.Input) { in.Profile = machineconf.Launch }

// TestResult: what a caller has to do beside starting QEMU.
func TestResult(t *testing.T) {
	res, err := translate(t, `
memory: 2048
balloon: 1024
bios: ovmf
tpmstate0: thin:vm-310-disk-9,version=v2.0
ide2: data:iso/rescue.iso,media=cdrom
scsi0: thin:vm-310-disk-0,ro=1
net0: virtio=BC:24:11:00:00:01,bridge=vmbr0,tag=7,queues=2,link_down=1
net1: e1000=BC:24:11:00:00:02
virtiofs0: share,cache=never
hostpci0: mapping=vgpu,mdev=v-1
hostpci1: 22:00.0,driver=keep
`, launch)
	require.NoError(t, err)
	require.Equal(t, 1024, res.BalloonMiB)
	require.Equal(t, []string{"net0"}, res.LinkDown)
	require.True(t, res.KVM)
	require.Equal(t, machineconf.Version{Major: 11, Minor: 0, Sub: 2}, res.Version)
	require.Equal(t, []machineconf.VolumeUse{
		{Key: "tpmstate0", ID: "thin:vm-310-disk-9"}, {Key: "ide2", ID: "data:iso/rescue.iso", ReadOnly: true, CDROM: true},
		{Key: "scsi0", ID: "thin:vm-310-disk-0", ReadOnly: true}}, res.Volumes)
	require.Len(t, res.Ports, 1)
	port := res.Ports[0]
	require.Equal(t, []any{"net0", "tap310i0", "vmbr0", "BC:24:11:00:00:01", 2, 7}, []any{port.Key, port.Name, port.Bridge, port.MAC, port.Queues, port.Net.Tag.Or(0)})
	require.Equal(t, []machineconf.Copy{{From: "/usr/share/OVMF/OVMF_VARS.fd", To: "/run/gp/310/efivars.fd"}}, res.Copies)
	require.Equal(t, "/run/gp/310/guest", res.OwnFolder)
	require.Equal(t, &machineconf.TPMProcess{Socket: "/run/gp/310/guest/swtpm", Volume: "thin:vm-310-disk-9", Version: "v2.0"}, res.TPM)
	require.Equal(t, "/share", res.Folders[0].Path)
	require.Equal(t, "/run/gp/310/guest/virtiofs0", res.Folders[0].Socket)
	require.Equal(t, []machineconf.PCIUse{
		{Key: "hostpci0", MDev: "v-1", UUID: "00000000-0000-0000-0000-000000000310", Alternatives: []string{"0000:23:00.0"}},
		{Key: "hostpci1", Address: "0000:22:00.0", KeepDriver: true}}, res.PCI)
}

// TestLaunchForm: nothing that a stock QEMU would not take.
func TestLaunchForm(t *testing.T) {
	for _, conf := range []string{"machine: pc-i440fx-5.1\nscsi0: thin:vm-310-disk-0", "machine: q35\nusb0: host=1-1", "machine: pc-i440fx-5.1\nusb0: host=1-1"} {
		res, err := translate(t, conf, launch)
		require.NoError(t, err)
		line := strings.Join(res.Argv(), " ")
		for _, word := range []string{"-id ", "+pve", "-drive ", "readconfig", "qmeventd", "bootsplash", "pve-bridge", "-daemonize", "pidfile", "-iscsi"} {
			require.NotContains(t, line, word)
		}
		require.Contains(t, line, "accel=kvm")
	}
}

func TestLaunchWithoutKVM(t *testing.T) {
	noKVM := func(in *machineconf.Input) { in.Host.KVM = false; launch(in) }
	res, err := translate(t, "cpu: host\nostype: win10", noKVM)
	require.NoError(t, err)
	require.False(t, res.KVM)
	require.Equal(t, "max", res.Machine.CPU.Model)
	require.Equal(t, "tcg", res.Machine.Board.Accel)
	require.NotContains(t, strings.Join(res.Argv(), " "), "hv_")
	require.NotContains(t, strings.Join(res.Argv(), " "), "enforce")
}

func TestLaunchAIO(t *testing.T) {
	without := func(uring, native bool) func(*machineconf.Input) {
		return func(in *machineconf.Input) { in.Host.QEMU.IOUring, in.Host.QEMU.NativeAIO = uring, native; launch(in) }
	}
	aio := func(conf string, change func(*machineconf.Input)) any {
		res, err := translate(t, conf, change)
		require.NoError(t, err)
		u, ok := res.Machine.Find("scsi0")
		require.True(t, ok)
		mode, _ := u.Nodes[0].File.File.Option("aio")
		return mode
	}
	require.Equal(t, "io_uring", aio("scsi0: thin:vm-310-disk-0", without(true, true)))
	require.Equal(t, "native", aio("scsi0: thin:vm-310-disk-0", without(false, true)))
	require.Equal(t, "threads", aio("scsi0: thin:vm-310-disk-0", without(false, false)))
	require.Equal(t, "threads", aio("scsi0: thin:vm-310-disk-0,cache=writeback", without(false, true)))
	require.Equal(t, "threads", aio("scsi0: thin:vm-310-disk-0,cache=writeback,aio=native", without(true, true)))
}

func TestLocateHook(t *testing.T) {
	var asked []string
	res, err := translate(t, "scsi0: data:310/vm-310-disk-0.qcow2", func(in *machineconf.Input) {
		launch(in)
		in.Locate = func(id volid.ID) (volid.Location, error) {
			asked = append(asked, id.String())
			return volid.Device{Path: "/dev/loop7"}, nil
		}
	})
	require.NoError(t, err)
	require.Equal(t, []string{"data:310/vm-310-disk-0.qcow2"}, asked)
	u, _ := res.Machine.Find("scsi0")
	require.Equal(t, "qcow2", u.Nodes[0].File.Driver)
	require.Equal(t, "host_device", u.Nodes[0].File.File.Driver)

	lost := errors.New("not activated")
	_, err = translate(t, "scsi0: thin:vm-310-disk-0", func(in *machineconf.Input) {
		in.Locate = func(volid.ID) (volid.Location, error) { return nil, lost }
	})
	require.ErrorIs(t, err, lost)
}

func TestForced(t *testing.T) {
	forced := machineconf.ForcedOf(vmconfig.Section{"runningmachine": "pc-i440fx-9.1+pve0", "runningcpu": "host,+aes,level=3", "running-nets-host-mtu": "net0=1400,net1=0"})
	res, err := translate(t, "net0: virtio=BC:24:11:00:00:01,bridge=vmbr0\nnet1: virtio=BC:24:11:00:00:02,bridge=jumbo", func(in *machineconf.Input) {
		in.Forced = forced
		in.Incoming = "defer"
	})
	require.NoError(t, err)
	line := strings.Join(res.Argv(), " ")
	require.Contains(t, line, "type=pc-i440fx-9.1+pve0")
	require.Contains(t, line, "-cpu host,+aes,level=3 ")
	require.Contains(t, line, "host_mtu=1400")
	require.Equal(t, 1, strings.Count(line, "host_mtu"))
	require.Contains(t, line, "-S ")
	require.Contains(t, line, "-incoming defer")
}

func TestVMState(t *testing.T) {
	res, err := translate(t, "vmstate: thin:vm-310-state-x", nil)
	require.NoError(t, err)
	require.Equal(t, "/dev/vg/vm-310-state-x", res.Machine.LoadState)
	require.Equal(t, []machineconf.VolumeUse{{Key: "vmstate", ID: "thin:vm-310-state-x"}}, res.Volumes)

	res, err = translate(t, "vmstate: thin:vm-310-state-x", launch)
	require.NoError(t, err)
	require.Equal(t, "/dev/vg/vm-310-state-x", res.State)
	require.Empty(t, res.Machine.LoadState)
	require.Equal(t, "defer", res.Machine.Incoming)

	res, err = translate(t, "", func(in *machineconf.Input) { in.StateFile = "/tmp/state" })
	require.NoError(t, err)
	require.Equal(t, "/tmp/state", res.Machine.LoadState)
}

// TestBoot: who is booted from, and in which order.
func TestBoot(t *testing.T) {
	base := "ide2: none,media=cdrom\nscsi1: thin:vm-310-disk-0\nvirtio0: thin:vm-310-disk-1\nnet0: virtio=BC:24:11:00:00:01\n"
	for boot, want := range map[string]string{
		"":                          "ide2=200 net0=300",
		"bootdisk: virtio0":         "virtio0=101 ide2=200 net0=300",
		"boot: ":                    "",
		"boot: order=net0;virtio0":  "net0=100 virtio0=101",
		"bootdisk: scsi1\nboot: nc": "net0=100 scsi1=200",
		"bootdisk: scsi1\nboot: order=net0,legacy=c": "scsi1=100",
	} {
		res, err := translate(t, base+boot+"\n", nil)
		require.NoError(t, err)
		for _, u := range res.Machine.Units {
			for _, d := range u.Devices {
				for _, p := range d.Props {
					if p.Name == "bootindex" {
						require.Contains(t, want, d.ID+"=")
					}
				}
			}
		}
		for pair := range strings.FieldsSeq(want) {
			id, index, _ := strings.Cut(pair, "=")
			require.Regexp(t, "id="+id+`[^ ]*bootindex=`+index+`\b`, strings.Join(res.Argv(), " "), boot)
		}
	}
}

func TestGeneratedMAC(t *testing.T) {
	res, err := translate(t, "net0: virtio,bridge=vmbr0", func(in *machineconf.Input) {
		in.MACPrefix, in.Random = "02:00:00", strings.NewReader("aaaaaaaaaaaaaaaa")
	})
	require.NoError(t, err)
	require.Equal(t, "02:00:00:61:61:61", res.Ports[0].MAC)
}

func TestReservedPCI(t *testing.T) {
	_, err := translate(t, "hostpci0: mapping=pair", func(in *machineconf.Input) {
		in.Mappings.PCI["pair"] = machineconf.PCIMapping{Entries: []machineconf.PCIMapEntry{
			{Node: "alpha", Path: "0000:21:00.0", ID: "1002:73bf", IOMMUGroup: "21"}, {Node: "alpha", Path: "0000:22:00.0", ID: "8086:10fb", IOMMUGroup: "22"}}}
		in.ReservedPCI = map[string]bool{"0000:21:00.0": true, "0000:22:00.0": true}
	})
	require.EqualError(t, err, "could not find a free device for 'hostpci0'")
}
