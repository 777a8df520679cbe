package machineconf

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/qmp/machine"
)

// drives adds the disks and CD-ROM drives with their controllers.
func (b *builder) drives() error {
	controllers := map[string]bool{}
	for _, d := range b.conf.Drives() {
		switch d.Bus() {
		case "efidisk", "tpmstate":
			continue
		case "scsi":
			if d.Index() > 13 && !b.needs(4, 1, 2) {
				return fmt.Errorf("%s: machine version 4.1~pve2 or higher is required to use more than 14 SCSI disks", d.Key)
			}
		}
		if err := b.addDrive(d, controllers); err != nil {
			return err
		}
	}
	return nil
}

// addDrive adds one drive, before it its controller if that is not there yet.
func (b *builder) addDrive(d vmconfig.Drive, controllers map[string]bool) error {
	if d.File == "cdrom" && b.host.CDROM == "" && b.launch() {
		b.warn("no physical CD-ROM available, ignoring")
		d.File = "none"
	}
	if !d.IsEmpty() {
		b.use(d)
	}
	u := machine.Unit{Name: d.Key}
	thread, controller := b.ioThread(d)
	if c, ok := b.controller(d, controller); ok && !controllers[c.ID] {
		controllers[c.ID] = true
		b.parts.drives = append(b.parts.drives, c.Unit(c.ID))
	}
	if thread != "" {
		u.Objects = append(u.Objects, machine.Object{Type: "iothread", ID: thread})
	}
	switch {
	case !b.blockdev():
		drive, err := b.legacyDrive(d)
		if err != nil {
			return err
		}
		u.Drives = []machine.Drive{drive}
	case !d.IsEmpty():
		node, err := b.blockGraph(d, 0)
		if err != nil {
			return err
		}
		u.Nodes = []machine.Node{node}
		u.Objects = append(u.Objects, b.throttleObjects(d)...)
	}
	u.Devices = []machine.Device{b.frontEnd(d, thread)}
	b.parts.drives = append(b.parts.drives, u)
	return nil
}

// scsiHardware is the type of the SCSI controllers.
func (b *builder) scsiHardware() string { return b.conf.Text("scsihw", "lsi") }

func (b *builder) single() bool { return b.scsiHardware() == "virtio-scsi-single" }

// ioThread returns the thread that serves a drive, and whether it is the controller's.
func (b *builder) ioThread(d vmconfig.Drive) (id string, controller bool) {
	if !d.IOThread.Or(false) {
		return "", false
	}
	switch {
	case d.Bus() == "virtio":
		return "iothread-" + d.Key, false
	case d.Bus() == "scsi" && b.single():
		return "iothread-virtioscsi" + strconv.Itoa(d.Index()), true
	}
	b.warn("iothread is only valid with virtio disk or virtio-scsi-single controller, ignoring")
	return "", false
}

// scsiPlace returns the controller of a SCSI drive and the drive's address on it.
func (b *builder) scsiPlace(n int) (id string, address []machine.Property) {
	target := func(id, lun int) []machine.Property {
		return []machine.Property{{Name: "channel", Value: 0}, {Name: "scsi-id", Value: id}, {Name: "lun", Value: lun}}
	}
	switch b.scsiHardware() {
	case "lsi", "lsi53c810":
		return "scsihw" + strconv.Itoa(n/7), []machine.Property{{Name: "scsi-id", Value: n % 7}}
	case "pvscsi":
		return "scsihw0", []machine.Property{{Name: "scsi-id", Value: n}}
	case "virtio-scsi-single":
		return "virtioscsi" + strconv.Itoa(n), target(0, n)
	}
	return "scsihw0", target(0, n)
}

// controller returns the controller of a drive, if it is not built in.
func (b *builder) controller(d vmconfig.Drive, thread bool) (machine.Device, bool) {
	switch d.Bus() {
	case "sata":
		return b.put("ahci0", machine.Device{Driver: "ahci", ID: "ahci0", Props: []machine.Property{{Name: "multifunction", Value: true}}}), true
	case "scsi":
	default:
		return machine.Device{}, false
	}
	id, _ := b.scsiPlace(d.Index())
	c := machine.Device{Driver: b.scsiHardware(), ID: id}
	if b.single() {
		c.Driver = "virtio-scsi-pci"
		if thread {
			c.Props = append(c.Props, machine.Property{Name: "iothread", Value: "iothread-" + id})
		}
		if q := d.Queues.Or(0); q > 0 {
			c.Props = append(c.Props, machine.Property{Name: "num_queues", Value: q})
		}
	}
	return b.put(id, c), true
}

// frontEnd is the device that the guest sees of a drive.
func (b *builder) frontEnd(d vmconfig.Drive, thread string) machine.Device {
	var dev machine.Device
	kind := "hd"
	switch d.Bus() {
	case "virtio":
		dev = b.put(d.Key, machine.Device{Driver: "virtio-blk-pci", ID: d.Key, Props: b.driveProp(d)})
		if thread != "" {
			dev = dev.With(machine.Property{Name: "iothread", Value: thread})
		}
	case "scsi":
		kind = b.scsiKind(d)
		dev = b.scsiDevice(d, kind)
	default:
		if d.Media == "cdrom" || b.template {
			kind = "cd"
		}
		dev = b.ideDevice(d, kind)
	}
	add := func(name string, v any) { dev.Props = append(dev.Props, machine.Property{Name: name, Value: v}) }
	if i, ok := b.bootIdx[d.Key]; ok {
		add("bootindex", i)
	}
	if d.Serial != "" {
		add("serial", unescape(d.Serial))
	}
	if !b.blockdev() {
		return dev
	}
	if !d.IsCDROM() && kind != "block" && kind != "generic" {
		cached := machine.On
		if d.Cache == "writethrough" || d.Cache == "directsync" {
			cached = machine.Off
		}
		add("write-cache", cached)
	}
	if d.ReadError != "" {
		add("rerror", d.ReadError)
	}
	if d.WriteError != "" {
		add("werror", d.WriteError)
	}
	return dev
}

// driveProp refers to the drive's block node. An empty CD-ROM drive has none.
func (b *builder) driveProp(d vmconfig.Drive) []machine.Property {
	if d.IsEmpty() && b.blockdev() {
		return nil
	}
	return []machine.Property{{Name: "drive", Value: "drive-" + d.Key}}
}

// unescape decodes a text that is stored in URL form; other text stays.
func unescape(s string) string {
	if out, err := url.PathUnescape(s); err == nil {
		return out
	}
	return s
}

// scsiKind decides how much of the real device the guest sees.
func (b *builder) scsiKind(d vmconfig.Drive) string {
	if d.IsCDROM() {
		return "cd"
	}
	if d.IsPath() {
		switch b.host.scsiType(d.File) {
		case "disk":
			if d.SCSIBlock.Or(false) {
				return "block"
			}
		case "tape":
			return "generic"
		}
		return "hd"
	}
	if b.version.AtLeast(4, 1) || b.launch() {
		return "hd"
	}
	if src, err := b.source(d); err == nil && strings.HasPrefix(src.text, "iscsi://") {
		return "generic"
	}
	return "hd"
}

func (b *builder) scsiDevice(d vmconfig.Drive, kind string) machine.Device {
	controller, address := b.scsiPlace(d.Index())
	dev := machine.Device{Driver: "scsi-" + kind, ID: d.Key, Bus: controller + ".0", Props: append(address, b.driveProp(d)...)}
	add := func(name string, v any) { dev.Props = append(dev.Props, machine.Property{Name: name, Value: v}) }
	if b.blockdev() && (kind == "cd" || kind == "hd") {
		add("device_id", "drive-"+d.Key) // what the old form made of the drive's id
	}
	if d.SSD.Or(false) && (kind == "hd" || kind == "block") {
		add("rotation_rate", 1)
	}
	if d.WWN != "" {
		add("wwn", d.WWN)
	}
	if d.Vendor != "" {
		add("vendor", d.Vendor)
	}
	if d.Product != "" && (kind == "hd" || kind == "cd") {
		add("product", d.Product)
	}
	return dev
}

func (b *builder) ideDevice(d vmconfig.Drive, kind string) machine.Device {
	n := d.Index()
	dev := machine.Device{Driver: "ide-" + kind, ID: d.Key, Bus: "ahci0." + strconv.Itoa(n)}
	if d.Bus() == "ide" {
		bus, unit := n/2, n%2
		if b.q35 { // four channels with one device each, kept in the order of the old board
			bus, unit = n%2*2+n/2, 0
		}
		dev.Bus = "ide." + strconv.Itoa(bus)
		dev.Props = append(dev.Props, machine.Property{Name: "unit", Value: unit})
	}
	dev.Props = append(dev.Props, b.driveProp(d)...)
	if d.Model != "" {
		dev.Props = append(dev.Props, machine.Property{Name: "model", Value: unescape(d.Model)})
	}
	if d.SSD.Or(false) && kind == "hd" {
		dev.Props = append(dev.Props, machine.Property{Name: "rotation_rate", Value: 1})
	}
	if d.WWN != "" {
		dev.Props = append(dev.Props, machine.Property{Name: "wwn", Value: d.WWN})
	}
	return dev
}
