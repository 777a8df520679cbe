package machineconf_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/vm/machineconf"
)

// translate returns the result for a configuration; change may adapt the input.
func translate(t *testing.T, text string, change func(*machineconf.Input)) (*machineconf.Result, error) {
	t.Helper()
	in := testInput(t, text)
	if change != nil {
		change(in)
	}
	return machineconf.Translate(in)
}

func TestErrors(t *testing.T) {
	host := func(change func(*machineconf.Host)) func(*machineconf.Input) {
		return func(in *machineconf.Input) { change(in.Host) }
	}
	for _, c := range []struct {
		conf, want string
		change     func(*machineconf.Input)
	}{
		{"", "Detected old QEMU binary ('5.2.0', at least 6.0 is required)", host(func(h *machineconf.Host) { h.QEMU.Version = "5.2.0" })},
		{"machine: pc-q35-12.1", "Installed QEMU version '11.0.1' is too old to run machine type 'pc-q35-12.1+pve0', please upgrade node 'alpha'", nil},
		{"machine: pc-i440fx-11.0+pve9", "Installed qemu-server (max feature level for 11.0 is pve2) is too old to run machine type 'pc-i440fx-11.0+pve9', please upgrade node 'alpha'", nil},
		{"kvm: 1", "KVM virtualisation configured, but not available. Either disable in VM configuration or enable in BIOS.", host(func(h *machineconf.Host) { h.KVM = false })},
		{"", "unsupported architecture 'riscv64'", host(func(h *machineconf.Host) { h.Arch = "riscv64" })},
		{"machine: pc,viommu=intel", "to use Intel vIOMMU please set the machine type to q35", nil},
		{"machine: q35,viommu=intel,aw-bits=40", "Intel vIOMMU supports only 39 or 48 bits as address width", nil},
		{"machine: q35,aw-bits=39", "cannot set aw-bits if no vIOMMU is configured", nil},
		{"bios: ovmf\ncpu: pentium3", "OVMF (UEFI) BIOS is not supported on 32-bit CPU types", nil},
		{"bios: ovmf", "EFI base image '/usr/share/pve-edk2-firmware//OVMF_CODE.fd' not found", host(func(h *machineconf.Host) { h.FirmwareExists = func(string) bool { return false } })},
		{"bios: ovmf\nefidisk0: /srv/data.img", "efidisk format must be specified", nil},
		{"arch: aarch64\ncpu: EPYC", "CPU model 'EPYC' does not exist for configured vCPU architecture 'aarch64'", nil},
		{"arch: aarch64\ncpu: host", "CPU model 'host' does not exist for configured vCPU architecture 'aarch64'", nil},
		{"cpu: cortex-a57", "CPU model 'cortex-a57' does not exist for configured vCPU architecture 'x86_64'", nil},
		{"cores: 40", "MAX 32 vcpus allowed per VM on this node", nil},
		{"sockets: 4294967296\ncores: 4294967296\nnuma: 1", "MAX 32 vcpus allowed per VM on this node", nil},
		{"cores: 2\nvcpus: 1000000000\nhotplug: cpu", "vcpus (1000000000) exceed the 2 processors of all sockets", nil},
		{"numa: 1\nnuma0: cpus=0,memory=512,hostnodes=0-999999999,policy=bind", "host NUMA node2 doesn't exist", nil},
		{"numa: 1\nnuma0: cpus=0,memory=512,hostnodes=0-999999999,policy=bind", "host NUMA node1024 doesn't exist", host(func(h *machineconf.Host) { h.NUMANode = nil })},
		{"arch: aarch64\nhotplug: cpu\ncores: 2", "Hotplug of non x86_64 CPU not yet supported", nil},
		{"hotplug: memory", "NUMA needs to be enabled for memory hotplug", nil},
		{"hotplug: memory\nnuma: 1\nmemory: 600000\ncpu: kvm64,phys-bits=36", "Total memory is bigger than 32768MB", nil},
		{"hotplug: memory\nnuma: 1\nmemory: 2048\nnuma0: cpus=0,memory=2048", "cannot enable memory hotplugging with custom NUMA topology", nil},
		{"hotplug: memory\nnuma: 1\nmemory: 512", "minimum memory must be 1024MB", nil},
		{"hotplug: memory\nnuma: 1\nmemory: 1300", "memory size (1300) must be aligned to 512 for hotplugging", nil},
		{"hotplug: memory\nnuma: 1\nmemory: 1024\nvirtiofs0: share", "Memory hotplug does not work in combination with virtio-fs.", nil},
		{"hugepages: 2", "numa needs to be enabled to use hugepages", nil},
		{"hugepages: 2\nnuma: 1\nmemory: 511", "memory size '511' is not a positive even integer; cannot use for hugepages", nil},
		{"hugepages: 2\nnuma: 1", "your system doesn't support hugepages", host(func(h *machineconf.Host) { h.HugepagesMiB = nil })},
		{"hugepages: 1024\nnuma: 1\nmemory: 1024", "your system doesn't support hugepages of 1024 MB", host(func(h *machineconf.Host) { h.HugepagesMiB = []int{2} })},
		{"hugepages: 1024\nnuma: 1\nmemory: 1026", "Memory size 1026 is not a multiple of the requested hugepages size 1024", nil},
		{"numa: 1\nnuma0: cpus=0", "missing NUMA node0 memory value", nil},
		{"numa: 1\nnuma0: cpus=0,memory=512,hostnodes=0", "you need to define a policy for hostnode 0", nil},
		{"numa: 1\nnuma0: cpus=0,memory=512,hostnodes=3,policy=bind", "host NUMA node3 doesn't exist", nil},
		{"numa: 1\nnuma0: cpus=3-1,memory=512", "invalid range: 3-1", nil},
		{"numa: 1\nnuma0: cpus=0,memory=256", "total memory for NUMA nodes must be equal to vm static memory", nil},
		{"usb5: spice", "using usb5 is only possible with machine type >= 7.1 and ostype l26 or windows > 7", nil},
		{"usb0: mapping=nothing", "USB device mapping not found for 'nothing'", nil},
		{"usb0: mapping=twice", "More than one USB mapping per host not supported", nil},
		{"usb0: mapping=lost", "USB Mapping invalid (hardware probably changed): usb device 'dead:beef' not found", nil},
		{"hostpci0: 22:00.0,pcie=1", "q35 machine model is not enabled", nil},
		{"hostpci0: 22:00.0,mapping=nic", "Cannot set both 'host' and 'mapping'.", nil},
		{"hostpci0: pcie=1", "Either 'host' or 'mapping' must be set.", nil},
		{"hostpci0: 99:00.0", "no PCI device found for '99:00.0'", nil},
		{"hostpci0: mapping=nothing", "PCI device mapping not found for 'nothing'", nil},
		{"hostpci0: mapping=moved", "PCI device mapping invalid (hardware probably changed): 'id' does not match for 'moved' (8086:10fb != 8086:1234)", nil},
		{"hostpci0: mapping=gone", "PCI device mapping invalid (hardware probably changed): pci device '0000:77:00.0' not found", nil},
		{"hostpci0: 21:00,mdev=x", "cannot use mediated device with multifunction device", nil},
		{"hostpci0: 22:00.0\nhostpci1: 0000:22:00.0", "device '0000:22:00.0' assigned more than once", nil},
		{"hostpci0: mapping=nic\nhostpci1: mapping=nic", "device '0000:22:00.0' assigned more than once", nil},
		{"hostpci0: 00:02.0,legacy-igd=1", "legacy IGD assignment requires VGA mode to be 'none'", nil},
		{"hostpci0: 00:02.0,legacy-igd=1,rombar=0\nvga: none", "legacy IGD assignment requires rombar to be enabled", nil},
		{"hostpci0: 00:02.0,legacy-igd=1,x-vga=1\nvga: none", "legacy IGD assignment is not compatible with x-vga", nil},
		{"hostpci0: 23:00.0,legacy-igd=1,mdev=a\nvga: none", "legacy IGD assignment is not compatible with mdev", nil},
		{"hostpci0: 00:02.0,legacy-igd=1\nmachine: q35\nvga: none", "legacy IGD assignment is not compatible with q35", nil},
		{"hostpci0: 21:00,legacy-igd=1\nvga: none", "legacy IGD assignment is not compatible with multifunction devices", nil},
		{"hostpci0: 22:00.0,legacy-igd=1\nvga: none", "legacy IGD assignment only works for devices on host bus 00:02.0", nil},
		{"serial0: /dev/ttyS9", "no such serial device", nil},
		{"parallel0: /dev/parport9", "no such parallel device", nil},
		{"vga: none,clipboard=vnc", "vga type none is not compatible with VNC clipboard", nil},
		{"vga: virtio-gl", "missing libraries for 'virtio-gl' detected! Please install 'libgl1' and 'libegl1'", host(func(h *machineconf.Host) { h.GLLibraries = false })},
		{"vga: virtio-gl", "no DRM render node detected (/dev/dri/renderD*), no GPU? - needed for 'virtio-gl' display", host(func(h *machineconf.Host) { h.RenderNode = false })},
		{"rng0: source=/dev/hwrng", "cannot create VirtIO RNG device: source file '/dev/hwrng' doesn't exist", nil},
		{"amd-sev: std\nbios: ovmf", "/run/qemu-server/host-hw-capabilities.json does not exist. Please check the status of query-machine-capabilities: systemctl status query-machine-capabilities",
			host(func(h *machineconf.Host) { h.Confidential = nil })},
		{"amd-sev: std", "To use AMD SEV, you need to change the BIOS to OVMF.", nil},
		{"amd-sev: es\nbios: ovmf", "Your CPU does not support AMD SEV-ES.", host(func(h *machineconf.Host) { h.Confidential.SEVES = false })},
		{"amd-sev: snp\nbios: ovmf", "Your CPU does not support AMD SEV-SNP.", host(func(h *machineconf.Host) { h.Confidential.SEVSNP = false })},
		{"amd-sev: std\nbios: ovmf", "Your CPU does not support AMD SEV.", host(func(h *machineconf.Host) { h.Confidential = &machineconf.Confidential{} })},
		{"intel-tdx: type=tdx,attestation=0", "To use Intel TDX, you need to change the BIOS to OVMF.", nil},
		{"intel-tdx: type=tdx,attestation=0\nbios: ovmf", "Your CPU does not support Intel TDX.", host(func(h *machineconf.Host) { h.Confidential = &machineconf.Confidential{} })},
		{"intel-tdx: type=tdx,attestation=1\nbios: ovmf", "Missing cid for vsock.", nil},
		{"intel-tdx: type=tdx,attestation=1,vsock-cid=3\nbios: ovmf", "Missing port for vsock.", nil},
		{"virtiofs0: nothing", "Directory ID nothing does not exist.", nil},
		{"virtiofs0: other", "No directory mapping for node alpha.", nil},
		{"virtiofs0: empty", "directory mapping invalid: Path /nowhere does not exist", nil},
		{"virtiofs0: share,expose-acl=1\nostype: win10", "Please disable ACLs for virtiofs on Windows VMs, otherwise the virtiofs shared directory cannot be mounted.", nil},
		{"scsi0: isos:310/vm-310-disk-0.raw", "storage 'isos' does not support content-type 'images'", nil},
		{"scsi0: nowhere:310/vm-310-disk-0.raw", "storage 'nowhere' does not exist", nil},
		{"scsi0: off:310/vm-310-disk-0.raw", "storage 'off' is disabled", nil},
		{"scsi0: there:vm-310-disk-0", "storage 'there' is not available on node 'alpha'", nil},
		{"scsi0: data:310/../../etc/shadow.raw", "unable to parse directory volume name '310/../../etc/shadow.raw'", nil},
		{"ide2: data:iso/rescue.iso", "ide2: explicit media parameter is required for iso images", nil},
		{"scsi0: data:310/vm-310-disk-0.qcow2,format=raw", "drive 'scsi0' - volume 'data:310/vm-310-disk-0.qcow2' - 'format=raw' option different from storage format 'qcow2'", nil},
		{"scsi0: data:310/subvol-310-disk-0.subvol", "volume 'data:310/subvol-310-disk-0.subvol' - not a QEMU image format 'subvol'", nil},
		{"scsi0: data:snippets/x.yaml", "cannot use volume of type 'snippets' as a QEMU blockdevice", nil},
		{"scsi0: /no/such.img", "stat for '/no/such.img' failed - No such file or directory", nil},
		{"scsi0: data:310/vm-310-disk-0.qcow2,snapshot=1", "'snapshot' option is not yet supported for '-blockdev'", nil},
		{"machine: pc-i440fx-9.0\nscsi0: chain:310/vm-310-disk-0.qcow2", "storage for 'chain:310/vm-310-disk-0.qcow2' is configured for snapshots as a volume chain - this requires QEMU machine version >= 10.0. See https://pve.proxmox.com/wiki/QEMU_Machine_Version_Upgrade", nil},
		{"machine: pc-i440fx-4.1\nscsi14: thin:vm-310-disk-0", "scsi14: machine version 4.1~pve2 or higher is required to use more than 14 SCSI disks", nil},
		{"net10: virtio=BC:24:11:00:00:01,bridge=vmbr0", "interface name 'tap310000000i10' is too long (max 15 character)", func(in *machineconf.Input) { in.VMID = 3100000000 }},
		{"net0: virtio=BC:24:11:00:00:01,bridge=vmbr0,mtu=500", "netdev net0: MTU '500' is smaller than the IP minimum MTU '576'", nil},
		{"net0: virtio=BC:24:11:00:00:01,bridge=vmbr0,mtu=9000", "netdev net0: MTU '9000' is bigger than the bridge MTU '1500' - adjust the MTU for the network device in the VM configuration, while ensuring that the bridge is configured as desired.", nil},
	} {
		t.Run(c.want, func(t *testing.T) {
			_, err := translate(t, c.conf, c.change)
			require.Error(t, err)
			require.Equal(t, strings.ReplaceAll(c.want, "tap310000000i10", "tap3100000000i10"), err.Error())
		})
	}
}

func TestWarnings(t *testing.T) {
	for _, c := range []struct {
		conf, want string
		change     func(*machineconf.Input)
	}{
		{"", "warning: Installed QEMU version (10.2.91) is a release candidate, ignoring version checks", func(in *machineconf.Input) { in.Host.QEMU.Version = "10.2.91" }},
		{"", "KVM is not available on this node, the guest is emulated, which is slow", func(in *machineconf.Input) { in.Host.KVM, in.Profile = false, machineconf.Launch }},
		{"scsi0: thin:vm-310-disk-0,iothread=1", "iothread is only valid with virtio disk or virtio-scsi-single controller, ignoring", nil},
		{"cpu: kvm64,flags=+nested-virt", "ignoring 'nested-virt' CPU flag - unable to resolve from host CPU flags", func(in *machineconf.Input) { in.Host.CPUFlags = []string{"aes"} }},
		{"cpu: x86-64-v2-AES,flags=-aes", "warning: CPU flag/setting '-aes' (manually set for VM) overwrites '+aes' (set by builtin CPU model)", nil},
		{"bios: ovmf\ncpu: kvm64,phys-bits=44\nefidisk0: thin:vm-310-disk-0", "OVMF firmware might limit CPU 'phys-bits' to 40 - enable the 'pdpe1gb' CPU flag to avoid this", nil},
		{"arch: aarch64\ncpu: max,level=4", "CPU 'level' property is ignored for architecture 'aarch64'", nil},
		{"net0: virtio=BC:24:11:00:00:01,mtu=1400", "netdev net0: ignoring MTU '1400', no bridge configured", nil},
		{"net0: e1000=BC:24:11:00:00:01,bridge=vmbr0,mtu=1400", "netdev net0: ignoring MTU '1400', not using VirtIO", nil},
		{"ide2: cdrom,media=cdrom", "no physical CD-ROM available, ignoring", func(in *machineconf.Input) { in.Host.CDROM = "" }},
		{"usb0: spice\nvga: qxl\nboot: order=usb0", "warning: spice usb port set as bootdevice, ignoring", nil},
		{"bios: ovmf", "no efidisk configured! Using temporary efivars disk.", nil},
		{"vga: qxl", "the installed QEMU has no SPICE, the display is reachable by VNC only", func(in *machineconf.Input) { in.Host.QEMU.SPICE, in.Profile = false, machineconf.Launch }},
	} {
		res, err := translate(t, c.conf, c.change)
		require.NoError(t, err)
		require.Contains(t, res.Warnings, c.want)
	}
}

func TestNoHost(t *testing.T) {
	_, err := machineconf.Translate(&machineconf.Input{})
	require.Error(t, err)
}

// TestThreat2_ROMFile: the name of a boot ROM must not lead elsewhere.
func TestThreat2_ROMFile(t *testing.T) {
	_, err := translate(t, "hostpci0: 22:00.0,romfile=../../etc/shadow", func(in *machineconf.Input) { in.Profile = machineconf.Launch })
	require.ErrorContains(t, err, "is not a file name")
}

// TestThreat20_Splice: no text of a configuration becomes another option or property.
func TestThreat20_Splice(t *testing.T) {
	conf := "smbios1: uuid=0c5a0cc6-0000-4000-8000-000000000310,base64=1,serial=eCxyb3c9MSx0eXBlPTI=\nscsi0: thin:vm-310-disk-0,serial=a%2Creadonly%3Doff\n"
	res, err := translate(t, conf, func(in *machineconf.Input) { in.Profile = machineconf.Launch })
	require.NoError(t, err)
	line := strings.Join(res.Argv(), "\n")
	require.Contains(t, line, "serial=x,,row=1,,type=2,")
	require.Contains(t, line, "serial=a,,readonly=off")
}
