package machineconf

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/qmp/machine"
)

func (b *builder) sockets() int { return max(1, b.conf.Int("sockets", b.conf.Int("smp", 1))) }

func (b *builder) cores() int { return max(1, b.conf.Int("cores", 1)) }

// hotplugs tells whether a class of hardware can be changed while the guest runs.
func (b *builder) hotplugs(class string) bool {
	switch text := b.conf.Text("hotplug", "1"); text {
	case "0":
		return false
	case "1":
		return class == "network" || class == "disk" || class == "usb"
	default:
		return slices.Contains(strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ';' || r == ' ' }), class)
	}
}

// smp describes the number of processors. With hotplug all but the first are devices.
func (b *builder) smp() error {
	sockets, cores := b.sockets(), b.cores()
	total := sockets * cores
	vcpus := b.conf.Int("vcpus", 0)
	if vcpus == 0 {
		vcpus = total
	}
	if max(sockets, cores, total) > b.host.CPUs || total <= 0 { // a product may overflow
		return fmt.Errorf("MAX %d vcpus allowed per VM on this node", b.host.CPUs)
	}
	b.m.SMP = machine.SMP{CPUs: vcpus, Sockets: sockets, Cores: cores, MaxCPUs: total}
	if !b.hotplugs("cpu") || !b.version.AtLeast(2, 7) {
		return nil
	}
	if vcpus > total {
		return fmt.Errorf("vcpus (%d) exceed the %d processors of all sockets", vcpus, total)
	}
	b.m.SMP.CPUs = 1
	for i := 2; i <= vcpus; i++ {
		d, err := b.pluggedCPU(i)
		if err != nil {
			return err
		}
		b.m.SMP.Plugged = append(b.m.SMP.Plugged, d)
	}
	return nil
}

// pluggedCPU returns the i-th processor, counted from 1, as a device.
func (b *builder) pluggedCPU(i int) (machine.Device, error) {
	if b.arm() {
		return machine.Device{}, fmt.Errorf("Hotplug of non x86_64 CPU not yet supported") //nolint:staticcheck // public text
	}
	model, err := b.deviceModel()
	if err != nil {
		return machine.Device{}, err
	}
	cores := b.cores()
	return machine.Device{Driver: model + "-x86_64-cpu", ID: "cpu" + strconv.Itoa(i), Props: []machine.Property{
		{Name: "socket-id", Value: (i - 1) / cores}, {Name: "core-id", Value: (i - 1) % cores}, {Name: "thread-id", Value: 0}}}, nil
}

// deviceModel is the model of processors that are devices. Proxmox VE looks a custom
// model up only when the option's text begins with its name.
func (b *builder) deviceModel() (string, error) {
	text := b.conf.Text("cpu", "")
	c, err := vmconfig.ParseCPU(text)
	if err == nil && c.Custom() != "" && !strings.HasPrefix(text, "custom-") && !b.launch() {
		return c.Type, nil
	}
	p, err := b.processor()
	return p.model, err
}
