package hostdisk_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/hostdisk"
)

func Example() {
	disks := hostdisk.List(hostdisk.Facts{
		Devices: []hostdisk.Device{{Name: "sda", Sectors: 2048, Rotational: "0", Udev: "E: DEVNAME=/dev/sda\nE: ID_MODEL=FLASH\n",
			Partitions: []hostdisk.Partition{{Name: "sda1", Sectors: 1024}}}},
		Mounts: "/dev/sda1 /boot ext4 rw 0 0\n",
	})
	disks[0].AddSMART(hostdisk.ParseSMART("=== START OF READ SMART DATA SECTION ===\nSMART Health Status: OK\n"))
	row := disks[0].Row()
	fmt.Println(row["devpath"], row["type"], row["model"], row["size"], row["used"], row["health"])
	// Output: /dev/sda ssd FLASH 1048576 mounted OK
}

func one(t *testing.T, d hostdisk.Device, f hostdisk.Facts) hostdisk.Disk {
	t.Helper()
	if d.Name == "" {
		d.Name = "sdx"
	}
	d.Sectors = max(d.Sectors, 8)
	f.Devices = []hostdisk.Device{d}
	list := hostdisk.List(f)
	require.Len(t, list, 1)
	return list[0]
}

func TestWhichDevices(t *testing.T) {
	var f hostdisk.Facts
	for _, n := range []string{"sdb", "sda", "hdc", "vda", "xvdb", "nvme0n1", "cciss!c0d1", "loop0", "dm-0", "sr0", "sda1", "md0", "zd0", "nvme0c0n1"} {
		f.Devices = append(f.Devices, hostdisk.Device{Name: n, Sectors: 1})
	}
	f.Devices = append(f.Devices, hostdisk.Device{Name: "sdz"}, // no size
		hostdisk.Device{Name: "sdy", Sectors: 1, Udev: "E: ID_CDROM=1\n"},
		hostdisk.Device{Name: "sdw", Sectors: 1, Udev: "E: DEVPATH=/devices/platform/host3/session1/target3:0:0/block/sdw\n"})
	var names []string
	for _, d := range hostdisk.List(f) {
		names = append(names, d.Name)
	}
	require.Equal(t, []string{"cciss/c0d1", "hdc", "nvme0n1", "sda", "sdb", "vda", "xvdb"}, names)
}

func TestProperties(t *testing.T) {
	d := one(t, hostdisk.Device{Rotational: "1", Vendor: " ACME \n", Model: "old\n", Udev: "P: x\nN: sdx\nE: DEVNAME=/dev/sdx\nE: ID_MODEL=M=1\nE: ID_SERIAL_SHORT=S\nE: ID_WWN=0x5\n" +
		"E: ID_PART_TABLE_TYPE=gpt\nE: ID_ATA_ROTATION_RATE_RPM=7200\nE: DEVLINKS=/dev/disk/by-path/p /dev/disk/by-id/wwn-0x5 /dev/disk/by-id/ata-M_S /dev/disk/by-id/scsi-M\n"}, hostdisk.Facts{})
	require.Equal(t, hostdisk.Disk{Name: "sdx", Path: "/dev/sdx", Type: "hdd", SizeBytes: 4096, GPT: true, Serial: "S", Vendor: "ACME", Model: "M=1", WWN: "0x5",
		ByID: "/dev/disk/by-id/ata-M_S", RPM: 7200}, plain(d))
	for _, c := range []struct {
		d    hostdisk.Device
		typ  string
		rpm  int
		byID string
	}{
		{hostdisk.Device{Rotational: "0"}, "ssd", 0, ""},
		{hostdisk.Device{Rotational: "0", Name: "nvme1n1", Udev: "E: DEVLINKS=/dev/disk/by-id/nvme-eui.12 /dev/disk/by-id/nvme-X\n"}, "nvme", 0, "/dev/disk/by-id/nvme-X"},
		{hostdisk.Device{Rotational: "1", Udev: "E: ID_BUS=usb\n"}, "usb", 0, ""},
		{hostdisk.Device{Rotational: "1", Udev: "E: ID_BUS=scsi\n"}, "unknown", -1, ""},
		{hostdisk.Device{}, "unknown", -1, ""},
	} {
		d := one(t, c.d, hostdisk.Facts{})
		require.Equal(t, []any{c.typ, c.rpm, c.byID, "unknown", "unknown"}, []any{d.Type, d.RPM, d.ByID, d.Vendor, d.Serial})
	}
}

// plain drops what is not exported.
func plain(d hostdisk.Disk) hostdisk.Disk {
	return hostdisk.Disk{Name: d.Name, Path: d.Path, Type: d.Type, SizeBytes: d.SizeBytes, GPT: d.GPT, Serial: d.Serial, Vendor: d.Vendor, Model: d.Model, WWN: d.WWN, ByID: d.ByID, RPM: d.RPM}
}

func TestUse(t *testing.T) {
	lsblk := func(path, typ, fs string) string {
		return fmt.Sprintf(`{"blockdevices":[{"path":%q,"parttype":%q,"fstype":%q},{"path":null}]}`, path, typ, fs)
	}
	part := func(names ...string) hostdisk.Device {
		d := hostdisk.Device{Udev: "E: ID_PART_TABLE_TYPE=gpt\n"}
		for _, n := range names {
			d.Partitions = append(d.Partitions, hostdisk.Partition{Name: n, Sectors: 1})
		}
		return d
	}
	held := part("sdx1")
	held.Partitions[0].Held = true
	for _, c := range []struct {
		name string
		d    hostdisk.Device
		f    hostdisk.Facts
		use  string
	}{
		{"nothing", hostdisk.Device{}, hostdisk.Facts{}, ""},
		{"LVM", hostdisk.Device{}, hostdisk.Facts{PVs: "  /dev/sdx\n", Mounts: "/dev/sdx /x\n"}, "LVM"},
		{"LVM by type", part("sdx1"), hostdisk.Facts{LSBLK: lsblk("/dev/sdx1", "E6D6D379-F507-44C2-A23C-238F2A3DF928", "LVM2_member")}, "LVM"},
		{"ZFS", hostdisk.Device{}, hostdisk.Facts{ZPool: "/dev/sdy\t1\n\t/dev/sdx\t1\n"}, "ZFS"},
		{"a pool of that name", hostdisk.Device{}, hostdisk.Facts{ZPool: "/dev/sdx\t1\n"}, ""},
		{"BIOS boot goes first by name", part("sdx2", "sdx1"), hostdisk.Facts{LSBLK: lsblk("/dev/sdx1", "21686148-6449-6e6f-744e-656564454649", ""), PVs: "/dev/sdx2"}, "BIOS boot"},
		{"EFI", part("sdx1"), hostdisk.Facts{LSBLK: lsblk("/dev/sdx1", "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "vfat")}, "EFI"},
		{"file system", hostdisk.Device{}, hostdisk.Facts{LSBLK: lsblk("/dev/sdx", "", "ext4"), Mounts: "/dev/sdx /x"}, "ext4"},
		{"mounted", hostdisk.Device{}, hostdisk.Facts{Mounts: "/dev/sdx /x ext4 rw 0 0"}, "mounted"},
		{"mapped", hostdisk.Device{Held: true}, hostdisk.Facts{}, "Device Mapper"},
		{"mapped partition", held, hostdisk.Facts{}, "Device Mapper"},
		{"partitions", part("sdx1"), hostdisk.Facts{}, "partitions"},
		{"output that is none", hostdisk.Device{}, hostdisk.Facts{LSBLK: "lsblk: not found", LVs: "x", Mounts: "x", ZPool: "\t\n"}, ""},
	} {
		d := one(t, c.d, c.f)
		require.Equal(t, c.use, d.Used, c.name)
		require.Equal(t, c.use == "", d.Unused())
	}
	d := part("sdx1")
	empty := one(t, d, hostdisk.Facts{})
	require.True(t, empty.TakesJournals())
	mounted := one(t, d, hostdisk.Facts{Mounts: "/dev/sdx1 /x"})
	require.False(t, mounted.TakesJournals())
	require.False(t, mounted.Mounted)
	require.True(t, mounted.Partitions[0].Mounted)
}

func TestOSDs(t *testing.T) {
	lv := func(lines ...string) hostdisk.Facts {
		return hostdisk.Facts{PVs: "/dev/sdx\n", LVs: "  " + strings.Join(lines, "\n  ") + "\n"}
	}
	d := one(t, hostdisk.Device{}, lv("/dev/sdx(0);osd-block-a;ceph.osd_id=7,ceph.encrypted=1", "/dev/sdy(0),/dev/sdx(9);osd-db-b;", "/dev/sdx(8);osd-wal-c;", "/dev/sdx(4);root;x"))
	require.Equal(t, hostdisk.OSD{IDs: []int{7}, Bluestore: true, Encrypted: true, DB: 1, WAL: 1}, d.OSD)
	require.False(t, d.TakesJournals())
	d = one(t, hostdisk.Device{}, lv("/dev/sdx(0);osd-data-a;ceph.osd_id=7", "/dev/sdx(9);osd-data-b;ceph.osd_id=3", "/dev/sdx(9);osd-data-b;ceph.osd_id=7"))
	require.Equal(t, hostdisk.OSD{IDs: []int{7, 3}}, d.OSD)
	d = one(t, hostdisk.Device{}, lv("/dev/sdx(0);osd-block-a;ceph.osd_id=-7", "/dev/sdx(0);osd-journal-a;"))
	require.Equal(t, hostdisk.OSD{Journals: 1}, d.OSD)
	require.True(t, d.TakesJournals())
	row := d.Row()
	require.Equal(t, -1, row["osdid"])
	require.NotContains(t, row, "bluestore")
	// An OSD by its mount point, and a partition by its type.
	d = one(t, hostdisk.Device{Partitions: []hostdisk.Partition{{Name: "sdx1"}, {Name: "sdx2"}, {Name: "sdx3"}}}, hostdisk.Facts{
		Mounts: "/dev/sdx1 /var/lib/ceph/osd/ceph-12 xfs\n",
		LSBLK:  `{"blockdevices":[{"path":"/dev/sdx2","parttype":"cafecafe-9b03-4f30-b4c6-b4b80ceff106"},{"path":"/dev/sdx3","parttype":"30cd0809-c2b2-499c-8879-2d6b78529876"}]}`})
	require.Equal(t, hostdisk.OSD{IDs: []int{12}, Bluestore: true, DB: 1}, d.OSD)
	require.Equal(t, 12, d.Row()["osdid"])
}

func TestRows(t *testing.T) {
	d := one(t, hostdisk.Device{Partitions: []hostdisk.Partition{{Name: "sdx2"}, {Name: "sdx1", Sectors: 2}}}, hostdisk.Facts{Mounts: "/dev/sdx1 /x"})
	rows := hostdisk.Rows([]hostdisk.Disk{d}, false)
	require.Len(t, rows, 1)
	require.Equal(t, "mounted", rows[0]["used"])
	rows = hostdisk.Rows([]hostdisk.Disk{d}, true)
	require.Len(t, rows, 3)
	require.Equal(t, "partitions", rows[0]["used"])
	require.Equal(t, map[string]any{"devpath": "/dev/sdx1", "parent": "/dev/sdx", "size": int64(1024), "gpt": 0, "type": "partition", "mounted": 1, "used": "mounted",
		"osdid": -1, "osdid-list": nil}, rows[1])
	text, err := json.Marshal(rows)
	require.NoError(t, err)
	require.Contains(t, string(text), `"osdid-list":null`)
	require.NotNil(t, hostdisk.Rows(nil, true))
}

const ataReport = `smartctl 7.3
=== START OF INFORMATION SECTION ===
Serial Number: X
=== START OF READ SMART DATA SECTION ===
SMART overall-health self-assessment test result: PASSED

SMART Attributes Data Structure revision number: 1
ID# ATTRIBUTE_NAME          FLAGS    VALUE WORST THRESH FAIL RAW_VALUE
  9 Power_On_Hours          -O--CK   091   090   000    -    77 (1 2)
177 Wear_Leveling_Count     PO--C-   088   088   ---    NOW  5
202 Percent_Lifetime_Used   ----CK   033   033   001    -    67
                            ||||||_ K auto-keep
`

func TestSMART(t *testing.T) {
	s := hostdisk.ParseSMART(ataReport)
	require.Equal(t, hostdisk.SMART{Type: "ata", Health: "PASSED", Attributes: []hostdisk.Attribute{
		{ID: "  9", Name: "Power_On_Hours", Flags: "-O--CK", Value: 91, Worst: 90, Fail: "-", Raw: "77 (1 2)"},
		{ID: "177", Name: "Wear_Leveling_Count", Flags: "PO--C-", Value: 88, Worst: 88, Fail: "NOW", Raw: "5"},
		{ID: "202", Name: "Percent_Lifetime_Used", Flags: "----CK", Value: 33, Worst: 33, Threshold: 1, Fail: "-", Raw: "67"},
	}}, s)
	life, ok := s.Life()
	require.True(t, ok)
	require.Equal(t, 88, life)
	require.NotContains(t, s.Row(), "wearout")
	s = hostdisk.ParseSMART("=== START OF SMART DATA SECTION ===\nSMART Health Status: FAILED!\nPercentage Used:  120%\n\n=== START OF OTHER ===\nx\n")
	require.Equal(t, map[string]any{"type": "text", "health": "FAILED!", "text": "Percentage Used:  120%\n\n", "wearout": -20}, s.Row())
	s = hostdisk.ParseSMART("SMART Disabled. Use option -s\n")
	require.Equal(t, map[string]any{"health": "SMART Disabled"}, s.Row())
	require.Equal(t, map[string]any{"health": "UNKNOWN"}, hostdisk.ParseSMART("").Row())

	d := one(t, hostdisk.Device{Rotational: "1", Udev: "E: ID_ATA_ROTATION_RATE_RPM=5400\n"}, hostdisk.Facts{})
	d.AddSMART(hostdisk.ParseSMART(ataReport))
	require.Equal(t, []any{"PASSED", "N/A"}, []any{d.Row()["health"], d.Row()["wearout"]}) // what rotates does not wear
	d = one(t, hostdisk.Device{Rotational: "0"}, hostdisk.Facts{})
	require.Equal(t, []any{"UNKNOWN", "N/A"}, []any{d.Row()["health"], d.Row()["wearout"]})
	d.AddSMART(hostdisk.ParseSMART(ataReport))
	require.Equal(t, []any{"PASSED", "88"}, []any{d.Row()["health"], d.Row()["wearout"]})
}

func FuzzOutputs(f *testing.F) {
	f.Add(ataReport, "E: DEVNAME=/dev/sda\n", `{"blockdevices":[{"path":"/dev/sda"}]}`, "/dev/sda(0);osd-block-x;ceph.osd_id=1")
	f.Fuzz(func(t *testing.T, smart, udev, lsblk, lvs string) {
		d := hostdisk.Device{Name: "sda", Sectors: 1, Udev: udev, Partitions: []hostdisk.Partition{{Name: "sda1"}}}
		for _, disk := range hostdisk.List(hostdisk.Facts{Devices: []hostdisk.Device{d}, LSBLK: lsblk, LVs: lvs, PVs: lvs, ZPool: lvs, Mounts: lvs}) {
			s := hostdisk.ParseSMART(smart)
			disk.AddSMART(s)
			require.Less(t, len(s.Text), 80<<10)
			_, err := json.Marshal([]any{disk.Row(), s.Row()})
			require.NoError(t, err)
		}
	})
}
