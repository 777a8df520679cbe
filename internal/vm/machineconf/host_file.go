package machineconf

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/storage/volid"
)

// HostFile is the form of a [Host] as JSON, one key a fact. A file states the host for
// which a command line is computed, so that the answer does not depend on where it is
// computed. Facts that are left out have the default given here.
//
// Some facts are tables. For those a text in place of the table means that there is no
// limit: all sizes of huge pages, every NUMA node, and for "stat" that every path is a
// regular file, below /dev/ a block device.
type HostFile struct {
	Node        string   `json:"nodename"`
	QEMUVersion string   `json:"qemu_version"`
	Arch        string   `json:"host_arch"` // default x86_64
	CPUVendor   string   `json:"cpu_vendor"`
	CPUFlags    []string `json:"cpu_flags"`
	CPUs        int      `json:"max_host_cpus"` // default 1
	PhysBits    int      `json:"host_phys_address_bits"`
	VhostNet    bool     `json:"kernel_has_vhost_net"`
	KVM         bool     `json:"kvm_device_available"`

	Hugepages any `json:"hugepages_chunk_size_supported"` // list of MiB
	NUMANodes any `json:"host_numa_nodes"`                // list of ids

	ISCSIInitiator string         `json:"iscsi_initiator_name"`
	SPICEPort      int            `json:"next_spice_port"`       // default 61000
	Localhost      string         `json:"localhost_resolves_to"` // default 127.0.0.1; what follows a blank is a remark
	CDROM          string         `json:"cdrom_path"`
	BridgeMTU      map[string]int `json:"bridge_mtu"` // "default" for those not named; else 1500

	PCI     []string      `json:"lspci"` // addresses, 0000:01:00.0
	PCIInfo []hostPCIInfo `json:"pci_device_info"`
	USB     []hostUSB     `json:"usb_devices"`

	Stat           any               `json:"stat"`         // path → file, block, char, dir, missing; others are missing
	SCSITypes      map[string]string `json:"scsi_devices"` // device file → disk, tape
	FirmwareExists *bool             `json:"firmware_files_exist"`
	FirmwareSizes  []hostFirmware    `json:"ovmf_vars_size"`
	ClusterFiles   []string          `json:"cluster_files"` // existing files below /etc/pve/priv/ceph
	LUN            hostLUN           `json:"zfs_over_iscsi"`

	// Chains are chains of snapshots by storage, then by snapshot.
	Chains   map[string]map[string]hostLink `json:"volume_snapshot_info"`
	Storages map[string]map[string]any      `json:"storages"` // configurations of storages; lists may be objects

	Capabilities   map[string]map[string]any `json:"hw_capabilities"`
	HWRNG          string                    `json:"hwrng"`
	GLLibraries    *bool                     `json:"gl_libraries"`         // default true
	RenderNode     *bool                     `json:"dri_render_node"`      // default true
	ProxmoxDrivers bool                      `json:"qemu_proxmox_drivers"` // the QEMU has zeroinit and the like
	QEMUProgram    string                    `json:"qemu_program"`         // default qemu-system-ARCH in /usr/bin
	Features       map[string]bool           `json:"qemu_features"`        // io_uring, linux_aio, spice; default true
	FirmwareDirs   map[string][]string       `json:"firmware_dirs"`        // ovmf, aavmf
}

type hostPCIInfo struct {
	Prefix     string `json:"path_prefix"`
	MDev       bool   `json:"mdev"`
	IOMMUGroup *int   `json:"iommugroup"`
	Vendor     string `json:"vendor"`
	Device     string `json:"device"`
	SubVendor  string `json:"subsystem_vendor"`
	SubDevice  string `json:"subsystem_device"`
}

type hostUSB struct {
	Path    string `json:"path"`
	Vendor  string `json:"vendor"`
	Product string `json:"product"`
}

type hostFirmware struct {
	Regex string `json:"path_regex"`
	Bytes int64  `json:"bytes"`
}

type hostLUN struct {
	Number string `json:"lun_number"`
}

type hostLink struct {
	File   string `json:"file"`
	Parent string `json:"parent"`
}

// ParseHost reads facts from JSON. The storages that the file describes come back
// beside the host; keys that are not known are ignored.
func ParseHost(text []byte) (*Host, map[string]volid.Storage, error) {
	var f HostFile
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, nil, fmt.Errorf("host facts: %w", err)
	}
	h := &Host{
		Node: f.Node, Arch: orElse(f.Arch, "x86_64"), CPUVendor: f.CPUVendor, CPUFlags: f.CPUFlags, CPUs: max(1, f.CPUs), PhysBits: f.PhysBits,
		KVM: f.KVM, VhostNet: f.VhostNet, ISCSIInitiator: f.ISCSIInitiator, SPICEPort: f.SPICEPort, CDROM: f.CDROM, HWRNG: f.HWRNG,
		GLLibraries: f.GLLibraries == nil || *f.GLLibraries, RenderNode: f.RenderNode == nil || *f.RenderNode,
		QEMU: f.qemu(), BridgeMTU: f.bridgeMTU, PCI: f.pci(), Kind: f.kind(), SCSIType: func(p string) string { return f.SCSITypes[p] },
		FirmwareExists: func(string) bool { return f.FirmwareExists == nil || *f.FirmwareExists },
		ClusterFile:    func(p string) bool { return contains(f.ClusterFiles, p) },
		Confidential:   f.confidential(),
	}
	h.SPICEAddress, _, _ = strings.Cut(orElse(f.Localhost, "127.0.0.1"), " ")
	if h.SPICEPort == 0 {
		h.SPICEPort = 61000
	}
	for _, u := range f.USB {
		h.USB = append(h.USB, USBDevice(u))
	}
	h.HugepagesMiB = intsOrAll(f.Hugepages, []int{2, 1024})
	if nodes, isList := f.NUMANodes.([]any); isList {
		ids := intsOrAll(nodes, nil)
		h.NUMANode = func(id int) bool { return contains(ids, id) }
	}
	sizes, err := f.firmwareSizes()
	if err != nil {
		return nil, nil, err
	}
	h.FirmwareSize = sizes
	h.Chain = f.chain
	h.LUN = f.lun
	storages := f.storages()
	h.CephFSID = func(s volid.Storage) string { return storages[s.ID].Options["fsid"] }
	return h, storages, nil
}

func orElse(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

func contains[T comparable](list []T, v T) bool {
	for _, x := range list {
		if x == v {
			return true
		}
	}
	return false
}

// intsOrAll reads a list of numbers; a text stands for all.
func intsOrAll(v any, all []int) []int {
	switch v := v.(type) {
	case string:
		return all
	case []any:
		list := []int{}
		for _, x := range v {
			if n, ok := x.(float64); ok {
				list = append(list, int(n))
			}
		}
		return list
	}
	return nil
}

func (f *HostFile) qemu() QEMU {
	feature := func(name string) bool {
		on, ok := f.Features[name]
		return on || !ok
	}
	q := QEMU{Program: orElse(f.QEMUProgram, "/usr/bin/qemu-system-"+orElse(f.Arch, "x86_64")), Version: f.QEMUVersion,
		IOUring: feature("io_uring"), NativeAIO: feature("linux_aio"), SPICE: feature("spice"), ProxmoxDrivers: f.ProxmoxDrivers,
		OVMF: f.FirmwareDirs["ovmf"], AAVMF: f.FirmwareDirs["aavmf"]}
	if q.OVMF == nil {
		q.OVMF = ovmfFolders()
	}
	if q.AAVMF == nil {
		q.AAVMF = aavmfFolders()
	}
	return q
}

// ovmfFolders and aavmfFolders are where distributions put UEFI firmware.
func ovmfFolders() []string {
	return []string{"/usr/share/OVMF", "/usr/share/edk2/ovmf", "/usr/share/edk2/x64", "/usr/share/pve-edk2-firmware", "/usr/share/qemu"}
}

func aavmfFolders() []string {
	return []string{"/usr/share/AAVMF", "/usr/share/edk2/aarch64", "/usr/share/pve-edk2-firmware"}
}

func (f *HostFile) bridgeMTU(bridge string) int {
	for _, name := range []string{bridge, "default"} {
		if mtu, ok := f.BridgeMTU[name]; ok {
			return mtu
		}
	}
	return defaultMTU
}

func (f *HostFile) pci() []PCIDevice {
	var list []PCIDevice
	for _, address := range f.PCI {
		d := PCIDevice{Address: address, IOMMUGroup: -1}
		for _, i := range f.PCIInfo {
			if i.Prefix == "" || !strings.HasPrefix(address, i.Prefix) {
				continue
			}
			d.MDev, d.Vendor, d.Device, d.SubVendor, d.SubDev = i.MDev, i.Vendor, i.Device, i.SubVendor, i.SubDevice
			if i.IOMMUGroup != nil {
				d.IOMMUGroup = *i.IOMMUGroup
			}
			break
		}
		list = append(list, d)
	}
	return list
}

func (f *HostFile) kind() func(string) PathKind {
	table, isTable := f.Stat.(map[string]any)
	return func(p string) PathKind {
		switch {
		case isTable:
			if k, ok := table[p].(string); ok {
				return PathKind(k)
			}
			return Missing
		case strings.Contains(p, "/dev/"):
			return BlockFile
		}
		return RegularFile
	}
}

func (f *HostFile) firmwareSizes() (func(string) int64, error) {
	type rule struct {
		re    *regexp.Regexp
		bytes int64
	}
	var rules []rule
	for _, s := range f.FirmwareSizes {
		re, err := regexp.Compile(s.Regex)
		if err != nil {
			return nil, fmt.Errorf("host facts: ovmf_vars_size: %w", err)
		}
		rules = append(rules, rule{re, s.Bytes})
	}
	return func(p string) int64 {
		for _, r := range rules {
			if r.re.MatchString(p) {
				return r.bytes
			}
		}
		return 0
	}, nil
}

func (f *HostFile) chain(id volid.ID) (map[string]ChainLink, error) {
	chain := map[string]ChainLink{}
	for snap, l := range f.Chains[id.Storage] {
		chain[snap] = ChainLink(l)
	}
	return chain, nil
}

func (f *HostFile) lun(s volid.Storage, name string) (int, error) {
	n, err := strconv.Atoi(f.LUN.Number)
	if err != nil {
		return 0, fmt.Errorf("storage '%s': no LUN of '%s' in the host facts", s.ID, name)
	}
	return n, nil
}

// storages turns the described storages into configurations.
func (f *HostFile) storages() map[string]volid.Storage {
	list := map[string]volid.Storage{}
	for id, options := range f.Storages {
		s := volid.Storage{ID: id, Options: map[string]string{}}
		for key, v := range options {
			switch v := v.(type) {
			case map[string]any:
				var words []string
				for word := range v {
					words = append(words, word)
				}
				s.Options[key] = strings.Join(words, ",")
			case float64:
				s.Options[key] = strconv.FormatFloat(v, 'f', -1, 64)
			case bool:
				s.Options[key] = map[bool]string{true: "1", false: "0"}[v]
			case string:
				s.Options[key] = v
			}
		}
		s.Type = s.Options["type"]
		delete(s.Options, "type")
		list[id] = s
	}
	return list
}

func (f *HostFile) confidential() *Confidential {
	if f.Capabilities == nil {
		return nil
	}
	amd, intel := f.Capabilities["amd-sev"], f.Capabilities["intel-tdx"]
	number := func(key string) int {
		n, _ := amd[key].(float64)
		return int(n)
	}
	is := func(m map[string]any, key string) bool {
		on, _ := m[key].(bool)
		return on
	}
	return &Confidential{CBitPos: number("cbitpos"), ReducedPhysBits: number("reduced-phys-bits"), SEV: is(amd, "sev-support"),
		SEVES: is(amd, "sev-support-es"), SEVSNP: is(amd, "sev-support-snp"), TDX: is(intel, "tdx-support")}
}
