package machineconf_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/internal/vm/machineconf"
	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// pipe is a process's standard input and output as one stream.
type pipe struct {
	io.Reader
	io.WriteCloser
}

// startQEMU starts a stopped machine and returns its monitor. A machine that QEMU does
// not take fails the test with what QEMU says.
func startQEMU(t *testing.T, argv []string) *qmp.Client {
	t.Helper()
	cmd := exec.Command(argv[0], append(argv[1:], "-S", "-qmp", "stdio")...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has quit, or the test has failed
		_ = cmd.Wait()
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	c, err := qmp.NewClient(ctx, pipe{out, in}, nil)
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	require.NoError(t, err, "%s\n%s", strings.Join(argv, " "), &stderr)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// makeVolumes makes the images that a configuration names.
func makeVolumes(t *testing.T, dir string, in *machineconf.Input) {
	t.Helper()
	s := volid.Storage{ID: "vmdata", Type: "dir", Options: map[string]string{"path": dir, "content": "images,iso"}}
	in.Storages = map[string]volid.Storage{s.ID: s}
	for _, d := range in.Config.Drives() {
		id, err := volid.Split(d.File)
		if err != nil {
			continue
		}
		v, err := s.Parse(id.Name)
		require.NoError(t, err)
		loc, err := s.Locate(id.Name, "", nil)
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Dir(loc.Text()), 0o755))
		if v.Format == "qcow2" {
			need.Tool(t, "qemu-img")
			out, err := exec.Command("qemu-img", "create", "-q", "-f", "qcow2", loc.Text(), "16M").CombinedOutput()
			require.NoError(t, err, string(out))
			continue
		}
		require.NoError(t, os.WriteFile(loc.Text(), nil, 0o644))
		require.NoError(t, os.Truncate(loc.Text(), 1<<20))
	}
}

// TestQEMUAccepts starts machines with the installed QEMU and compares what it has made
// of them with the description.
func TestQEMUAccepts(t *testing.T) {
	need.Tool(t, "qemu-system-x86_64")
	for name, conf := range map[string]string{
		"defaults": "name: plain",
		"linux on q35": `
name: linux-q35
ostype: l26
machine: q35
cores: 2
memory: 1024
numa: 1
hotplug: disk,network,usb,cpu,memory
agent: 1
serial0: socket
audio0: device=ich9-intel-hda,driver=none
rng0: source=/dev/urandom
watchdog: i6300esb,action=reset
scsihw: virtio-scsi-single
scsi0: vmdata:310/vm-310-disk-0.qcow2,iothread=1,discard=on,ssd=1,mbps=10,serial=a%2Cb
scsi20: vmdata:310/vm-310-disk-2.raw,ro=1
virtio0: vmdata:310/vm-310-disk-1.raw,iothread=1,cache=writethrough
virtio9: vmdata:310/vm-310-disk-3.raw,cache=unsafe
ide2: vmdata:iso/rescue.iso,media=cdrom
sata1: none,media=cdrom
net0: virtio=BC:24:11:00:00:01
net8: e1000=BC:24:11:00:00:02
ivshmem: size=1
smbios1: uuid=0c5a0cc6-0000-4000-8000-000000000310,serial=QSxC,base64=1
vmgenid: 0c5a0cc6-0000-4000-8000-000000000311
usb1: host=1-9
`,
		"windows on pc": `
ostype: win10
memory: 768
sockets: 2
numa: 1
vga: std,memory=32
cpu: Skylake-Client,phys-bits=40
scsihw: lsi
scsi0: vmdata:310/vm-310-disk-0.qcow2
scsi9: none,media=cdrom
ide0: vmdata:310/vm-310-disk-1.raw,ssd=1,model=Best%20Disk,wwn=0x5000c500a0b0c0d0
net7: virtio=BC:24:11:00:00:02,queues=4
audio0: device=AC97,driver=none
watchdog: ib700
startdate: 2020-01-11T10:00:00
localtime: 1
`,
		"old board": `
ostype: l26
machine: pc-i440fx-6.2
scsihw: megasas
scsi0: vmdata:310/vm-310-disk-0.qcow2,aio=native
virtio12: vmdata:310/vm-310-disk-1.raw
usb0: host=1234:5678
usb1: host=1234:5679,usb3=1
rng0: source=/dev/urandom,max_bytes=0
agent: 1,type=isa
tablet: 0
keyboard: de
acpi: 0
vga: serial0
serial0: socket
`,
		"pvscsi and virtio": "scsihw: pvscsi\nscsi0: vmdata:310/vm-310-disk-0.qcow2\nmachine: pc,viommu=virtio\nvga: virtio\nallow-ksm: 0",
		"template":          "template: 1\nsata0: vmdata:310/base-310-disk-0.qcow2\nscsi0: vmdata:310/base-310-disk-1.raw",
	} {
		t.Run(name, func(t *testing.T) {
			host, err := machineconf.Probe(t.Context())
			require.NoError(t, err)
			host.KVM, host.VhostNet, host.CPUs = false, false, 16
			in := testInput(t, conf)
			in.Host, in.Profile, in.RunDir = host, machineconf.Launch, t.TempDir()
			require.NoError(t, os.Mkdir(filepath.Join(in.RunDir, machineconf.OwnFolder), 0o700))
			makeVolumes(t, t.TempDir(), in)
			res, err := machineconf.Translate(in)
			require.NoError(t, err)
			c := startQEMU(t, res.Argv())
			checkDevices(t, c, res)
			checkNodes(t, c, res)
			ctx := t.Context()
			_ = c.Do(ctx, "quit", nil, nil) // the answer may not come any more
			<-c.Done()
		})
	}
}

// TestQEMUFirmware boots nothing but takes UEFI firmware with and without a disk for its
// variables.
func TestQEMUFirmware(t *testing.T) {
	need.Tool(t, "qemu-system-x86_64")
	need.File(t, "ovmf", "/usr/share/OVMF/OVMF_VARS_4M.fd")
	host, err := machineconf.Probe(t.Context())
	require.NoError(t, err)
	host.KVM, host.CPUs = false, 16
	in := testInput(t, "bios: ovmf\nmachine: q35\nefidisk0: vmdata:310/vm-310-disk-0.raw,efitype=4m")
	in.Host, in.Profile, in.RunDir = host, machineconf.Launch, t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(in.RunDir, machineconf.OwnFolder), 0o700))
	dir := t.TempDir()
	makeVolumes(t, dir, in)
	vars, err := os.ReadFile("/usr/share/OVMF/OVMF_VARS_4M.fd")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "images/310/vm-310-disk-0.raw"), vars, 0o644))
	res, err := machineconf.Translate(in)
	require.NoError(t, err)
	c := startQEMU(t, res.Argv())
	checkDevices(t, c, res)
	_ = c.Do(t.Context(), "quit", nil, nil) // the answer may not come any more
	<-c.Done()
}

// checkDevices compares the ids of the machine's devices.
func checkDevices(t *testing.T, c *qmp.Client, res *machineconf.Result) {
	t.Helper()
	var objects []struct{ Name, Type string }
	require.NoError(t, c.Do(t.Context(), "qom-list", map[string]any{"path": "/machine/peripheral"}, &objects))
	var have, want []string
	for _, o := range objects {
		if strings.HasPrefix(o.Type, "child<") {
			have = append(have, o.Name)
		}
	}
	for _, d := range res.Machine.SMP.Plugged {
		want = append(want, d.ID)
	}
	for _, u := range slices.Concat(res.Machine.Units, res.Machine.Memory.DIMMs) {
		for _, d := range u.Devices {
			if d.ID != "" {
				want = append(want, d.ID)
			}
		}
	}
	slices.Sort(have)
	slices.Sort(want)
	require.Equal(t, want, have)
}

// checkNodes looks for the root of every block graph.
func checkNodes(t *testing.T, c *qmp.Client, res *machineconf.Result) {
	t.Helper()
	var nodes []struct {
		Name   string `json:"node-name"`
		Driver string `json:"drv"`
	}
	require.NoError(t, c.Do(t.Context(), "query-named-block-nodes", nil, &nodes))
	drivers := map[string]string{}
	for _, n := range nodes {
		drivers[n.Name] = n.Driver
	}
	for _, u := range res.Machine.Units {
		for _, n := range u.Nodes {
			require.Equal(t, n.Driver, drivers[n.NodeName], n.NodeName)
		}
	}
}
