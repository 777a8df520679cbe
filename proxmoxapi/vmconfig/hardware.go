package vmconfig

import (
	"fmt"
	"strings"
)

// CPU is the option cpu.
type CPU struct {
	Type          string    `pve:"cputype"` // built-in model, or custom-NAME
	ReportedModel string    `pve:"reported-model"`
	Flags         CPUFlags  `pve:"flags"`
	Hidden        Opt[bool] `pve:"hidden"`
	HVVendorID    string    `pve:"hv-vendor-id"`
	PhysBits      string    `pve:"phys-bits"` // "host" or a number
	GuestPhysBits Opt[int]  `pve:"guest-phys-bits"`
	Level         Opt[int]  `pve:"level"`
}

// CPUFlag is one +flag or -flag.
type CPUFlag struct {
	Name string
	On   bool
}

// CPUFlags is a list of flags in their written order.
type CPUFlags []CPUFlag

func (f *CPUFlags) parse(text string) error {
	for part := range strings.SplitSeq(text, ";") {
		if len(part) < 2 || part[0] != '+' && part[0] != '-' {
			return fmt.Errorf("CPU flag %q", part)
		}
		*f = append(*f, CPUFlag{Name: part[1:], On: part[0] == '+'})
	}
	return nil
}

func (f *CPUFlags) print() (string, bool) {
	parts := make([]string, 0, len(*f))
	for _, flag := range *f {
		sign := "-"
		if flag.On {
			sign = "+"
		}
		parts = append(parts, sign+flag.Name)
	}
	return strings.Join(parts, ";"), len(parts) > 0
}

// ParseCPU reads the option cpu. Whether the model and its flags exist is CheckCPU's question.
func ParseCPU(value string) (CPU, error) { return parseAs[CPU]("pve-vm-cpu-conf", value) }

// String prints the option.
func (c CPU) String() string { return printAs("pve-vm-cpu-conf", &c) }

// Custom returns the name of a custom CPU model, "" for a built-in one.
func (c CPU) Custom() string {
	name, ok := strings.CutPrefix(c.Type, "custom-")
	if !ok {
		return ""
	}
	return name
}

// Machine is the option machine (and runningmachine).
type Machine struct {
	Type     string    `pve:"type"` // pc, q35, virt, or versioned; "" for the default
	VIOMMU   string    `pve:"viommu"`
	AWBits   Number    `pve:"aw-bits"`
	EnableS3 Opt[bool] `pve:"enable-s3"`
	EnableS4 Opt[bool] `pve:"enable-s4"`
}

// ParseMachine reads the option machine.
func ParseMachine(value string) (Machine, error) {
	return parseAs[Machine]("pve-qemu-machine-fmt", value)
}

// String prints the option.
func (m Machine) String() string { return printAs("pve-qemu-machine-fmt", &m) }

// IsQ35 reports whether the type names the q35 chip set.
func (m Machine) IsQ35() bool { return strings.Contains(m.Type, "q35") }

// IsVersioned reports whether the type carries a version, such as pc-q35-9.2.
func (m Machine) IsVersioned() bool {
	switch m.Type {
	case "", "pc", "q35", "virt":
		return false
	}
	return true
}

// VGA is the option vga.
type VGA struct {
	Type      string   `pve:"type"` // "" for the default
	MemoryMiB Opt[int] `pve:"memory"`
	Clipboard string   `pve:"clipboard"`
}

// ParseVGA reads the option vga.
func ParseVGA(value string) (VGA, error) { return parseAs[VGA]("@qemu.vga", value) }

// String prints the option.
func (v VGA) String() string { return printAs("@qemu.vga", &v) }

// Memory is the option memory. A VM without it has DefaultMemoryMiB.
type Memory struct {
	CurrentMiB int `pve:"current"`
}

// DefaultMemoryMiB is the memory of a VM without the option memory.
const DefaultMemoryMiB = 512

// ParseMemory reads the option memory; the empty value is the default.
func ParseMemory(value string) (Memory, error) {
	if value == "" {
		return Memory{CurrentMiB: DefaultMemoryMiB}, nil
	}
	return parseAs[Memory]("@qemu.memory", value)
}

// String prints the option.
func (m Memory) String() string { return printAs("@qemu.memory", &m) }

// NUMA is one numaN: a node of the guest.
type NUMA struct {
	CPUs      Ranges `pve:"cpus"`
	HostNodes Ranges `pve:"hostnodes"`
	MemoryMiB Number `pve:"memory"`
	Policy    string `pve:"policy"`
}

// ParseNUMA reads a numaN option.
func ParseNUMA(value string) (NUMA, error) { return parseAs[NUMA]("pve-qm-numanode", value) }

// String prints the option.
func (n NUMA) String() string { return printAs("pve-qm-numanode", &n) }

// SMBIOS1 is the option smbios1. With Base64 set, the texts are base64 as stored; see Decoded.
type SMBIOS1 struct {
	UUID         string    `pve:"uuid"`
	Manufacturer string    `pve:"manufacturer"`
	Product      string    `pve:"product"`
	Version      string    `pve:"version"`
	Serial       string    `pve:"serial"`
	SKU          string    `pve:"sku"`
	Family       string    `pve:"family"`
	Base64       Opt[bool] `pve:"base64"`
}

// ParseSMBIOS1 reads the option smbios1.
func ParseSMBIOS1(value string) (SMBIOS1, error) { return parseAs[SMBIOS1]("pve-qm-smbios1", value) }

// String prints the option.
func (s SMBIOS1) String() string { return printAs("pve-qm-smbios1", &s) }

// Meta is the option meta: facts of the VM's creation.
type Meta struct {
	CreationQEMU string     `pve:"creation-qemu"` // version of QEMU, such as 10.1.2
	CreationTime Opt[int64] `pve:"ctime"`         // Unix time
}

// ParseMeta reads the option meta.
func ParseMeta(value string) (Meta, error) { return parseAs[Meta]("@qemu.meta", value) }

// String prints the option.
func (m Meta) String() string { return printAs("@qemu.meta", &m) }

// SEV is the option amd-sev.
type SEV struct {
	Type         string    `pve:"type"` // std, es, snp
	NoDebug      Opt[bool] `pve:"no-debug"`
	NoKeySharing Opt[bool] `pve:"no-key-sharing"`
	AllowSMT     Opt[bool] `pve:"allow-smt"`
	KernelHashes Opt[bool] `pve:"kernel-hashes"`
}

// ParseSEV reads the option amd-sev.
func ParseSEV(value string) (SEV, error) { return parseAs[SEV]("pve-qemu-sev-fmt", value) }

// String prints the option.
func (s SEV) String() string { return printAs("pve-qemu-sev-fmt", &s) }

// TDX is the option intel-tdx.
type TDX struct {
	Type        string    `pve:"type"`
	Attestation Opt[bool] `pve:"attestation"`
	VsockCID    Opt[int]  `pve:"vsock-cid"`
	VsockPort   Opt[int]  `pve:"vsock-port"`
}

// ParseTDX reads the option intel-tdx.
func ParseTDX(value string) (TDX, error) { return parseAs[TDX]("pve-qemu-tdx-fmt", value) }

// String prints the option.
func (t TDX) String() string { return printAs("pve-qemu-tdx-fmt", &t) }
