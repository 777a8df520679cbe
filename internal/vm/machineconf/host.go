package machineconf

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/turtacn/go-proxmox/storage/volid"
)

// Host are the facts of a host that a translation depends on. [Probe] finds them out,
// [ParseHost] reads them from a file. A Host is not changed by a translation and may
// serve many.
type Host struct {
	// Node is the name of the node, for messages.
	Node string
	// Arch is the processors' architecture, x86_64 or aarch64.
	Arch string
	// CPUVendor is the vendor id of the processors, such as GenuineIntel; CPUFlags their
	// features by the kernel's names. Without flags the vendor decides.
	CPUVendor string
	CPUFlags  []string
	// CPUs is the number of processors, PhysBits the width of physical addresses (0 if
	// not known).
	CPUs     int
	PhysBits int
	// QEMU is the installed program.
	QEMU QEMU
	// KVM and VhostNet say whether /dev/kvm and /dev/vhost-net serve guests.
	KVM, VhostNet bool
	// HugepagesMiB are the sizes of huge pages the host has; nil if it has none at all.
	HugepagesMiB []int
	// NUMANode tells whether the host has that node; nil means every one.
	NUMANode func(id int) bool
	// ISCSIInitiator is this host's name as an initiator, empty for none.
	ISCSIInitiator string
	// SPICEPort is the next free port for SPICE, SPICEAddress the address it listens on.
	SPICEPort    int
	SPICEAddress string
	// CDROM is the device of the physical CD-ROM drive, empty if there is none.
	CDROM string
	// BridgeMTU returns the MTU of a bridge, 0 if not known.
	BridgeMTU func(bridge string) int
	// PCI and USB are the host's devices.
	PCI []PCIDevice
	USB []USBDevice
	// Kind tells what lies at a path.
	Kind func(path string) PathKind
	// SCSIType tells what a device file is to the SCSI layer: "disk", "tape" or empty.
	SCSIType func(path string) string
	// FirmwareSize returns the size in bytes of a firmware file, 0 if not known.
	FirmwareSize func(path string) int64
	// FirmwareExists tells whether a firmware file is there.
	FirmwareExists func(path string) bool
	// ClusterFile tells whether a file of the cluster's configuration is there.
	ClusterFile func(path string) bool
	// CephFSID returns the id of the Ceph cluster of a storage.
	CephFSID func(s volid.Storage) string
	// LUN returns the logical unit that exports a dataset.
	LUN func(s volid.Storage, name string) (int, error)
	// Chain returns the chain of snapshots of a volume, by snapshot name, "current" being
	// the live image. Nil or an empty map: none.
	Chain func(id volid.ID) (map[string]ChainLink, error)
	// Confidential is what the host offers for encrypted guests; nil if not known.
	Confidential *Confidential
	// HWRNG is the name of the hardware random number generator in use, "none" if the
	// kernel has none, empty if not known.
	HWRNG string
	// GLLibraries and RenderNode say whether guests can render on the host's GPU.
	GLLibraries, RenderNode bool
}

// QEMU is an installed QEMU.
type QEMU struct {
	// Program is the path of the emulator for the host's architecture; others are found
	// beside it.
	Program string
	// Version as the program prints it.
	Version string
	// IOUring, NativeAIO, SPICE say what the program was built with and may use.
	IOUring, NativeAIO, SPICE bool
	// ProxmoxDrivers says that the program has Proxmox's own block drivers.
	ProxmoxDrivers bool
	// OVMF are the folders to look for PC firmware in, AAVMF those for ARM.
	OVMF, AAVMF []string
}

// PathKind says what lies at a path.
type PathKind string

// Kinds of paths.
const (
	Missing     PathKind = "missing"
	RegularFile PathKind = "file"
	BlockFile   PathKind = "block"
	CharFile    PathKind = "char"
	Folder      PathKind = "dir"
)

// PCIDevice is a device of the host.
type PCIDevice struct {
	Address           string // 0000:01:00.0
	Vendor, Device    string // 0x10de, 0x2231; empty if not known
	SubVendor, SubDev string
	IOMMUGroup        int // -1 if not known
	MDev              bool
}

// USBDevice is a device of the host.
type USBDevice struct {
	Path            string // 1-2.3
	Vendor, Product string // 4 hex digits
}

// ChainLink is one image of a chain of snapshots.
type ChainLink struct {
	File   string
	Parent string // snapshot name of the image below, empty at the end
}

// Confidential is what a host offers for encrypted guests.
type Confidential struct {
	CBitPos, ReducedPhysBits int
	SEV, SEVES, SEVSNP, TDX  bool
}

func (h *Host) kind(p string) PathKind {
	if h.Kind == nil {
		return RegularFile
	}
	return h.Kind(path.Clean(p))
}

func (h *Host) scsiType(p string) string {
	if h.SCSIType == nil {
		return ""
	}
	return h.SCSIType(p)
}

func (h *Host) bridgeMTU(bridge string) int {
	if h.BridgeMTU == nil {
		return 0
	}
	return h.BridgeMTU(bridge)
}

func (h *Host) numaNode(id int) bool { return h.NUMANode == nil || h.NUMANode(id) }

// volumeFacts passes on what locations of volumes depend on.
func (h *Host) volumeFacts() *volid.Facts {
	return &volid.Facts{Exists: h.ClusterFile, FSID: h.CephFSID, LUN: h.LUN}
}

func (h *Host) chain(id volid.ID) (map[string]ChainLink, error) {
	if h.Chain == nil {
		return nil, nil
	}
	return h.Chain(id)
}

// virtualization returns the processor's feature for nested guests: svm, vmx or nothing.
func (h *Host) virtualization() string {
	for _, flag := range []string{"svm", "vmx"} {
		if slices.Contains(h.CPUFlags, flag) {
			return flag
		}
	}
	if len(h.CPUFlags) > 0 {
		return ""
	}
	return map[string]string{"GenuineIntel": "vmx", "AuthenticAMD": "svm"}[h.CPUVendor]
}

// pciFunctions returns the devices that a configured address means: without a domain it
// is 0000, without a function all functions of the slot.
func (h *Host) pciFunctions(address string) []PCIDevice {
	full := strings.ToLower(address)
	if strings.Count(full, ":") == 1 {
		full = "0000:" + full
	}
	var found []PCIDevice
	for _, d := range h.PCI {
		if d.Address == full || strings.HasPrefix(d.Address, full+".") {
			found = append(found, d)
		}
	}
	slices.SortFunc(found, func(a, b PCIDevice) int { return strings.Compare(a.Address, b.Address) })
	return found
}

// stat returns the kind of something that must exist.
func (h *Host) stat(p string) (PathKind, error) {
	k := h.kind(p)
	if k == Missing {
		return k, &MissingPathError{Path: p}
	}
	return k, nil
}

// MissingPathError says that a path of the configuration does not exist.
type MissingPathError struct{ Path string }

func (e *MissingPathError) Error() string {
	return fmt.Sprintf("stat for '%s' failed - No such file or directory", e.Path)
}

// errNoHost is a programmer's mistake made visible.
var errNoHost = errors.New("machineconf: no facts of the host")
