package machineconf

import (
	"errors"

	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/qmp/machine"
)

// board describes what belongs to the mainboard: timers, power states, IOMMU.
func (b *builder) board() error {
	if !b.conf.Bool("acpi", true) {
		b.m.Board.ACPI = new(false)
	}
	if !b.arm() && (b.win >= 6 || b.ostype() == "l26" && b.version.AtLeast(10, 1)) {
		b.m.Board.HPET = new(false)
	}
	if !b.conf.Bool("allow-ksm", true) {
		b.m.Board.MemMerge = new(false)
	}
	switch {
	case !b.kvm:
		b.m.Board.Accel = "tcg"
	case b.launch():
		b.m.Board.Accel = "kvm"
	}
	b.clock()
	b.globals()
	return b.iommu()
}

// clock sets the guest's time.
func (b *builder) clock() {
	if tdf := b.conf.Bool("tdf", b.win >= 5 && b.conf.Bool("acpi", true)); tdf {
		b.m.RTC.DriftFix = "slew"
	}
	start := b.conf.Text("startdate", "now")
	switch {
	case start != "now":
		b.m.RTC.Base = start
	case b.conf.Bool("localtime", b.win >= 5):
		b.m.RTC.Base = "localtime"
	}
}

// globals are settings of built-in devices.
func (b *builder) globals() {
	var list []machine.Global
	add := func(driver, property, value string) {
		list = append(list, machine.Global{Driver: driver, Property: property, Value: value})
	}
	if b.keepsOldHotplug() {
		add("ICH9-LPC", "acpi-pci-hotplug-with-bridge-support", machine.Off)
	}
	if b.win >= 6 && (b.kvm || !b.launch()) {
		add("kvm-pit", "lost_tick_policy", "discard")
	}
	list = append(list, b.m.Globals...)
	b.m.Globals = nil
	if !b.arm() {
		owner := "PIIX4_PM"
		if b.q35 {
			owner = "ICH9-LPC"
		}
		off := b.needs(9, 2, 1)
		for _, s := range []struct {
			enable   vmconfig.Opt[bool]
			property string
		}{{b.machine.EnableS3, "disable_s3"}, {b.machine.EnableS4, "disable_s4"}} {
			if !s.enable.Or(!off) {
				add(owner, s.property, "1")
			}
		}
	}
	b.m.Globals = list
}

// keepsOldHotplug tells whether a Linux guest was made before QEMU moved PCI hotplug of
// q35 boards to ACPI, which renames its network cards.
func (b *builder) keepsOldHotplug() bool {
	if !b.q35 || b.ostype() != "l26" || b.machine.IsVersioned() || !b.qemu.AtLeast(6, 1) {
		return false
	}
	meta, _ := vmconfig.ParseMeta(b.conf.Text("meta", ""))
	if made, err := ParseQEMUVersion(meta.CreationQEMU); err == nil && made.AtLeast(6, 1) {
		return false
	}
	if forced := b.in.Forced.Machine; forced != "" {
		v, ok := machineVersion(forced)
		return !ok || v.AtLeast(6, 1)
	}
	return true
}

// iommu adds an IOMMU for the guest.
func (b *builder) iommu() error {
	bits := b.machine.AWBits
	var props []machine.Property
	switch b.machine.VIOMMU {
	case "":
		if bits != "" {
			return errors.New("cannot set aw-bits if no vIOMMU is configured")
		}
		return nil
	case "intel":
		if !b.q35 {
			return errors.New("to use Intel vIOMMU please set the machine type to q35")
		}
		if bits != "" && bits.Float() != 39 && bits.Float() != 48 {
			return errors.New("Intel vIOMMU supports only 39 or 48 bits as address width") //nolint:staticcheck // public text
		}
		props = []machine.Property{{Name: "intremap", Value: machine.On}, {Name: "caching-mode", Value: true}}
	}
	if bits != "" {
		props = append(props, machine.Property{Name: "aw-bits", Value: int(bits.Float())})
		b.warn("vIOMMU 'aw-bits' set to %s. Sometimes it is necessary to set the CPU's 'guest-phys-bits' to the same value.", string(bits))
	}
	if b.machine.VIOMMU == "intel" {
		b.m.Board.KernelIRQChip = "split"
		b.parts.iommu = append(b.parts.iommu, machine.Device{Driver: "intel-iommu", Props: props}.Unit("iommu"))
		return nil
	}
	b.parts.virtioIOMMU = append(b.parts.virtioIOMMU, machine.Device{Driver: "virtio-iommu-pci", Props: props}.Unit("iommu"))
	return nil
}
