package machineconf

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/qmp/machine"
)

const mebibyte = 1 << 20

// card is the configured graphics card.
type card struct {
	typ    string // without the number of qxl displays
	qxl    int    // number of QXL displays, 0 for other cards
	memory vmconfig.Opt[int]
}

// card resolves the option vga.
func (b *builder) card() card {
	c := card{typ: b.vga.Type, memory: b.vga.MemoryMiB}
	switch {
	case c.typ == "" && b.gpu && !b.conf.Has("vga"):
		c.typ = "none"
	case c.typ == "" && b.arm():
		c.typ = "virtio"
	case c.typ == "" && (b.win == 5 || b.win < 6 && !b.version.AtLeast(2, 9)):
		c.typ = "cirrus"
	case c.typ == "":
		c.typ = "std"
	}
	if n, ok := strings.CutPrefix(c.typ, "qxl"); ok {
		c.typ, c.qxl = "qxl", max(1, atoi(n))
	}
	return c
}

func (c card) serial() bool { return strings.HasPrefix(c.typ, "serial") }

// headless tells whether there is no picture at all.
func (c card) headless() bool { return c.typ == "none" || c.serial() }

// spice tells whether the card is one for SPICE clients.
func (c card) spice() bool { return c.qxl > 0 || strings.HasPrefix(c.typ, "virtio") }

// display describes cards, servers and the client's channels.
func (b *builder) display() error {
	c := b.card()
	b.m.Display.NoVGA = c.typ == "none"
	b.m.Display.NoGraphic = c.headless()
	if c.typ == "virtio-gl" {
		if err := b.checkGL(); err != nil {
			return err
		}
		b.m.Display.GL = "egl-headless,gl=core"
	}
	if !c.headless() {
		b.m.Display.VNC = &machine.VNC{Socket: b.in.run("vnc"), Password: true}
		if b.launch() {
			// It listens nowhere: viewers are handed to it one by one (QMP add_client).
			b.m.Display.VNC = &machine.VNC{Address: "none", Password: true}
		}
		b.cards(c)
	}
	b.tablet(c)
	if !b.conf.Has("bios") || b.conf.Text("bios", "") == "seabios" {
		if c.headless() && !b.arm() {
			b.m.Board.SMM = new(false)
		}
	}
	return nil
}

func (b *builder) checkGL() error {
	if !b.host.GLLibraries {
		return errors.New("missing libraries for 'virtio-gl' detected! Please install 'libgl1' and 'libegl1'")
	}
	if !b.host.RenderNode {
		return errors.New("no DRM render node detected (/dev/dri/renderD*), no GPU? - needed for 'virtio-gl' display")
	}
	return nil
}

// cards adds the graphics cards. A Windows guest needs a QXL card for each display,
// others drive several displays with one.
func (b *builder) cards(c card) {
	b.parts.vgaFirst = append(b.parts.vgaFirst, b.graphics(c, 0).Unit("vga"))
	if c.qxl < 2 {
		return
	}
	if b.win > 0 {
		for i := 1; i < c.qxl; i++ {
			b.parts.vgaRest = append(b.parts.vgaRest, b.graphics(c, i).Unit("vga"+strconv.Itoa(i)))
		}
		return
	}
	ram, vram := 134217728, 67108864
	if c.memory.Set {
		ram = c.qxl * 4 * c.memory.Value * mebibyte
		vram = ram / 2
	}
	b.m.Globals = append(b.m.Globals, machine.Global{Driver: "qxl-vga", Property: "ram_size", Value: strconv.Itoa(ram)},
		machine.Global{Driver: "qxl-vga", Property: "vram_size", Value: strconv.Itoa(vram)})
}

// graphics returns the i-th card.
func (b *builder) graphics(c card, i int) machine.Device {
	id := "vga"
	if i > 0 {
		id += strconv.Itoa(i)
	}
	d := machine.Device{Driver: b.cardDriver(c, i), ID: id}
	mem := c.memory.Value
	switch {
	case c.memory.Set && strings.HasPrefix(c.typ, "virtio"):
		d = d.With(machine.Property{Name: "max_hostmem", Value: mem * mebibyte})
	case c.memory.Set && c.qxl > 0:
		d = d.With(machine.Property{Name: "vgamem_mb", Value: mem}, machine.Property{Name: "ram_size_mb", Value: 4 * mem},
			machine.Property{Name: "vram_size_mb", Value: 2 * mem})
	case c.memory.Set:
		d = d.With(machine.Property{Name: "vgamem_mb", Value: mem})
	case i > 0:
		d = d.With(machine.Property{Name: "ram_size", Value: 67108864}, machine.Property{Name: "vram_size", Value: 33554432})
	}
	if c.qxl > 0 && b.version.AtLeast(4, 1) && slices.Contains([]string{"", "other", "l24", "l26"}, b.ostype()) {
		d = d.With(machine.Property{Name: "max_outputs", Value: 4})
	}
	if d.Driver == "VGA" && b.win > 0 && !b.efi {
		d = d.With(machine.Property{Name: "edid", Value: false})
	}
	if i == 0 {
		return b.putPCIe(id, d)
	}
	return b.put(id, d)
}

func (b *builder) cardDriver(c card, i int) string {
	switch c.typ {
	case "cirrus":
		return "cirrus-vga"
	case "vmware":
		return "vmware-svga"
	case "virtio", "virtio-gl":
		if b.arm() {
			return strings.Replace(c.typ, "virtio", "virtio-gpu", 1)
		}
		return strings.Replace(c.typ, "virtio", "virtio-vga", 1)
	case "qxl":
		if i > 0 {
			return "qxl"
		}
		return "qxl-vga"
	}
	return "VGA"
}

// tablet adds the pointing device, and on ARM the keyboard, which PCs have anyway.
func (b *builder) tablet(c card) {
	if !b.conf.Bool("tablet", true) || !b.conf.Has("tablet") && (c.qxl > 0 || c.serial()) {
		return
	}
	bus := "uhci.0"
	if b.q35 || b.arm() {
		bus = "ehci.0"
	}
	add := func(driver, id string, port int) {
		b.parts.input = append(b.parts.input, machine.Device{Driver: driver, ID: id, Bus: bus,
			Props: []machine.Property{{Name: "port", Value: strconv.Itoa(port)}}}.Unit(id))
	}
	add("usb-tablet", "tablet", 1)
	if b.arm() {
		add("usb-kbd", "keyboard", 2)
	}
}

// clipboard adds the channels to the agents of display clients, and the SPICE server.
func (b *builder) clipboard() error {
	c := b.card()
	vnc := b.vga.Clipboard == "vnc"
	if vnc && c.headless() {
		return fmt.Errorf("vga type %s is not compatible with VNC clipboard", c.typ)
	}
	if !c.spice() && !vnc {
		return nil
	}
	spice := c.spice()
	if b.launch() && spice && !b.host.QEMU.SPICE {
		b.warn("the installed QEMU has no SPICE, the display is reachable by VNC only")
		spice = false
		if !vnc {
			return nil
		}
	}
	agent := machine.Chardev{Backend: "spicevmc", ID: "vdagent", Props: []machine.Property{{Name: "name", Value: "vdagent"}}}
	if vnc {
		agent.Backend = "qemu-vdagent"
		agent.Props = append(agent.Props, machine.Property{Name: "clipboard", Value: true})
	}
	port := func(chardev, name string) machine.Device {
		return machine.Device{Driver: "virtserialport", Props: []machine.Property{{Name: "chardev", Value: chardev}, {Name: "name", Value: name}}}
	}
	u := b.put("spice", machine.Device{Driver: "virtio-serial", ID: "spice"}).Unit("spice")
	b.parts.spice = append(b.parts.spice, u, machine.Unit{Name: "vdagent", Chardevs: []machine.Chardev{agent},
		Devices: []machine.Device{port("vdagent", "com.redhat.spice.0")}})
	if !spice {
		return nil
	}
	extra, _ := vmconfig.ParseSpiceEnhancements(b.conf.Text("spice_enhancements", ""))
	if extra.FolderSharing.Or(false) {
		const name = "org.spice-space.webdav.0"
		b.parts.spice = append(b.parts.spice, machine.Unit{Name: "foldershare", Chardevs: []machine.Chardev{
			{Backend: "spiceport", ID: "foldershare", Props: []machine.Property{{Name: "name", Value: name}}}},
			Devices: []machine.Device{port("foldershare", name)}})
	}
	b.m.Display.SPICE = &machine.SPICE{TLSPort: b.host.SPICEPort, Address: b.host.SPICEAddress, TLSCiphers: "HIGH",
		SeamlessMigration: true, StreamingVideo: extra.VideoStreaming}
	if b.launch() {
		// A socket in the folder of the machine's user: who may connect is a matter of the
		// folder.
		b.m.Display.SPICE = &machine.SPICE{Unix: true, Address: b.own("spice"), NoTicket: true, SeamlessMigration: true,
			StreamingVideo: extra.VideoStreaming}
	}
	return nil
}
