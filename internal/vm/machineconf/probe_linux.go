package machineconf

import (
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Probe finds out the facts of the host that it runs on. What changes while the host
// runs (files, devices of the file system, bridges) is looked at when a translation
// asks; the rest is read once. It runs the installed QEMU to learn its version and
// opens /dev/kvm; it needs no rights, but then finds less.
func Probe(ctx context.Context) (*Host, error) {
	h := &Host{Arch: hostArch(), CPUs: runtime.NumCPU(), SPICEPort: freePort(61000), SPICEAddress: "127.0.0.1"}
	h.Node, _ = os.Hostname()
	h.Node, _, _ = strings.Cut(h.Node, ".")
	h.probeCPU()
	if err := h.probeQEMU(ctx); err != nil {
		return nil, err
	}
	h.KVM = kvmWorks()
	h.VhostNet = opens("/dev/vhost-net")
	h.HugepagesMiB = hugepages()
	h.NUMANode = func(id int) bool { return exists("/sys/devices/system/node/node" + strconv.Itoa(id)) }
	h.ISCSIInitiator = initiatorName()
	h.CDROM = physicalCDROM()
	h.BridgeMTU = func(bridge string) int { return sysInt(filepath.Join("/sys/class/net", filepath.Base(bridge), "mtu")) }
	h.PCI, h.USB = pciDevices(), usbDevices()
	h.Kind, h.SCSIType = pathKind, scsiType
	h.FirmwareExists, h.ClusterFile = exists, exists
	h.FirmwareSize = func(p string) int64 {
		st, err := os.Stat(p)
		if err != nil {
			return 0
		}
		return st.Size()
	}
	h.Confidential = confidentialHost()
	h.HWRNG = sysText("/sys/devices/virtual/misc/hw_random/rng_current")
	h.GLLibraries = anyPath("/usr/lib/*/libEGL.so.1") && anyPath("/usr/lib/*/libGL.so.1")
	h.RenderNode = anyPath("/dev/dri/renderD*")
	return h, nil
}

func hostArch() string {
	switch runtime.GOARCH {
	case "amd64":
		return "x86_64"
	case "arm64":
		return "aarch64"
	}
	return runtime.GOARCH
}

func exists(p string) bool {
	_, err := os.Stat(p)
	return err == nil
}

func anyPath(pattern string) bool {
	list, err := filepath.Glob(pattern)
	return err == nil && len(list) > 0
}

// sysText reads a file of one line; empty if it cannot be read.
func sysText(p string) string {
	b, err := os.ReadFile(p)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func sysInt(p string) int { return atoi(sysText(p)) }

func opens(p string) bool {
	f, err := os.OpenFile(p, os.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	return f.Close() == nil
}

// probeCPU reads /proc/cpuinfo of the first processor.
func (h *Host) probeCPU() {
	text, _, _ := strings.Cut(sysText("/proc/cpuinfo"), "\n\n")
	for line := range strings.SplitSeq(text, "\n") {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(key) {
		case "vendor_id":
			h.CPUVendor = value
		case "flags", "Features":
			h.CPUFlags = strings.Fields(value)
		case "address sizes":
			bits, _, _ := strings.Cut(value, " ")
			h.PhysBits = atoi(bits)
		}
	}
}

// probeQEMU finds the emulator and what it was built with.
func (h *Host) probeQEMU(ctx context.Context) error {
	program, err := exec.LookPath("qemu-system-" + h.Arch)
	if err != nil {
		return fmt.Errorf("QEMU is not installed: %w", err)
	}
	out, err := exec.CommandContext(ctx, program, "--version").Output() //nolint:forbidigo // prints and ends
	if err != nil {
		return fmt.Errorf("%s --version: %w", program, err)
	}
	version := strings.TrimPrefix(string(out), "QEMU emulator version ")
	version, _, _ = strings.Cut(version, "\n")
	version, _, _ = strings.Cut(version, " ")
	libs := libraries(program)
	// The help is written when the program has SPICE, whatever the exit code.
	help, _ := exec.CommandContext(ctx, program, "-spice", "help").Output() //nolint:forbidigo // prints and ends
	h.QEMU = QEMU{Program: program, Version: version, SPICE: strings.HasPrefix(string(help), "spice options"),
		NativeAIO: slices.Contains(libs, "libaio"), IOUring: slices.Contains(libs, "liburing") && ioUringWorks(),
		OVMF: ovmfFolders(), AAVMF: aavmfFolders()}
	return nil
}

// libraries returns the names of a program's shared libraries without their versions.
func libraries(program string) []string {
	f, err := elf.Open(program)
	if err != nil {
		return nil
	}
	defer f.Close()
	names, _ := f.ImportedLibraries()
	for i, n := range names {
		names[i], _, _ = strings.Cut(n, ".so")
	}
	return names
}

// ioUringWorks asks the kernel: a null pointer is the wrong argument of a call that
// exists and is allowed.
func ioUringWorks() bool {
	_, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 1, 0, 0)
	return errno == unix.EFAULT
}

func hugepages() []int {
	list, err := filepath.Glob("/sys/kernel/mm/hugepages/hugepages-*kB")
	if err != nil || len(list) == 0 {
		return nil
	}
	sizes := []int{}
	for _, p := range list {
		kb := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(p), "hugepages-"), "kB")
		sizes = append(sizes, atoi(kb)/1024)
	}
	return sizes
}

func initiatorName() string {
	for line := range strings.SplitSeq(sysText("/etc/iscsi/initiatorname.iscsi"), "\n") {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "InitiatorName="); ok {
			return strings.TrimSpace(name)
		}
	}
	return ""
}

// physicalCDROM is the first link that the device manager made.
func physicalCDROM() string {
	for _, p := range []string{"/dev/cdrom", "/dev/cdrom1", "/dev/cdrom2"} {
		if st, err := os.Lstat(p); err == nil && st.Mode()&os.ModeSymlink != 0 {
			return p
		}
	}
	return ""
}

// freePort returns the first port from a start on which nobody listens on loopback.
func freePort(start int) int {
	for port := start; port < start+1000; port++ {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		if l.Close() == nil {
			return port
		}
	}
	return start
}

func pathKind(p string) PathKind {
	st, err := os.Stat(p)
	switch {
	case err != nil:
		return Missing
	case st.IsDir():
		return Folder
	case st.Mode()&os.ModeCharDevice != 0:
		return CharFile
	case st.Mode()&os.ModeDevice != 0:
		return BlockFile
	}
	return RegularFile
}

// scsiType asks the SCSI layer what a device file is.
func scsiType(p string) string {
	target, err := filepath.EvalSymlinks(p)
	if err != nil || !strings.HasPrefix(target, "/dev/") {
		return ""
	}
	name := filepath.Base(target)
	for _, class := range []string{"block", "scsi_tape", "scsi_generic"} {
		switch sysText(filepath.Join("/sys/class", class, name, "device/type")) {
		case "0":
			return "disk"
		case "1":
			return "tape"
		}
	}
	return ""
}

func pciDevices() []PCIDevice {
	entries, _ := os.ReadDir("/sys/bus/pci/devices")
	list := []PCIDevice{}
	for _, e := range entries {
		dir := filepath.Join("/sys/bus/pci/devices", e.Name())
		d := PCIDevice{Address: e.Name(), Vendor: sysText(dir + "/vendor"), Device: sysText(dir + "/device"),
			SubVendor: sysText(dir + "/subsystem_vendor"), SubDev: sysText(dir + "/subsystem_device"), IOMMUGroup: -1, MDev: exists(dir + "/mdev_supported_types")}
		if link, err := os.Readlink(dir + "/iommu_group"); err == nil {
			d.IOMMUGroup = atoi(filepath.Base(link))
		}
		list = append(list, d)
	}
	return list
}

func usbDevices() []USBDevice {
	entries, _ := os.ReadDir("/sys/bus/usb/devices")
	list := []USBDevice{}
	for _, e := range entries {
		dir := filepath.Join("/sys/bus/usb/devices", e.Name())
		if vendor := sysText(dir + "/idVendor"); vendor != "" {
			list = append(list, USBDevice{Path: e.Name(), Vendor: vendor, Product: sysText(dir + "/idProduct")})
		}
	}
	return list
}

// capabilitiesFile is written by Proxmox VE at boot.
const capabilitiesFile = "/run/qemu-server/host-hw-capabilities.json"

// confidentialHost reads what the host offers. Without the file it is known only when
// the kernel offers nothing.
func confidentialHost() *Confidential {
	text, err := os.ReadFile(capabilitiesFile)
	if errors.Is(err, os.ErrNotExist) {
		for _, p := range []string{"kvm_amd/parameters/sev", "kvm_intel/parameters/tdx"} {
			if v := sysText("/sys/module/" + p); v == "Y" || v == "1" {
				return nil
			}
		}
		return &Confidential{}
	}
	f := HostFile{}
	if err != nil || json.Unmarshal(text, &f.Capabilities) != nil {
		return nil
	}
	return f.confidential()
}
