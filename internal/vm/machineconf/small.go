package machineconf

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/qmp/machine"
)

// small adds the devices that depend on nothing else.
func (b *builder) small() error {
	b.smbios()
	b.vmGenID()
	b.audio()
	b.tpm()
	b.agent()
	b.balloon()
	b.watchdog()
	b.ivshmem()
	return nil
}

// smbios fills the table that tells the guest about its computer.
func (b *builder) smbios() {
	text, ok := b.conf["smbios1"]
	if !ok {
		return
	}
	s, err := vmconfig.ParseSMBIOS1(text)
	if err != nil {
		return
	}
	table := machine.SMBIOS{Type: 1}
	for _, f := range []struct{ name, v string }{{"family", s.Family}, {"manufacturer", s.Manufacturer}, {"product", s.Product},
		{"serial", s.Serial}, {"sku", s.SKU}, {"uuid", s.UUID}, {"version", s.Version}} {
		if s.Base64.Or(false) && f.name != "uuid" {
			f.v = decodeBase64(f.v)
		}
		if f.v != "" && f.v != "0" {
			table.Fields = append(table.Fields, machine.Property{Name: f.name, Value: f.v})
		}
	}
	if len(table.Fields) > 0 || !b.launch() {
		b.m.SMBIOS = append(b.m.SMBIOS, table)
	}
}

// decodeBase64 decodes with and without padding; text that is no base64 stays.
func decodeBase64(s string) string {
	out, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
	if err != nil {
		return s
	}
	return string(out)
}

func (b *builder) vmGenID() {
	if id := b.conf.Text("vmgenid", ""); id != "" && id != "0" {
		d := machine.Device{Driver: "vmgenid", Props: []machine.Property{{Name: "guid", Value: id}}}
		b.parts.vmgenid = append(b.parts.vmgenid, d.Unit("vmgenid"))
	}
}

// serials adds the serial ports.
func (b *builder) serials() error {
	for n := range 4 {
		id := "serial" + strconv.Itoa(n)
		where, ok := b.conf[id]
		if !ok {
			continue
		}
		u := machine.Unit{Name: id, Devices: []machine.Device{{Driver: "isa-serial", Props: []machine.Property{{Name: "chardev", Value: id}}}}}
		if where == "socket" {
			u.Chardevs = []machine.Chardev{b.listen(id, id)}
			if b.arm() && n == 0 {
				u.Devices, u.Serials = nil, []string{"chardev:" + id}
			}
		} else {
			if b.host.kind(where) != CharFile {
				return errors.New("no such serial device")
			}
			u.Chardevs = []machine.Chardev{{Backend: "serial", ID: id, Props: []machine.Property{{Name: "path", Value: where}}}}
		}
		b.parts.serial = append(b.parts.serial, u)
	}
	return nil
}

// parallels adds the parallel ports.
func (b *builder) parallels() error {
	for n := range 4 {
		id := "parallel" + strconv.Itoa(n)
		where, ok := b.conf[id]
		if !ok {
			continue
		}
		if b.host.kind(where) != CharFile {
			return errors.New("no such parallel device")
		}
		backend := "parallel"
		if strings.HasPrefix(where, "/dev/usb/lp") {
			backend = "serial"
		}
		b.parts.serial = append(b.parts.serial, machine.Unit{Name: id,
			Chardevs: []machine.Chardev{{Backend: backend, ID: id, Props: []machine.Property{{Name: "path", Value: where}}}},
			Devices:  []machine.Device{{Driver: "isa-parallel", Props: []machine.Property{{Name: "chardev", Value: id}}}}})
	}
	return nil
}

// audio adds the sound card.
func (b *builder) audio() {
	a, err := vmconfig.ParseAudio(b.conf.Text("audio0", ""))
	if !b.conf.Has("audio0") || err != nil || !b.version.AtLeast(4, 0) {
		return
	}
	driver := a.Driver
	if driver == "" {
		driver = "spice"
	}
	if b.launch() && driver == "spice" && b.m.Display.SPICE == nil {
		driver = "none" // nobody listens
	}
	backend := machine.Audiodev{Driver: driver, ID: driver + "-backend0"}
	link := []machine.Property{}
	if b.version.AtLeast(4, 2) || b.launch() {
		link = append(link, machine.Property{Name: "audiodev", Value: backend.ID})
	}
	card := b.put("audio0", machine.Device{Driver: a.Device, ID: "audiodev0"})
	u := machine.Unit{Name: "audio0", Audiodevs: []machine.Audiodev{backend}}
	if a.Device == "AC97" {
		u.Devices = []machine.Device{card.With(link...)}
	} else {
		u.Devices = []machine.Device{card}
		for i, driver := range []string{"hda-micro", "hda-duplex"} {
			n := strconv.Itoa(i)
			u.Devices = append(u.Devices, machine.Device{Driver: driver, ID: "audiodev0-codec" + n, Bus: "audiodev0.0",
				Props: append([]machine.Property{{Name: "cad", Value: i}}, link...)})
		}
	}
	b.parts.audio = append(b.parts.audio, u)
}

// tpm adds the trusted platform module, which another process emulates.
func (b *builder) tpm() {
	d, ok, err := b.conf.Drive("tpmstate0")
	if !ok || err != nil {
		return
	}
	version := d.Version
	if version == "" {
		version = "v1.2"
	}
	b.use(d)
	b.res.TPM = &TPMProcess{Socket: b.own("swtpm"), Volume: d.File, Version: version}
	b.parts.tpm = append(b.parts.tpm, machine.Unit{Name: "tpmstate0",
		Chardevs: []machine.Chardev{machine.ConnectSocket("tpmchar", b.res.TPM.Socket)},
		TPMs:     []machine.TPM{{ID: "tpmdev", Chardev: "tpmchar"}},
		Devices:  []machine.Device{{Driver: "tpm-tis", Props: []machine.Property{{Name: "tpmdev", Value: "tpmdev"}}}}})
}

// agent adds the channel of the guest agent.
func (b *builder) agent() {
	a, err := vmconfig.ParseAgent(b.conf.Text("agent", ""))
	if err != nil || !a.IsEnabled() {
		return
	}
	u := machine.Unit{Name: "qga0", Chardevs: []machine.Chardev{b.listen("qga0", "qga")}}
	link := machine.Property{Name: "chardev", Value: "qga0"}
	if a.Type == "isa" {
		u.Devices = []machine.Device{{Driver: "isa-serial", Props: []machine.Property{link}}}
	} else {
		u.Devices = []machine.Device{b.put("qga0", machine.Device{Driver: "virtio-serial", ID: "qga0"}),
			{Driver: "virtserialport", Props: []machine.Property{link, {Name: "name", Value: "org.qemu.guest_agent.0"}}}}
	}
	b.parts.agent = append(b.parts.agent, u)
}

// rng adds the random number generator.
func (b *builder) rng() error {
	r, err := vmconfig.ParseRNG(b.conf.Text("rng0", ""))
	if !b.conf.Has("rng0") || err != nil || !b.needs(4, 1, 2) {
		return nil
	}
	if b.host.kind(r.Source) == Missing {
		return fmt.Errorf("cannot create VirtIO RNG device: source file '%s' doesn't exist", r.Source)
	}
	if r.Source == "/dev/hwrng" && b.host.HWRNG == "none" {
		return errors.New("Cannot start VM with passed-through RNG device: '/dev/hwrng' exists, but '/sys/devices/virtual/misc/hw_random/rng_current' is set to 'none'. Ensure that a compatible hardware-RNG is attached to the host.") //nolint:staticcheck // public text
	}
	d := machine.Device{Driver: "virtio-rng-pci", Props: []machine.Property{{Name: "rng", Value: "rng0"}}}
	if limit := r.MaxBytes.Or(1024); limit > 0 {
		d = d.With(machine.Property{Name: "max-bytes", Value: limit}, machine.Property{Name: "period", Value: r.PeriodMS.Or(1000)})
	}
	b.parts.rng = append(b.parts.rng, machine.Unit{Name: "rng0",
		Objects: []machine.Object{{Type: "rng-random", ID: "rng0", Props: []machine.Property{{Name: "filename", Value: r.Source}}}},
		Devices: []machine.Device{b.put("rng0", d)}})
	return nil
}

// balloon adds the device through which the guest gives memory back.
func (b *builder) balloon() {
	if b.conf.Has("balloon") && b.conf.Int("balloon", 0) == 0 {
		return
	}
	d := b.put("balloon0", machine.Device{Driver: "virtio-balloon-pci", ID: "balloon0"})
	if b.version.AtLeast(6, 2) {
		d = d.With(machine.Property{Name: "free-page-reporting", Value: true})
	}
	b.parts.balloon = append(b.parts.balloon, d.Unit("balloon0"))
}

func (b *builder) watchdog() {
	w, err := vmconfig.ParseWatchdog(b.conf.Text("watchdog", ""))
	if !b.conf.Has("watchdog") || err != nil {
		return
	}
	if w.Model == "" {
		w.Model = "i6300esb"
	}
	d := machine.Device{Driver: w.Model}
	if w.Model != "ib700" || !b.launch() { // an ISA card has no place on PCI
		d = b.put("watchdog", d)
	}
	u := d.Unit("watchdog")
	u.WatchdogAction = w.Action
	b.parts.watchdog = append(b.parts.watchdog, u)
}

// ivshmem adds memory that the guest shares with processes of the host.
func (b *builder) ivshmem() {
	o, err := vmconfig.ParseIVShmem(b.conf.Text("ivshmem", ""))
	if !b.conf.Has("ivshmem") || err != nil {
		return
	}
	name := o.Name
	if name == "" {
		name = strconv.Itoa(b.in.VMID)
	}
	d := machine.Device{Driver: "ivshmem-plain", Props: []machine.Property{{Name: "memdev", Value: "ivshmem"}}}
	if !b.launch() {
		d.Props = append(d.Props, machine.Property{Value: ""}) // Proxmox VE ends the option with a comma
	}
	b.parts.ivshmem = append(b.parts.ivshmem, machine.Unit{Name: "ivshmem", Devices: []machine.Device{b.putPCIe("ivshmem", d)},
		Objects: []machine.Object{{Type: "memory-backend-file", ID: "ivshmem", Props: []machine.Property{{Name: "share", Value: true},
			{Name: "mem-path", Value: "/dev/shm/pve-shm-" + name}, {Name: "size", Value: machine.Bytes(o.SizeMiB) * mebibyte}}}}})
}
