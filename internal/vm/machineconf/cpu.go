package machineconf

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/qmp/machine"
)

// flagSet collects processor flags; a later layer wins.
type flagSet struct {
	flags map[string]setFlag
	warn  func(format string, args ...any)
}

type setFlag struct {
	machine.CPUFlag
	why string
}

// set puts a flag in. A change of its sign or value is told.
func (s *flagSet) set(f machine.CPUFlag, why string) {
	if old, ok := s.flags[f.Name]; ok && old.CPUFlag != f {
		s.warn("warning: CPU flag/setting '%s' (%s) overwrites '%s' (%s)", f, why, old.CPUFlag, old.why)
	}
	s.flags[f.Name] = setFlag{f, why}
}

func (s *flagSet) on(name, why string)  { s.set(machine.CPUFlag{Sign: '+', Name: name}, why) }
func (s *flagSet) off(name, why string) { s.set(machine.CPUFlag{Sign: '-', Name: name}, why) }
func (s *flagSet) value(name, v, why string) {
	s.set(machine.CPUFlag{Name: name, Value: v}, why)
}

// list returns the flags sorted by name.
func (s *flagSet) list() []machine.CPUFlag {
	var list []machine.CPUFlag
	for _, f := range s.flags {
		list = append(list, f.CPUFlag)
	}
	slices.SortFunc(list, func(a, b machine.CPUFlag) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// cpu describes the processor model.
func (b *builder) cpu() error {
	if b.in.Forced.CPU != "" {
		b.m.CPU = parseForcedCPU(b.in.Forced.CPU)
		return nil
	}
	p, err := b.processor()
	if err != nil {
		return err
	}
	set := &flagSet{flags: map[string]setFlag{}, warn: b.warn}
	hidden := p.option.Hidden.Or(b.gpu)
	b.baseFlags(set, p)
	b.hyperVFlags(set, p)
	for _, name := range p.builtin {
		set.on(name, "set by builtin CPU model")
	}
	b.userFlags(set, p.customFlags, "set by custom CPU model")
	b.userFlags(set, p.option.Flags, "manually set for VM")
	if !b.arm() {
		if p.model != "host" && b.kvm {
			set.value("enforce", "", "set by PVE; error if requested CPU settings not available")
		}
		if hidden {
			set.value("kvm", machine.Off, "set by PVE; to hide the hypervisor from the guest")
		}
		if vendor := modelVendor(p.model); vendor != "" {
			set.value("vendor", vendor, "set by PVE; the vendor of the model")
		}
	}
	b.m.CPU = machine.CPU{Model: p.model}
	add := func(f ...machine.CPUFlag) { b.m.CPU.Flags = append(b.m.CPU.Flags, f...) }
	if level := p.option.Level; level.Set && b.arm() {
		b.warn("CPU 'level' property is ignored for architecture '%s'", b.arch)
	} else if level.Set {
		add(machine.CPUFlag{Name: "level", Value: strconv.Itoa(level.Value)})
	}
	add(set.list()...)
	if g := p.option.GuestPhysBits; g.Set {
		add(machine.CPUFlag{Name: "guest-phys-bits", Value: strconv.Itoa(g.Value)})
	}
	switch bits := p.option.PhysBits; bits {
	case "":
	case "host":
		add(machine.CPUFlag{Name: "host-phys-bits", Value: "true"})
	default:
		add(machine.CPUFlag{Name: "phys-bits", Value: bits})
		b.checkPhysBits(p.model, bits, set)
	}
	return nil
}

func (b *builder) checkPhysBits(model, bits string, set *flagSet) {
	huge := set.flags["pdpe1gb"].Sign == '+'
	if n := atoi(bits); b.efi && n > 40 && !huge && (model == "qemu64" || model == "kvm64") {
		b.warn("OVMF firmware might limit CPU 'phys-bits' to 40 - enable the 'pdpe1gb' CPU flag to avoid this")
	}
}

// parseForcedCPU keeps a whole value of -cpu.
func parseForcedCPU(text string) machine.CPU {
	model, rest, ok := strings.Cut(text, ",")
	c := machine.CPU{Model: model}
	if !ok {
		return c
	}
	for item := range strings.SplitSeq(rest, ",") {
		f := machine.CPUFlag{}
		if item != "" && (item[0] == '+' || item[0] == '-') {
			f.Sign, item = item[0], item[1:]
		}
		f.Name, f.Value, _ = strings.Cut(item, "=")
		c.Flags = append(c.Flags, f)
	}
	return c
}

// baseFlags are those that every guest of a model gets.
func (b *builder) baseFlags(set *flagSet, p processor) {
	x86 := !b.arm()
	if x86 && p.model == "kvm64" {
		set.on("lahf_lm", "set by PVE; to support Windows 8.1")
	}
	if b.ostype() == "solaris" {
		set.off("x2apic", "set by PVE; to support Solaris")
	}
	if p.model == "kvm64" || p.model == "kvm32" {
		set.on("sep", "set by PVE; to support Windows 8.1")
	}
	if strings.HasPrefix(p.model, "Opteron") {
		set.off("rdtscp", "set by PVE; broken on AMD Opteron hosts")
	}
	if x86 && b.kvm && b.version.AtLeast(2, 3) {
		set.on("kvm_pv_unhalt", "set by PVE; to improve Linux guest spinlock performance")
		set.on("kvm_pv_eoi", "set by PVE; to improve Linux guest interrupt performance")
	}
	if x86 && b.qemu.AtLeast(11, 0) {
		if b.win >= 11 {
			set.off("cet-ibt", "set by PVE; Windows does not start nested guests with it")
			set.off("cet-ss", "set by PVE; Windows does not start nested guests with it")
		}
		if p.model == "host" && !b.version.AtLeast(11, 0) {
			set.off("vmx-mbec", "set by PVE; for compatibility with older machine versions")
		}
	}
}

// hyperVFlags tell Windows that it runs on a hypervisor it knows.
func (b *builder) hyperVFlags(set *flagSet, p processor) {
	if !b.kvm || b.arm() || b.win < 6 || b.efi && b.win < 8 {
		return
	}
	why := "automatic Hyper-V enlightenment for Windows"
	vendor := p.option.HVVendorID
	if vendor == "" && b.gpu {
		vendor = "proxmox"
	}
	if vendor != "" {
		set.value("hv_vendor_id", vendor, why)
	}
	if b.version.AtLeast(2, 3) {
		set.value("hv_spinlocks", "0x1fff", why)
		set.value("hv_vapic", "", why)
		set.value("hv_time", "", why)
	} else {
		set.value("hv_spinlocks", "0xffff", why)
	}
	if b.version.AtLeast(2, 6) {
		for _, name := range []string{"hv_reset", "hv_vpindex", "hv_runtime"} {
			set.value(name, "", why)
		}
	}
	if b.win < 7 {
		return
	}
	why += " 7 and later"
	set.value("hv_relaxed", "", why)
	if b.version.AtLeast(2, 12) {
		set.value("hv_synic", "", why)
		set.value("hv_stimer", "", why)
	}
	if b.version.AtLeast(3, 1) {
		set.value("hv_ipi", "", why)
	}
	if b.win >= 11 && b.host.CPUVendor == "GenuineIntel" && b.needs(11, 0, 2) {
		set.value("hv_evmcs", "", why)
	}
}

// userFlags are flags that a person has chosen. nested-virt stands for the feature that
// this host's processors have.
func (b *builder) userFlags(set *flagSet, flags vmconfig.CPUFlags, why string) {
	layer := map[string]machine.CPUFlag{}
	var order []string
	nested := byte(0)
	for _, f := range flags {
		sign := byte('-')
		if f.On {
			sign = '+'
		}
		if f.Name == "nested-virt" {
			nested = sign
			continue
		}
		if _, ok := layer[f.Name]; !ok {
			order = append(order, f.Name)
		}
		layer[f.Name] = machine.CPUFlag{Sign: sign, Name: f.Name}
	}
	if nested != 0 {
		name := b.host.virtualization()
		if name == "" {
			b.warn("ignoring 'nested-virt' CPU flag - unable to resolve from host CPU flags")
		} else {
			if _, ok := layer[name]; !ok {
				order = append(order, name)
			}
			layer[name] = machine.CPUFlag{Sign: nested, Name: name}
		}
	}
	for _, name := range order {
		set.set(layer[name], why)
	}
}

// check32Bit refuses UEFI firmware on processors that cannot run it.
func (b *builder) check32Bit() error {
	if !b.efi {
		return nil
	}
	p, err := b.processor()
	if err != nil {
		return nil // the step for the processor tells
	}
	if is32Bit(p.model) {
		return fmt.Errorf("OVMF (UEFI) BIOS is not supported on 32-bit CPU types") //nolint:staticcheck // public text
	}
	return nil
}
