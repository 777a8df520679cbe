package machineconf_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/vm/machineconf"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/storage/volid"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// testHost is the host of testdata.
func testHost(t testing.TB) *machineconf.Host {
	t.Helper()
	text, err := os.ReadFile("testdata/host.json")
	require.NoError(t, err)
	h, _, err := machineconf.ParseHost(text)
	require.NoError(t, err)
	return h
}

func testStorages() map[string]volid.Storage {
	list := map[string]volid.Storage{}
	for _, s := range []volid.Storage{
		{ID: "data", Type: "dir", Options: map[string]string{"path": "/vmdata", "content": "images,iso,import,snippets"}},
		{ID: "chain", Type: "dir", Options: map[string]string{"path": "/chain", "content": "images", "snapshot-as-volume-chain": "1"}},
		{ID: "bt", Type: "btrfs", Options: map[string]string{"path": "/bt", "content": "images"}},
		{ID: "isos", Type: "dir", Options: map[string]string{"path": "/isos", "content": "iso"}},
		{ID: "off", Type: "dir", Options: map[string]string{"path": "/off", "content": "images", "disable": "1"}},
		{ID: "there", Type: "lvm", Options: map[string]string{"vgname": "vg", "content": "images", "nodes": "beta"}},
		{ID: "lvm", Type: "lvm", Options: map[string]string{"vgname": "vg", "content": "images"}},
		{ID: "thin", Type: "lvmthin", Options: map[string]string{"vgname": "vg", "thinpool": "t", "content": "images"}},
		{ID: "tank", Type: "zfspool", Options: map[string]string{"pool": "tank/vm", "content": "images"}},
		{ID: "san", Type: "zfs", Options: map[string]string{"pool": "p", "portal": "10.1.1.1", "target": "iqn.2020-01.example:san", "content": "images"}},
		{ID: "luns", Type: "iscsi", Options: map[string]string{"portal": "10.1.1.2", "target": "iqn.2020-01.example:luns", "content": "images"}},
		{ID: "ceph", Type: "rbd", Options: map[string]string{"pool": "vms", "namespace": "prod", "monhost": "10.2.0.1,fd00::2", "username": "pve", "content": "images"}},
		{ID: "local-ceph", Type: "rbd", Options: map[string]string{"content": "images"}},
		{ID: "kernel-ceph", Type: "rbd", Options: map[string]string{"pool": "vms", "krbd": "1", "fsid": "aa-bb", "content": "images"}},
	} {
		list[s.ID] = s
	}
	return list
}

func testMappings() machineconf.Mappings {
	return machineconf.Mappings{
		PCI: map[string]machineconf.PCIMapping{
			"nic": {LiveMigration: true, Entries: []machineconf.PCIMapEntry{
				{Node: "alpha", Path: "0000:22:00.0", ID: "8086:10fb", IOMMUGroup: "22"}, {Node: "beta", Path: "0000:01:00.0", ID: "8086:10fb"}}},
			"vgpu":  {MDev: true, Entries: []machineconf.PCIMapEntry{{Node: "alpha", Path: "0000:23:00.0", ID: "10de:20b5", IOMMUGroup: "23"}}},
			"moved": {Entries: []machineconf.PCIMapEntry{{Node: "alpha", Path: "0000:22:00.0", ID: "8086:1234", IOMMUGroup: "22"}}},
			"gone":  {Entries: []machineconf.PCIMapEntry{{Node: "alpha", Path: "0000:77:00.0", ID: "8086:1234"}}},
		},
		USB: map[string]machineconf.USBMapping{
			"stick": {Entries: []machineconf.USBMapEntry{{Node: "alpha", ID: "0951:1666", Path: "1-4"}}},
			"id":    {Entries: []machineconf.USBMapEntry{{Node: "alpha", ID: "0951:1666"}}},
			"twice": {Entries: []machineconf.USBMapEntry{{Node: "alpha", ID: "0951:1666"}, {Node: "alpha", ID: "0951:1667"}}},
			"lost":  {Entries: []machineconf.USBMapEntry{{Node: "alpha", ID: "dead:beef"}}},
		},
		Dir: map[string]machineconf.DirMapping{
			"share": {Entries: []machineconf.DirMapEntry{{Node: "alpha", Path: "/share"}}},
			"other": {Entries: []machineconf.DirMapEntry{{Node: "beta", Path: "/share"}}},
			"empty": {Entries: []machineconf.DirMapEntry{{Node: "alpha", Path: "/nowhere"}}},
		},
	}
}

func testModels() map[string]machineconf.CPUModel {
	return map[string]machineconf.CPUModel{
		"fast": {ReportedModel: "EPYC-Rome", Flags: vmconfig.CPUFlags{{Name: "x2apic", On: false}, {Name: "nested-virt", On: true}},
			Hidden: vmconfig.Some(true), HVVendorID: "maker", PhysBits: "host", Level: vmconfig.Some(0), GuestPhysBits: vmconfig.Some(40)},
		"plain": {},
	}
}

// testInput is guest 310 with the given configuration.
func testInput(t testing.TB, text string) *machineconf.Input {
	t.Helper()
	conf, problems, err := vmconfig.Parse(text, vmconfig.ParseOptions{VMID: 310, CustomCPU: func(name string) bool {
		_, ok := testModels()[name]
		return ok
	}})
	require.NoError(t, err)
	require.Empty(t, problems)
	return &machineconf.Input{VMID: 310, Config: conf.Main, Host: testHost(t), Storages: testStorages(), Mappings: testMappings(),
		CPUModels: testModels(), RunDir: "/run/gp/310"}
}

// lines writes a command line with one option a line.
func lines(argv []string) string {
	var b strings.Builder
	for i, a := range argv {
		switch {
		case i == 0:
		case strings.HasPrefix(a, "-"):
			b.WriteString("\n")
		default:
			b.WriteString(" ")
		}
		b.WriteString(a)
	}
	return b.String() + "\n"
}

// TestGolden translates every testdata/*.conf into both forms.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.conf")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for suffix, profile := range map[string]machineconf.Profile{".args": machineconf.ProxmoxForm, ".launch": machineconf.Launch} {
			name := strings.TrimSuffix(file, ".conf") + suffix
			t.Run(filepath.Base(name), func(t *testing.T) {
				in := testInput(t, string(text))
				in.Profile = profile
				res, err := machineconf.Translate(in)
				require.NoError(t, err)
				got := lines(res.Argv())
				for _, w := range res.Warnings {
					got += "# " + w + "\n"
				}
				if *update {
					require.NoError(t, os.WriteFile(name, []byte(got), 0o644))
				}
				want, err := os.ReadFile(name)
				require.NoError(t, err)
				require.Equal(t, string(want), got)
			})
		}
	}
}

// TestSameTwice: equal inputs give equal lines, whatever the order of maps.
func TestSameTwice(t *testing.T) {
	text, err := os.ReadFile("testdata/disks.conf")
	require.NoError(t, err)
	first, err := machineconf.Translate(testInput(t, string(text)))
	require.NoError(t, err)
	for range 20 {
		again, err := machineconf.Translate(testInput(t, string(text)))
		require.NoError(t, err)
		require.Equal(t, first.Argv(), again.Argv())
	}
}
