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

const usbCount = 14

var (
	usbID   = regexp.MustCompile(`^(?:0x)?([0-9A-Fa-f]{4}):(?:0x)?([0-9A-Fa-f]{4})$`)
	usbPort = regexp.MustCompile(`^(\d+)-(\d+(?:\.\d+)*)$`)
)

// usbOption is one usbN that can be read.
type usbOption struct {
	n int
	vmconfig.USB
}

func (b *builder) usbOptions() []usbOption {
	var list []usbOption
	for n := range usbCount {
		if text, ok := b.conf["usb"+strconv.Itoa(n)]; ok {
			if u, err := vmconfig.ParseUSB(text); err == nil {
				list = append(list, usbOption{n: n, USB: u})
			}
		}
	}
	return list
}

// usbIndexes checks that the controller has the ports. It runs before all that looks at
// devices.
func (b *builder) usbIndexes() error {
	b.newUSB = b.version.AtLeast(7, 1) && (b.ostype() == "l26" || b.win > 7)
	for n := 5; n < usbCount && !b.newUSB; n++ {
		if b.conf.Has("usb" + strconv.Itoa(n)) {
			return fmt.Errorf("using usb%d is only possible with machine type >= 7.1 and ostype l26 or windows > 7", n)
		}
	}
	return nil
}

// usb adds the controllers and the devices of the host.
func (b *builder) usb() error {
	options := b.usbOptions()
	b.usbControllers(options)
	for _, o := range options {
		u, err := b.usbDevice(o)
		if err != nil {
			return err
		}
		b.parts.usb = append(b.parts.usb, u)
	}
	return nil
}

func (b *builder) usbControllers(options []usbOption) {
	add := func(u machine.Unit) { b.parts.usbControllers = append(b.parts.usbControllers, u) }
	pc := !b.arm() && !b.q35
	switch {
	case pc:
		d := machine.Device{Driver: "piix3-usb-uhci", ID: "uhci"}
		d = b.put("piix3", d)
		d.Addr = d.Addr.Function(2)
		add(d.Unit("uhci"))
	case b.arm():
		add(b.put("ehci", machine.Device{Driver: "usb-ehci", ID: "ehci"}).Unit("ehci"))
	}
	var usb2, usb3 bool
	for _, o := range options {
		if o.USB3.Or(false) {
			usb3 = true
		} else {
			usb2 = true
		}
	}
	if usb2 && pc && !b.newUSB {
		u := machine.Unit{Name: "usb2", ReadConfig: shareDir + "pve-usb.cfg"}
		if b.launch() {
			u = machine.Unit{Name: "usb2", Devices: usb2Controllers("", 0x1d, "pci.0")}
		}
		add(u)
	}
	switch {
	case b.newUSB && len(options) > 0:
		d := machine.Device{Driver: "qemu-xhci", ID: "xhci", Props: []machine.Property{{Name: "p2", Value: 15}, {Name: "p3", Value: 15}}}
		add(b.put("xhci", d).Unit("xhci"))
	case usb3:
		add(b.put("xhci", machine.Device{Driver: "nec-usb-xhci", ID: "xhci"}).Unit("xhci"))
	}
}

func (b *builder) usbDevice(o usbOption) (machine.Unit, error) {
	key := "usb" + strconv.Itoa(o.n)
	usb3 := b.newUSB || o.USB3.Or(false)
	host := o.Host
	if o.Mapping != "" {
		var err error
		if host, err = b.in.Mappings.usb(o.Mapping, b.host); err != nil {
			return machine.Unit{}, err
		}
	}
	if strings.EqualFold(host, "spice") {
		return b.usbRedirection(key, o), nil
	}
	d := machine.Device{Driver: "usb-host", ID: key}
	if usb3 {
		d.Bus = "xhci.0"
	}
	if b.newUSB {
		d.Props = append(d.Props, machine.Property{Name: "port", Value: strconv.Itoa(o.n + 1)})
	}
	if m := usbID.FindStringSubmatch(host); m != nil {
		vendor, _ := strconv.ParseUint(m[1], 16, 16)
		product, _ := strconv.ParseUint(m[2], 16, 16)
		d.Props = append(d.Props, machine.Property{Name: "vendorid", Value: machine.Hex(vendor)}, machine.Property{Name: "productid", Value: machine.Hex(product)})
	} else if m := usbPort.FindStringSubmatch(host); m != nil {
		d.Props = append(d.Props, machine.Property{Name: "hostbus", Value: atoi(m[1])}, machine.Property{Name: "hostport", Value: m[2]})
	} else {
		return machine.Unit{}, errors.New("no usb id or path given")
	}
	if i, ok := b.bootIdx[key]; ok {
		d.Props = append(d.Props, machine.Property{Name: "bootindex", Value: i})
	}
	return d.Unit(key), nil
}

// usbRedirection is a port that a SPICE client plugs its devices into.
func (b *builder) usbRedirection(key string, o usbOption) machine.Unit {
	n := strconv.Itoa(o.n)
	if _, ok := b.bootIdx[key]; ok {
		b.warn("warning: spice usb port set as bootdevice, ignoring")
	}
	bus := "ehci"
	if b.newUSB || o.USB3.Or(false) && b.version.AtLeast(4, 0) {
		bus = "xhci"
	}
	d := machine.Device{Driver: "usb-redir", ID: "usbredirdev" + n, Bus: bus + ".0", Props: []machine.Property{{Name: "chardev", Value: "usbredirchardev" + n}}}
	if b.newUSB {
		d.Props = append(d.Props, machine.Property{Name: "port", Value: strconv.Itoa(o.n + 1)})
	}
	if b.launch() && (!b.host.QEMU.SPICE || !b.card().spice()) {
		b.warn("%s: there is no SPICE server, ignoring", key)
		return machine.Unit{Name: key}
	}
	return machine.Unit{Name: key, Devices: []machine.Device{d}, Chardevs: []machine.Chardev{
		{Backend: "spicevmc", ID: "usbredirchardev" + n, Props: []machine.Property{{Name: "name", Value: "usbredir"}}}}}
}
