package machineconf

import (
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/qmp/machine"
)

// place is a fixed spot of a device: guests recognise their hardware by it.
type place struct{ bus, slot int }

// row is a run of places on one bus: name, name+1, … from a first number on.
type row struct {
	name         string
	first, count int // count 0: a name without number
	place        place
}

// rows are the places of all devices on conventional PCI, the same for every board.
func rows() []row {
	return []row{
		{"piix3", 0, 0, place{0, 0x1}}, {"ehci", 0, 0, place{0, 0x1}},
		{"vga", 0, 0, place{0, 0x2}}, {"legacy-igd", 0, 0, place{0, 0x2}},
		{"balloon", 0, 1, place{0, 0x3}}, {"watchdog", 0, 0, place{0, 0x4}},
		{"scsihw", 0, 2, place{0, 0x5}}, {"ahci", 0, 1, place{0, 0x7}},
		{"qga", 0, 1, place{0, 0x8}}, {"spice", 0, 0, place{0, 0x9}},
		{"virtio", 0, 6, place{0, 0xa}}, {"hostpci", 0, 2, place{0, 0x10}},
		{"net", 0, 6, place{0, 0x12}}, {"vga", 1, 3, place{0, 0x18}},
		{"hostpci", 2, 2, place{0, 0x1b}},
		{"net", 6, 26, place{1, 0x1}}, {"xhci", 0, 0, place{1, 0x1b}}, {"rng", 0, 1, place{1, 0x1d}},
		{"virtio", 6, 10, place{2, 0x1}}, {"ivshmem", 0, 0, place{2, 0xb}},
		{"audio", 0, 1, place{2, 0xc}}, {"hostpci", 4, 12, place{2, 0xd}},
		{"virtioscsi", 0, 31, place{3, 0x1}}, {"scsihw", 2, 3, place{4, 0x1}},
	}
}

// find looks a device's id up.
func find(id string) (place, bool) {
	name := strings.TrimRight(id, "0123456789")
	n, err := strconv.Atoi(id[len(name):])
	for _, r := range rows() {
		switch {
		case r.count == 0 && r.name == id:
			return r.place, true
		case r.count > 0 && err == nil && r.name == name && n >= r.first && n < r.first+r.count:
			return place{r.place.bus, r.place.slot + n - r.first}, true
		}
	}
	return place{}, false
}

// bridgePlace is where the bridge to a bus sits.
func (b *builder) bridgePlace(bus int) place {
	switch bus {
	case 2:
		if b.igd {
			return place{1, 0x1e} // the graphics card's companion takes the usual slot
		}
		return place{0, 0x1f}
	case 3:
		return place{0, 0x5}
	case 4:
		return place{1, 0x1c}
	}
	return place{0, 0x1e}
}

// busName returns the id of a bus.
func (b *builder) busName(bus int) string {
	if bus == 0 && b.arm() {
		return "pcie.0"
	}
	return "pci." + strconv.Itoa(bus)
}

// put gives a device its place on conventional PCI and notes that the bus is used.
func (b *builder) put(id string, d machine.Device) machine.Device {
	p, ok := find(id)
	if !ok {
		return d
	}
	return b.putAt(p, d)
}

func (b *builder) putAt(p place, d machine.Device) machine.Device {
	b.buses[p.bus] = true
	d.Bus, d.Addr = b.busName(p.bus), machine.Slot(p.slot)
	return d
}

// putPCIe gives a device of a q35 board its place on the root bus, others the usual one.
func (b *builder) putPCIe(id string, d machine.Device) machine.Device {
	slots := map[string]int{"vga": 0x1, "ivshmem": 0x14}
	if slot, ok := slots[id]; ok && b.q35 {
		d.Bus, d.Addr = "pcie.0", machine.Slot(slot)
		return d
	}
	return b.put(id, d)
}

// bridges returns the PCI bridges that the devices need. A q35 board brings three of
// its own.
func (b *builder) bridges() []machine.Unit {
	var list []machine.Unit
	need := map[int]bool{
		1: !b.q35,
		2: !b.q35 && (b.version.AtLeast(2, 3) || b.buses[2]),
		3: !b.q35 && b.conf.Text("scsihw", "") == "virtio-scsi-single",
		4: b.buses[4],
	}
	for bus := 1; bus <= 4; bus++ {
		if !need[bus] {
			continue
		}
		id := "pci." + strconv.Itoa(bus)
		d := machine.Device{Driver: "pci-bridge", ID: id, Props: []machine.Property{{Name: "chassis_nr", Value: bus}}}
		list = append(list, b.putAt(b.bridgePlace(bus), d).Unit(id))
	}
	if b.q35 {
		return append(b.chipset(), list...)
	}
	return list
}

const shareDir = "/usr/share/qemu-server/"

// chipset returns the devices of a q35 board that Proxmox VE keeps in a file.
func (b *builder) chipset() []machine.Unit {
	old := !b.version.AtLeast(4, 0)
	if !b.launch() {
		file := "pve-q35-4.0.cfg"
		if old {
			file = "pve-q35.cfg"
		}
		return []machine.Unit{{Name: "chipset", ReadConfig: shareDir + file}}
	}
	var list []machine.Device
	list = append(list, usb2Controllers("", 0x1d, "pcie.0")...)
	list = append(list, usb2Controllers("-2", 0x1a, "pcie.0")...)
	list = append(list, machine.Device{Driver: "ich9-intel-hda", ID: "audio0", Bus: "pcie.0", Addr: machine.SlotFunction(0x1b, 0)})
	for n := 1; n <= 4; n++ {
		list = append(list, rootPort(n, machine.SlotFunction(0x1c, n-1), old))
	}
	list = append(list, machine.Device{Driver: "i82801b11-bridge", ID: "pcidmi", Bus: "pcie.0", Addr: machine.SlotFunction(0x1e, 0)})
	for n := range 4 {
		list = append(list, machine.Device{Driver: "pci-bridge", ID: "pci." + strconv.Itoa(n), Bus: "pcidmi", Addr: machine.SlotFunction(n+1, 0),
			Props: []machine.Property{{Name: "chassis_nr", Value: n + 1}}})
	}
	return []machine.Unit{{Name: "chipset", Devices: list}}
}

// rootPort returns the n-th PCIe port of a q35 board.
func rootPort(n int, at machine.Addr, old bool) machine.Device {
	d := machine.Device{Driver: "pcie-root-port", ID: "ich9-pcie-port-" + strconv.Itoa(n), Bus: "pcie.0", Addr: at,
		Props: []machine.Property{{Name: "port", Value: n}, {Name: "chassis", Value: n}, {Name: "multifunction", Value: true}}}
	if old {
		d.Driver = "ioh3420"
		return d
	}
	return d.With(machine.Property{Name: "x-speed", Value: "16"}, machine.Property{Name: "x-width", Value: "32"})
}

// usb2Controllers returns one EHCI controller with its three companions for slow
// devices. An empty bus leaves the choice to the board.
func usb2Controllers(suffix string, slot int, bus string) []machine.Device {
	model, first := "1", 1
	if suffix != "" {
		model, first = "2", 4
	}
	ehci := "ehci" + suffix
	multi := machine.Property{Name: "multifunction", Value: true}
	list := []machine.Device{{Driver: "ich9-usb-ehci" + model, ID: ehci, Bus: bus, Addr: machine.SlotFunction(slot, 7), Props: []machine.Property{multi}}}
	for i := range 3 {
		n := strconv.Itoa(first + i)
		list = append(list, machine.Device{Driver: "ich9-usb-uhci" + n, ID: "uhci-" + n, Bus: bus, Addr: machine.SlotFunction(slot, i),
			Props: []machine.Property{multi, {Name: "masterbus", Value: ehci + ".0"}, {Name: "firstport", Value: 2 * i}}})
	}
	return list
}
