package machineconf_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/internal/vm/machineconf"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/storage/volid"
)

func TestParseHostTables(t *testing.T) {
	h := testHost(t)
	require.Equal(t, "alpha", h.Node)
	require.Equal(t, "::1", h.SPICEAddress)
	require.Equal(t, []int{2, 1024}, h.HugepagesMiB)
	require.True(t, h.NUMANode(1))
	require.False(t, h.NUMANode(2))
	require.Equal(t, 9000, h.BridgeMTU("jumbo"))
	require.Equal(t, 1500, h.BridgeMTU("vmbr0"))
	require.Equal(t, machineconf.BlockFile, h.Kind("/dev/sdq"))
	require.Equal(t, machineconf.Missing, h.Kind("/dev/sdr"))
	require.Equal(t, "tape", h.SCSIType("/dev/nst0"))
	require.True(t, h.ClusterFile("/etc/pve/priv/ceph/ceph.keyring"))
	require.False(t, h.ClusterFile("/etc/pve/priv/ceph/other.keyring"))
	require.True(t, h.Confidential.TDX)
	require.Equal(t, 51, h.Confidential.CBitPos)
	lun, err := h.LUN(volid.Storage{}, "x")
	require.NoError(t, err)
	require.Equal(t, 7, lun)
}

// TestParseHostSentences: a text in place of a table has no limits.
func TestParseHostSentences(t *testing.T) {
	h, storages, err := machineconf.ParseHost([]byte(`{
		"qemu_version": "10.0.2", "hugepages_chunk_size_supported": "all of them", "host_numa_nodes": "every one",
		"stat": "files everywhere, block devices below /dev/", "localhost_resolves_to": "127.0.0.1 (IPv4)",
		"ovmf_vars_size": [{"path_regex": "VARS_4M", "bytes": 42}],
		"qemu_features": {"io_uring": false},
		"storages": {"st": {"type": "rbd", "fsid": "12-34", "krbd": 1, "content": {"images": 1}, "shared": true}}}`))
	require.NoError(t, err)
	require.Equal(t, "x86_64", h.Arch)
	require.Equal(t, "127.0.0.1", h.SPICEAddress)
	require.Equal(t, 61000, h.SPICEPort)
	require.Equal(t, []int{2, 1024}, h.HugepagesMiB)
	require.Nil(t, h.NUMANode)
	require.Equal(t, machineconf.RegularFile, h.Kind("/srv/x"))
	require.Equal(t, machineconf.BlockFile, h.Kind("/dev/x"))
	require.Equal(t, int64(42), h.FirmwareSize("/x/OVMF_VARS_4M.ms.fd"))
	require.Zero(t, h.FirmwareSize("/x/other"))
	require.False(t, h.QEMU.IOUring)
	require.True(t, h.QEMU.SPICE)
	require.Nil(t, h.Confidential)
	require.Equal(t, volid.Storage{ID: "st", Type: "rbd", Options: map[string]string{"fsid": "12-34", "krbd": "1", "content": "images", "shared": "1"}}, storages["st"])
	require.Equal(t, "12-34", h.CephFSID(volid.Storage{ID: "st"}))
	_, err = h.LUN(volid.Storage{}, "x")
	require.Error(t, err)
}

func TestParseHostErrors(t *testing.T) {
	_, _, err := machineconf.ParseHost([]byte(`{"max_host_cpus": "many"}`))
	require.ErrorContains(t, err, "host facts")
	_, _, err = machineconf.ParseHost([]byte(`{"ovmf_vars_size": [{"path_regex": "("}]}`))
	require.ErrorContains(t, err, "ovmf_vars_size")
}

func TestProbe(t *testing.T) {
	need.Tool(t, "qemu-system-x86_64")
	h, err := machineconf.Probe(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, h.Node)
	require.Positive(t, h.CPUs)
	require.NotEmpty(t, h.CPUFlags)
	v, err := machineconf.ParseQEMUVersion(h.QEMU.Version)
	require.NoError(t, err)
	require.True(t, v.AtLeast(6, 0))
	require.Equal(t, machineconf.CharFile, h.Kind("/dev/null"))
	require.Equal(t, machineconf.Folder, h.Kind("/dev"))
	require.Equal(t, machineconf.Missing, h.Kind("/no/such/path"))
	require.Positive(t, h.BridgeMTU("lo"))
}

func TestParseQEMUVersion(t *testing.T) {
	for text, want := range map[string]machineconf.Version{
		"7.2.22 (Debian 1:7.2+dfsg)": {Major: 7, Minor: 2, Sub: 22}, "10.0": {Major: 10}, "9.2.90": {Major: 9, Minor: 2, Sub: 90},
	} {
		v, err := machineconf.ParseQEMUVersion(text)
		require.NoError(t, err)
		require.Equal(t, want, v)
	}
	_, err := machineconf.ParseQEMUVersion("unknown")
	require.Error(t, err)
	require.True(t, machineconf.Version{Major: 10}.AtLeast(9, 2, 1))
	require.False(t, machineconf.Version{Major: 9, Minor: 2}.AtLeast(9, 2, 1))
}

// TestMachineTypes: which type a configured one becomes, and which level it shows.
func TestMachineTypes(t *testing.T) {
	for _, c := range []struct{ conf, qemu, want string }{
		{"", "11.0.0", "pc+pve0"},
		{"", "10.0.2", "pc+pve0"},
		{"", "9.2.1", "pc+pve1"},
		{"", "8.0.0", "pc+pve0"},
		{"net0: e1000=BC:24:11:00:00:01", "10.0.2", "pc+pve1"},
		{"machine: q35\nostype: win10", "10.0.2", "pc-q35-5.1+pve0"},
		{"machine: q35\nostype: win10\nmeta: creation-qemu=9.2.0", "10.0.2", "pc-q35-9.2+pve0"},
		{"machine: pc\nostype: win10\nmeta: creation-qemu=10.1.0", "10.0.2", "pc-i440fx-10.0+pve0"},
		{"machine: pc\nostype: win10\nmeta: creation-qemu=10.1.0\nnet0: e1000=BC:24:11:00:00:01", "10.0.2", "pc-i440fx-10.0+pve1"},
		{"machine: pc-i440fx-9.2+pve1", "10.0.2", "pc-i440fx-9.2+pve1"},
		{"machine: pc-i440fx-9.2", "10.0.2", "pc-i440fx-9.2+pve0"},
		{"machine: pc-i440fx-4.1+pve1\nrng0: source=/dev/urandom", "10.0.2", "pc-i440fx-4.1+pve0"},
		{"machine: pc-i440fx-4.1+pve2\nrng0: source=/dev/urandom", "10.0.2", "pc-i440fx-4.1+pve2"},
		{"machine: pc-q35-5.1.pxe", "10.0.2", "pc-q35-5.1+pve0"},
	} {
		res, err := translate(t, c.conf, func(in *machineconf.Input) { in.Host.QEMU.Version = c.qemu })
		require.NoError(t, err, c.conf)
		require.Equal(t, c.want, res.Machine.Board.Type, c.conf)
	}
}

// FuzzTranslate: whatever a configuration says, the translation ends with a line or an
// error.
func FuzzTranslate(f *testing.F) {
	for _, s := range []string{
		"machine: q35\nostype: win11", "scsi0: thin:vm-310-disk-0,iothread=1\nboot: order=scsi0", "hostpci0: 21:00,pcie=1\nmachine: q35",
		"numa: 1\nnuma0: cpus=0-3,memory=512", "memory: 99999\nhotplug: memory\nnuma: 1", "net0: virtio,bridge=vmbr0,queues=64", "usb0: spice\nvga: qxl4",
		"args: \"a b' c\\", "cpu: custom-fast", "efidisk0: chain:310/vm-310-disk-0.qcow2\nbios: ovmf", "scsi0: nbd:unix:/x:exportname=y", "sockets: 0\ncores: 0",
	} {
		f.Add(s, true)
		f.Add(s, false)
	}
	host := testHost(f)
	f.Fuzz(func(t *testing.T, text string, stock bool) {
		conf, _, err := vmconfig.Parse(text, vmconfig.ParseOptions{VMID: 310})
		require.NoError(t, err)
		in := &machineconf.Input{VMID: 310, Config: conf.Main, Host: host, Storages: testStorages(), Mappings: testMappings(), CPUModels: testModels(), RunDir: "/r"}
		if stock {
			in.Profile = machineconf.Launch
		}
		res, err := machineconf.Translate(in)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		require.NotEmpty(t, res.Argv())
		require.False(t, strings.Contains(strings.Join(res.Argv(), ""), "%!"))
	})
}
