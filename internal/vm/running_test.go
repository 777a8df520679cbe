package vm

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/internal/tinyguest"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/upid"
)

// query asks the guest's QEMU and returns the answer as JSON.
func (s *site) query(id int, cmd string, args any) string {
	s.t.Helper()
	var raw json.RawMessage
	require.NoError(s.t, s.guest(id).do(s.root(), cmd, args, &raw))
	var compact bytes.Buffer
	require.NoError(s.t, json.Compact(&compact, raw))
	return compact.String()
}

// owner is the uid of a volume's file.
func (s *site) owner(volid string) int {
	s.t.Helper()
	var st syscall.Stat_t
	require.NoError(s.t, syscall.Stat(s.path(volid), &st))
	return int(st.Uid)
}

func (s *site) heldBy(id int) *Hold {
	s.t.Helper()
	h, err := s.hold(s.root(), id)
	require.NoError(s.t, err)
	require.NotNil(s.t, h)
	return h
}

func TestPendingChangesOfARunningVM(t *testing.T) {
	s := newGuestSite(t)
	s.makeVM(100, "memory", 32, "scsihw", "virtio-scsi-pci", "scsi0", "local:0,import-from="+s.bootImage(), "ide1", "local:0.0625", "boot", "order=scsi0")
	s.startVM(100)
	require.NoError(t, s.setVM(100, "memory", 48, "cores", 2, "name", "new", "onboot", 1, "bios", "ovmf"))
	c := s.conf(100)
	require.Equal(t, "32", c.Main["memory"])
	require.Equal(t, "new", c.Main["name"])
	require.Equal(t, []string{"bios", "cores", "memory"}, c.Pending.Keys())
	view, err := ask(s, s.root(), s.GetNodesQemuConfig, kv{"vmid", 100})
	require.NoError(t, err)
	require.Equal(t, "48", view["memory"])
	view, err = ask(s, s.root(), s.GetNodesQemuConfig, kv{"vmid", 100, "current", 1})
	require.NoError(t, err)
	require.Equal(t, "32", view["memory"])
	require.NoError(t, s.setVM(100, "revert", "memory,bios"))
	require.Equal(t, []string{"cores"}, s.conf(100).Pending.Keys())
	require.NoError(t, s.setVM(100, "delete", "ide1"))
	require.Equal(t, "ide1", s.conf(100).Pending["delete"])

	require.Equal(t, call.ParamErrors{"scsi0": "hotplug problem - can't unplug bootdisk 'scsi0'"}, s.setVM(100, "delete", "scsi0"))
	require.NoError(t, s.setVM(100, "revert", "scsi0"))
	_, err = ask(s, s.root(), s.PostNodesQemuTemplate, kv{"vmid", 100})
	require.EqualError(t, err, "you can't convert a VM to template if VM is running")
	_, err = ask(s, s.root(), s.DeleteNodesQemuVmid, kv{"vmid", 100})
	require.EqualError(t, err, "VM 100 is running - destroy failed")
	s.stopVM(100)
	c = s.conf(100)
	require.Empty(t, c.Pending)
	require.Equal(t, "2", c.Main["cores"])
	require.Equal(t, "local:100/vm-100-disk-0.raw", c.Main["unused0"], "ide1 had the first name")
}

func TestHotplugOfDisks(t *testing.T) {
	for _, hw := range []string{"virtio-scsi-pci", "virtio-scsi-single"} {
		t.Run(hw, func(t *testing.T) {
			s := newGuestSite(t)
			s.makeVM(100, "memory", 32, "scsihw", hw, "ide0", "local:0,import-from="+s.bootImage())
			if hw == "virtio-scsi-pci" {
				require.NoError(t, s.setVM(100, "scsi0", "none,media=cdrom"), "its controller is used in the end, too")
			}
			s.startVM(100)
			uid := s.heldBy(100).UID
			require.NoError(t, s.setVM(100, "scsi1", "local:0.0625,iothread=1,mbps=7", "scsi2", "other:0.0625,format=qcow2,discard=on"))
			c := s.conf(100)
			require.Empty(t, c.Pending)
			require.Equal(t, "local:100/vm-100-disk-1.raw,iothread=1,mbps=7,size=64M", c.Main["scsi1"])
			blocks := s.query(100, "query-block", nil)
			require.Contains(t, blocks, "vm-100-disk-1.raw")
			require.Contains(t, blocks, "vm-100-disk-0.qcow2")
			require.Contains(t, s.query(100, "qom-get", map[string]any{"path": "/objects/throttle-drive-scsi1", "property": "limits"}), `"bps-total":7340032`)
			require.Equal(t, uid, s.owner("local:100/vm-100-disk-1.raw"))
			require.Contains(t, s.heldBy(100).Volumes, "other:100/vm-100-disk-0.qcow2")

			require.NoError(t, s.setVM(100, "scsi1", "local:100/vm-100-disk-1.raw,iothread=1,iops_rd=50,backup=0"), "same volume, other limits")
			limits := s.query(100, "qom-get", map[string]any{"path": "/objects/throttle-drive-scsi1", "property": "limits"})
			require.Contains(t, limits, `"bps-total":0`)
			require.Contains(t, limits, `"iops-read":50`)
			require.NoError(t, s.setVM(100, "scsi1", "local:100/vm-100-disk-1.raw,iothread=1,cache=unsafe"))
			require.True(t, s.conf(100).Pending.Has("scsi1"), "the cache needs a new start")
			require.NoError(t, s.setVM(100, "revert", "scsi1"))

			s.ok(ask(s, s.root(), s.PutNodesQemuResize, kv{"vmid", 100, "disk", "scsi1", "size", "80M"}))
			require.Contains(t, s.conf(100).Main["scsi1"], "size=80M")
			s.ok(ask(s, s.root(), s.PutNodesQemuResize, kv{"vmid", 100, "disk", "scsi2", "size", "+4M"}))
			vol, err := s.volumes.Stat(s.root(), "other:100/vm-100-disk-0.qcow2")
			require.NoError(t, err)
			require.EqualValues(t, 68<<20, vol.SizeBytes)
			require.Equal(t, "shrinking disks is not supported", s.fails(ask(s, s.root(), s.PutNodesQemuResize, kv{"vmid", 100, "disk", "scsi2", "size", "1M"})))

			s.restart() // of the daemon: what was plugged is known still
			require.Contains(t, s.heldBy(100).Volumes, "other:100/vm-100-disk-0.qcow2")
			require.NoError(t, s.setVM(100, "delete", "scsi2"))
			require.Equal(t, "other:100/vm-100-disk-0.qcow2", s.conf(100).Main["unused0"])
			require.NotContains(t, s.query(100, "query-block", nil), "vm-100-disk-0.qcow2")
			require.Zero(t, s.owner("other:100/vm-100-disk-0.qcow2"))
			require.NotContains(t, s.heldBy(100).Volumes, "other:100/vm-100-disk-0.qcow2", "another guest may have it next")
			require.NoError(t, s.setVM(100, "delete", "unused0"))
			require.NoFileExists(t, s.path("other:100/vm-100-disk-0.qcow2"))

			require.NoError(t, s.setVM(100, "scsi1", "other:0.125"), "replaced")
			require.Contains(t, s.conf(100).Main["scsi1"], "other:100/vm-100-disk-0.raw")
			require.Equal(t, "local:100/vm-100-disk-1.raw", s.conf(100).Main["unused0"])
			require.NoError(t, s.setVM(100, "delete", "scsi1", "force", 1))
			require.NoFileExists(t, s.path("other:100/vm-100-disk-0.raw"))
			require.NoError(t, s.setVM(100, "scsi1", "local:100/vm-100-disk-1.raw"), "plugged again")

			require.NoError(t, s.setVM(100, "hotplug", "network", "scsi5", "local:0.0625"))
			require.NoError(t, s.setVM(100, "scsi6", "local:0.0625"))
			require.True(t, s.conf(100).Pending.Has("scsi6"), "no hotplug of disks")
			require.NoError(t, s.setVM(100, "delete", "scsi6"))
			require.Equal(t, 2, len(slices.DeleteFunc(s.conf(100).Main.Keys(), func(k string) bool { return !strings.HasPrefix(k, "unused") }))+
				len(slices.DeleteFunc(s.conf(100).Main.Keys(), func(k string) bool { return k != "scsi1" })), "a pending disk becomes unused")
		})
	}
}

func TestAFailedPlugLeavesNothingBehind(t *testing.T) {
	s := newGuestSite(t)
	s.makeVM(100, "memory", 32, "ide0", "local:0,import-from="+s.bootImage())
	s.startVM(100)
	held := s.heldBy(100)
	err := s.setVM(100, "net0", "virtio,bridge=vmbr9")
	require.Equal(t, call.ParamErrors{"net0": "hotplug problem - error on hotplug device 'net0' - bridge 'vmbr9' does not exist"}, err)
	require.True(t, s.conf(100).Pending.Has("net0"))
	require.Empty(t, s.taps())
	require.Equal(t, held, s.heldBy(100))
	require.NoError(t, s.setVM(100, "delete", "net0"))

	require.NoError(t, s.guest(100).do(s.root(), "object-add", map[string]any{"qom-type": "throttle-group", "id": "x"}, nil))
	require.NoError(t, s.guest(100).do(s.root(), "device_add", map[string]any{"driver": "virtio-rng-pci", "id": "virtio3", "bus": "pci.0"}, nil))
	err = s.setVM(100, "virtio3", "local:0.0625")
	require.ErrorContains(t, err, "virtio3: hotplug problem - error on hotplug device 'virtio3' - VM 100 qmp command failed - ")
	require.True(t, s.conf(100).Pending.Has("virtio3"))
	require.Equal(t, held, s.heldBy(100))
	require.NotContains(t, s.query(100, "query-named-block-nodes", nil), "drive-virtio3")
	require.NotContains(t, s.query(100, "qom-list", map[string]any{"path": "/objects"}), "virtio3")
	require.Zero(t, s.owner("local:100/vm-100-disk-1.raw"))
}

func TestHotplugOfNetworkCards(t *testing.T) {
	s := newGuestSite(t)
	s.makeVM(100, "memory", 32, "ide0", "local:0,import-from="+s.bootImage(), "net0", "virtio,bridge=vmbr0")
	s.startVM(100)
	require.NoError(t, s.setVM(100, "net1", "virtio,bridge=vmbr1,queues=2,link_down=1", "net2", "e1000,bridge=vmbr0"))
	require.Empty(t, s.conf(100).Pending)
	require.ElementsMatch(t, []string{"tap100i0", "tap100i1", "tap100i2"}, s.taps())
	require.Contains(t, s.hmp(100, "info network"), "net1")
	require.ElementsMatch(t, []string{"tap100i0", "tap100i1", "tap100i2"}, s.heldBy(100).Ports)

	mac := mustNet(s.conf(100).Main["net0"]).MAC
	require.NoError(t, s.setVM(100, "net0", "virtio="+mac+",bridge=vmbr1,link_down=1"))
	ports, err := s.net.Ports(s.root(), "tap100i0")
	require.NoError(t, err)
	require.Equal(t, "vmbr1", ports[0].Master)
	require.Contains(t, s.query(100, "qom-list", map[string]any{"path": "/machine/peripheral"}), `"net0"`)
	err = s.setVM(100, "net0", "virtio="+mac+",bridge=vmbr7")
	require.Equal(t, call.ParamErrors{"net0": "hotplug problem - bridge 'vmbr7' does not exist"}, err)
	require.Contains(t, s.conf(100).Main["net0"], "bridge=vmbr1")
}

func TestMediaOfARunningVM(t *testing.T) {
	s := newGuestSite(t)
	for _, st := range []string{"local/template/iso", "isos/template/iso"} {
		require.NoError(t, os.MkdirAll(filepath.Join(s.dir, st), 0o755))
	}
	for _, name := range []string{"local/template/iso/a.iso", "isos/template/iso/b.iso"} {
		require.NoError(t, os.WriteFile(filepath.Join(s.dir, name), make([]byte, 64<<10), 0o600))
	}
	s.makeVM(100, "memory", 32, "scsi0", "local:0,import-from="+s.bootImage(), "ide2", "none,media=cdrom", "ide0", "local:cloudinit", "ciuser", "me")
	s.startVM(100)
	inserted := func(key string) string {
		var list []struct {
			QDev     string `json:"qdev"`
			TrayOpen bool   `json:"tray_open"`
			Inserted struct {
				Image struct{ Filename string }
			}
		}
		require.NoError(t, json.Unmarshal([]byte(s.query(100, "query-block", nil)), &list))
		for _, b := range list {
			if b.QDev == key || strings.HasSuffix(b.QDev, "/"+key) {
				require.False(t, b.TrayOpen)
				file, _, _ := strings.Cut(b.Inserted.Image.Filename[strings.LastIndexByte(b.Inserted.Image.Filename, '/')+1:], "\"")
				return file
			}
		}
		return ""
	}
	require.NoError(t, s.setVM(100, "ide2", "local:iso/a.iso,media=cdrom"))
	require.Equal(t, "a.iso", inserted("ide2"))
	require.Equal(t, "local:iso/a.iso,media=cdrom,size=64K", s.conf(100).Main["ide2"])
	require.NoError(t, s.setVM(100, "ide2", "isos:iso/b.iso,media=cdrom"))
	require.Equal(t, "b.iso", inserted("ide2"))
	require.Contains(t, s.heldBy(100).Volumes, "isos:iso/b.iso")
	require.NotContains(t, s.heldBy(100).Volumes, "local:iso/a.iso")
	require.NoError(t, s.setVM(100, "ide2", "none,media=cdrom"))
	require.Empty(t, inserted("ide2"))
	require.Empty(t, s.conf(100).Pending)
	err := s.setVM(100, "ide2", "local:0.0625")
	require.Equal(t, call.ParamErrors{"ide2": "hotplug problem - unable to change media type"}, err)
	require.NoError(t, s.setVM(100, "revert", "ide2"))

	const volid = "local:100/vm-100-cloudinit.qcow2"
	require.NoError(t, s.setVM(100, "ciuser", "you"))
	require.Equal(t, "you", s.cloudInitRow(100, "ciuser").Pending)
	require.NotContains(t, s.content(volid), "user: you\n")
	_, err = ask(s, s.root(), s.PutNodesQemuCloudinit, kv{"vmid", 100})
	require.NoError(t, err)
	require.Contains(t, s.content(volid), "user: you\n")
	require.Equal(t, "vm-100-cloudinit.qcow2", inserted("ide0"))
	require.Equal(t, s.heldBy(100).UID, s.owner(volid))
	require.Nil(t, s.cloudInitRow(100, "ciuser").Pending)

	require.NoError(t, s.setVM(100, "hotplug", "network,cloudinit"))
	require.NoError(t, s.setVM(100, "ciuser", "all"))
	require.Contains(t, s.content(volid), "user: all\n", "with the hotplug feature it is at once")
	require.Nil(t, s.cloudInitRow(100, "ciuser").Pending)
	require.Equal(t, "vm-100-cloudinit.qcow2", inserted("ide0"))
}

func TestSmallChangesOfARunningVM(t *testing.T) {
	s := newGuestSite(t)
	s.makeVM(100, "memory", 64, "balloon", 48, "shares", 0, "scsi0", "local:0,import-from="+s.bootImage())
	s.startVM(100)
	require.NoError(t, s.setVM(100, "balloon", 32))
	require.Equal(t, "32", s.conf(100).Main["balloon"])
	require.NoError(t, s.setVM(100, "balloon", 0))
	require.Equal(t, "0", s.conf(100).Pending["balloon"], "whether there is one is decided at the start")
	require.NoError(t, s.setVM(100, "revert", "balloon"))
	require.NoError(t, s.setVM(100, "cpuunits", 200, "cpulimit", "0.5"))
	require.Empty(t, s.conf(100).Pending)
	require.NoError(t, s.setVM(100, "tablet", 0))
	require.NotContains(t, s.query(100, "qom-list", map[string]any{"path": "/machine/peripheral"}), `"tablet"`)
	require.NoError(t, s.setVM(100, "delete", "tablet"))
	require.Contains(t, s.query(100, "qom-list", map[string]any{"path": "/machine/peripheral"}), `"tablet"`)
	require.Empty(t, s.conf(100).Pending)
}

func TestProcessorsAndMemoryArePlugged(t *testing.T) {
	s := newGuestSite(t)
	s.makeVM(100, "memory", 1024, "numa", 1, "cores", 2, "vcpus", 1, "hotplug", "cpu,memory,disk", "scsi0", "local:0,import-from="+s.bootImage())
	s.startVM(100)
	require.NoError(t, s.setVM(100, "vcpus", 2))
	require.Empty(t, s.conf(100).Pending)
	require.Equal(t, "2", s.conf(100).Main["vcpus"])
	require.Len(t, strings.Split(s.query(100, "query-cpus-fast", nil), `"cpu-index"`), 3)
	require.Equal(t, call.ParamErrors{"vcpus": "hotplug problem - you can't add more vcpus than maxcpus"}, s.setVM(100, "vcpus", 3))
	require.NoError(t, s.setVM(100, "revert", "vcpus"))
	require.NoError(t, s.setVM(100, "memory", 2048))
	require.Empty(t, s.conf(100).Pending)
	require.Contains(t, s.query(100, "query-memory-devices", nil), `"dimm1"`)
	require.ErrorContains(t, s.setVM(100, "memory", 512), "memory can't be lower than 1024 MB")
	require.Equal(t, call.ParamErrors{"memory": "hotplug problem - dimm1: error unplug memory module"}, s.setVM(100, "memory", 1024), "the guest does not listen")
	require.Equal(t, "2048", s.conf(100).Main["memory"])
	require.NoError(t, s.setVM(100, "memory", 3072))
	require.Equal(t, "3072", s.conf(100).Main["memory"])
}

func TestCloneOfRunningFirmwareVariables(t *testing.T) {
	s := newGuestSite(t)
	need.That(t, "ovmf", hasFirmware(t), "firmware of the distribution")
	s.makeVM(100, "memory", 64, "bios", "ovmf", "efidisk0", "local:1,efitype=4m", "scsi0", "local:0,import-from="+s.bootImage())
	s.startVM(100)
	s.cloneVM(100, 101)
	require.Equal(t, "local:101/vm-101-disk-0.raw,efitype=4m,size=528K", s.conf(101).Main["efidisk0"])
	s.startVM(101)
}

func TestCloneOfARunningVM(t *testing.T) {
	s := newGuestSite(t)
	s.makeVM(100, "memory", 32, "scsihw", "virtio-scsi-pci", "scsi0", "local:0,import-from="+s.bootImage(), "virtio0", "other:0.0625,format=qcow2,mbps=2",
		"ide2", "local:cloudinit", "net0", "virtio,bridge=vmbr0")
	s.startVM(100)
	log := s.cloneVM(100, 101, "name", "copy")
	require.Contains(t, log, "create full clone of drive scsi0 (local:100/vm-100-disk-0.raw)")
	main := s.conf(101).Main
	require.Equal(t, "local:101/vm-101-disk-0.raw,size=1M", main["scsi0"])
	require.Equal(t, "other:101/vm-101-disk-0.qcow2,mbps=2,size=64M", main["virtio0"])
	data, err := os.ReadFile(s.path("local:101/vm-101-disk-0.raw"))
	require.NoError(t, err)
	require.Equal(t, bootSector(), data[:512])
	require.Zero(t, s.owner("local:101/vm-101-disk-0.raw"))
	require.Equal(t, "[]", s.query(100, "query-jobs", nil))
	require.NotContains(t, s.query(100, "query-named-block-nodes", nil), "clone-")
	s.startVM(101)
	s.awaitMarker(101)
	s.cloneVM(100, 102, "storage", "other", "format", "qcow2", "bwlimit", 100000)
	require.Contains(t, s.conf(102).Main["scsi0"], "other:102/vm-102-disk-0.qcow2")

	_, err = ask(s, s.root(), s.PostNodesQemuClone, kv{"vmid", 100, "newid", 103, "full", 0})
	require.EqualError(t, err, "Linked clone feature is not supported for 'local:100/vm-100-disk-0.raw' (scsi0)")

	// Cancelled on the way: slow enough to be sure.
	s.ok(ask(s, s.root(), s.PutNodesQemuResize, kv{"vmid", 100, "disk", "scsi0", "size", "64M"}))
	require.NoError(t, s.guest(100).do(s.root(), "human-monitor-command", map[string]any{"command-line": "qemu-io drive-scsi0 \"write -P 7 1M 60M\""}, nil))
	up, err := ask(s, s.root(), s.PostNodesQemuClone, kv{"vmid", 100, "newid", 103, "bwlimit", 100})
	require.NoError(t, err)
	s.eventually("the copy runs", func() bool { return strings.Contains(s.query(100, "query-jobs", nil), `"running"`) })
	s.cancel(up)
	require.Equal(t, "received interrupt", s.fails(up, nil))
	require.Equal(t, "[]", s.query(100, "query-jobs", nil))
	require.NotContains(t, s.query(100, "query-named-block-nodes", nil), "clone-")
	require.Equal(t, []int{100, 101, 102}, s.vmids())
	require.Empty(t, s.orphans())

	// Broken off by the daemon's end.
	up, err = ask(s, s.root(), s.PostNodesQemuClone, kv{"vmid", 100, "newid", 103, "bwlimit", 100})
	require.NoError(t, err)
	s.eventually("the copy runs", func() bool { return strings.Contains(s.query(100, "query-jobs", nil), `"running"`) })
	s.restart()
	exit, _ := s.wait(up)
	require.Equal(t, interrupted, exit)
	require.Equal(t, "[]", s.query(100, "query-jobs", nil))
	require.Equal(t, []int{100, 101, 102}, s.vmids())
	require.Empty(t, s.orphans())
}

// awaitMarker waits until the guest of bootSector has begun to print.
func (s *site) awaitMarker(id int) {
	s.t.Helper()
	s.eventually("the guest is up", func() bool {
		return strings.Contains(s.hmp(id, "xp /10c 0x7c16"), "'g' 'p' 'v' 'e'")
	})
}

// A guest with a real kernel lets devices go.
func TestGuestLetsDevicesGo(t *testing.T) {
	s := newGuestSite(t)
	disk := tinyguest.Disk(t)
	s.makeVM(100, "memory", 160, "scsihw", "virtio-scsi-single", "ide0", "local:0,format=qcow2,import-from="+disk, "net0", "virtio,bridge=vmbr0",
		"serial0", "socket", "scsi1", "local:0.0625,iothread=1", "virtio1", "local:0.0625", "agent", 1)
	s.startVM(100)
	tinyguest.OpenConsole(t, filepath.Join(s.runDir(100), "serial0"), time.Minute).Await(tinyguest.Up)
	require.NoError(t, s.setVM(100, "delete", "net0,virtio1"))
	require.Equal(t, []string{"boot"}, s.conf(100).Pending.Keys(), "its order is the next start's")
	require.Empty(t, s.taps())
	require.Empty(t, s.heldBy(100).Ports)
	require.Equal(t, "local:100/vm-100-disk-2.raw", s.conf(100).Main["unused0"])
	require.NoError(t, s.setVM(100, "net0", "virtio,bridge=vmbr1", "virtio1", "local:100/vm-100-disk-2.raw"))
	require.NoError(t, s.setVM(100, "net0", "e1000,bridge=vmbr0"), "another card in its place")
	require.Equal(t, []string{"tap100i0"}, s.taps())
	require.NoError(t, s.setVM(100, "delete", "scsi1"))
	peripherals := s.query(100, "qom-list", map[string]any{"path": "/machine/peripheral"})
	require.NotContains(t, peripherals, `"virtioscsi1"`, "the controller of one disk goes with it")
	require.NotContains(t, s.query(100, "qom-list", map[string]any{"path": "/objects"}), "iothread-virtioscsi1")
	log := s.cloneVM(100, 101)
	require.Contains(t, log, "WARN: found pending changes for 'boot', discarding for clone")
	require.Contains(t, log, "issuing guest agent 'guest-fsfreeze-freeze' command")
	require.Contains(t, log, "issuing guest agent 'guest-fsfreeze-thaw' command")
}

// cancel stops a task.
func (s *site) cancel(text string) {
	s.t.Helper()
	id, err := upid.Parse(text)
	require.NoError(s.t, err)
	require.NoError(s.t, s.tasks.Cancel(s.root(), id))
}
