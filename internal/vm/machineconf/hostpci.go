package machineconf

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/qmp/machine"
)

const hostPCICount = 16

// passed is one hostpciN with the devices it may get: each alternative is the functions
// of one device.
type passed struct {
	n int
	vmconfig.HostPCI
	alternatives [][]PCIDevice
	chosen       []PCIDevice
	migratable   bool
	nvidiaVGPU   bool
}

func (p *passed) key() string { return "hostpci" + strconv.Itoa(p.n) }

// mediated tells whether the guest gets a device made for it instead of the real one.
func (p *passed) mediated() bool { return p.MDev != "" && !p.nvidiaVGPU }

// hostPCI passes devices of the host to the guest.
func (b *builder) hostPCI() error {
	list, err := b.passedDevices()
	if err != nil {
		return err
	}
	if err := b.choosePCI(list); err != nil {
		return err
	}
	for _, p := range list {
		if err := b.legacyIGD(p); err != nil {
			return err
		}
		if p.PCIe.Or(false) && !b.q35 {
			return errors.New("q35 machine model is not enabled")
		}
		if err := b.addPassed(p); err != nil {
			return err
		}
	}
	return nil
}

// passedDevices reads the options and looks their devices up.
func (b *builder) passedDevices() ([]*passed, error) {
	var list []*passed
	for n := range hostPCICount {
		text, ok := b.conf["hostpci"+strconv.Itoa(n)]
		if !ok {
			continue
		}
		o, err := vmconfig.ParseHostPCI(text)
		if err != nil {
			continue
		}
		p := &passed{n: n, HostPCI: o}
		if err := b.lookUpPCI(p); err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

func (b *builder) lookUpPCI(p *passed) error {
	var groups []string
	switch {
	case p.Mapping != "" && len(p.Host) > 0:
		return errors.New("Cannot set both 'host' and 'mapping'.") //nolint:staticcheck // public text
	case p.Mapping != "":
		mapping, entries, err := b.in.Mappings.pciEntries(p.Mapping, b.host)
		if err != nil {
			return err
		}
		p.migratable = mapping.LiveMigration
		for _, e := range entries {
			groups = append(groups, e.Path)
		}
	case len(p.Host) > 0:
		groups = []string{strings.Join(p.Host, ";")}
	default:
		return errors.New("Either 'host' or 'mapping' must be set.") //nolint:staticcheck // public text
	}
	for _, g := range groups {
		var functions []PCIDevice
		for id := range strings.SplitSeq(g, ";") {
			found := b.host.pciFunctions(id)
			if len(found) == 0 {
				return fmt.Errorf("no PCI device found for '%s'", id)
			}
			functions = append(functions, found...)
		}
		p.alternatives = append(p.alternatives, functions)
	}
	return b.checkMediated(p)
}

var nvidiaType = regexp.MustCompile(`^nvidia-\d+$`)

func (b *builder) checkMediated(p *passed) error {
	if p.MDev == "" {
		return nil
	}
	for _, functions := range p.alternatives {
		if len(functions) > 1 {
			return errors.New("cannot use mediated device with multifunction device")
		}
	}
	first := p.alternatives[0][0]
	p.nvidiaVGPU = nvidiaType.MatchString(p.MDev) && strings.TrimPrefix(first.Vendor, "0x") == "10de" && !first.MDev
	return nil
}

// choosePCI gives every hostpciN a device that no other has: first those without a
// choice, then in order the first free alternative.
func (b *builder) choosePCI(list []*passed) error {
	for _, p := range list {
		if p.mediated() || len(p.alternatives) > 1 {
			continue
		}
		p.chosen = p.alternatives[0]
		for _, d := range p.chosen {
			if b.usedPCI[d.Address] {
				return fmt.Errorf("device '%s' assigned more than once", d.Address)
			}
			b.usedPCI[d.Address] = true
		}
	}
	for _, p := range list {
		if p.mediated() || p.chosen != nil {
			continue
		}
		for _, functions := range p.alternatives {
			if b.allFree(functions) {
				p.chosen = functions
				break
			}
		}
		if p.chosen == nil {
			return fmt.Errorf("could not find a free device for '%s'", p.key())
		}
		for _, d := range p.chosen {
			b.usedPCI[d.Address] = true
		}
	}
	return nil
}

func (b *builder) allFree(functions []PCIDevice) bool {
	for _, d := range functions {
		if b.usedPCI[d.Address] || b.in.ReservedPCI[d.Address] {
			return false
		}
	}
	return true
}

// legacyIGD checks the conditions under which an Intel graphics card works as the
// guest's first card with the host's firmware.
func (b *builder) legacyIGD(p *passed) error {
	if !p.LegacyIGD.Or(false) {
		return nil
	}
	incompatible := func(what string) error {
		return fmt.Errorf("legacy IGD assignment is not compatible with %s", what)
	}
	switch {
	case b.igd:
		return errors.New("only one device can be assigned in legacy-igd mode")
	case p.XVGA.Or(false):
		return incompatible("x-vga")
	case p.MDev != "":
		return incompatible("mdev")
	case b.q35:
		return incompatible("q35")
	case b.vga.Type != "none":
		return errors.New("legacy IGD assignment requires VGA mode to be 'none'")
	case !p.ROMBar.Or(true):
		return errors.New("legacy IGD assignment requires rombar to be enabled")
	case len(p.alternatives) > 1:
		return incompatible("alternate devices")
	case len(p.alternatives[0]) > 1:
		return incompatible("multifunction devices")
	case p.alternatives[0][0].Address != "0000:00:02.0":
		return errors.New("legacy IGD assignment only works for devices on host bus 00:02.0")
	}
	b.igd = true
	return nil
}

// addPassed adds the devices of one hostpciN.
func (b *builder) addPassed(p *passed) error {
	if p.XVGA.Or(false) {
		b.gpu = true
	}
	at := b.passedPlace(p)
	u := machine.Unit{Name: p.key()}
	if p.PCIe.Or(false) && b.win != 7 && p.n >= 4 {
		u.Devices = append(u.Devices, b.extraPort(p.n))
	}
	if p.mediated() {
		d, err := b.vfio(p, at)
		if err != nil {
			return err
		}
		uuid := fmt.Sprintf("%08d-0000-0000-0000-%012d", p.n, b.in.VMID)
		u.Devices = append(u.Devices, d(machine.Property{Name: "sysfsdev", Value: "/sys/bus/mdev/devices/" + uuid}, 0, 1))
		use := PCIUse{Key: p.key(), MDev: p.MDev, UUID: uuid}
		for _, a := range p.alternatives {
			use.Alternatives = append(use.Alternatives, a[0].Address)
		}
		b.res.PCI = append(b.res.PCI, use)
		b.parts.hostPCI = append(b.parts.hostPCI, u)
		return nil
	}
	d, err := b.vfio(p, at)
	if err != nil {
		return err
	}
	for j, f := range p.chosen {
		u.Devices = append(u.Devices, d(machine.Property{Name: "host", Value: f.Address}, j, len(p.chosen)))
		b.res.PCI = append(b.res.PCI, PCIUse{Key: p.key(), Address: f.Address, MDev: p.MDev, KeepDriver: p.Driver == "keep"})
	}
	b.parts.hostPCI = append(b.parts.hostPCI, u)
	return nil
}

// extraPort is a PCIe port beyond the four of the board, eight to a slot.
func (b *builder) extraPort(n int) machine.Device {
	return rootPort(n+1, machine.SlotFunction(0x10+(n-4)/8, (n-4)%8), false)
}

// passedPlace is where a passed device sits.
func (b *builder) passedPlace(p *passed) machine.Device {
	d := machine.Device{Driver: "vfio-pci"}
	switch {
	case p.LegacyIGD.Or(false):
		return b.put("legacy-igd", d)
	case !p.PCIe.Or(false):
		return b.put(p.key(), d)
	case b.win == 7: // does not start on a port
		d.Bus = "pcie.0"
		switch {
		case p.n < 4:
			d.Addr = machine.Slot(0x10 + p.n)
		case p.n < 11:
			d.Addr = machine.Slot(0x9 + p.n - 4)
		default:
			d.Addr = machine.Slot(0x15 + p.n - 11)
		}
		return d
	}
	d.Bus, d.Addr = "ich9-pcie-port-"+strconv.Itoa(p.n+1), machine.Slot(0)
	return d
}

// vfio returns the maker of function j of n of a passed device. What concerns the whole
// device stands on function 0.
func (b *builder) vfio(p *passed, at machine.Device) (func(host machine.Property, j, n int) machine.Device, error) {
	rom := ""
	if p.ROMFile != "" {
		if b.launch() && strings.ContainsAny(p.ROMFile, "/\\") {
			return nil, fmt.Errorf("%s: romfile '%s' is not a file name", p.key(), p.ROMFile)
		}
		rom = "/usr/share/kvm/" + p.ROMFile
	}
	return func(host machine.Property, j, n int) machine.Device {
		d := at
		d.ID = p.key()
		d.Props = []machine.Property{host}
		add := func(name string, v any) { d.Props = append(d.Props, machine.Property{Name: name, Value: v}) }
		if p.migratable {
			add("enable-migration", machine.On)
		}
		if n > 1 {
			d.ID += "." + strconv.Itoa(j)
			d.Addr = d.Addr.Function(j)
		}
		if j > 0 {
			return d
		}
		if !p.ROMBar.Or(true) {
			add("rombar", 0)
		}
		if p.XVGA.Or(false) && !b.efi {
			add("x-vga", true)
		}
		if n > 1 {
			add("multifunction", true)
		}
		if rom != "" {
			add("romfile", rom)
		}
		if i, ok := b.bootIdx[p.key()]; ok {
			add("bootindex", i)
		}
		for _, o := range []struct{ name, v string }{{"x-pci-vendor-id", p.VendorID}, {"x-pci-device-id", p.DeviceID},
			{"x-pci-sub-vendor-id", p.SubVendorID}, {"x-pci-sub-device-id", p.SubDeviceID}} {
			if o.v != "" {
				add(o.name, o.v)
			}
		}
		return d
	}, nil
}
