package machineconf

import (
	"fmt"
	"slices"
	"strings"

	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/qmp/machine"
)

// Translate builds the machine of a guest. The errors' texts are those of Proxmox VE.
func Translate(in *Input) (*Result, error) {
	if in.Host == nil {
		return nil, errNoHost
	}
	b := &builder{in: in, host: in.Host, conf: in.Config, m: &machine.Machine{}, res: &Result{in: *in}, buses: map[int]bool{}, usedPCI: map[string]bool{}}
	if b.conf.Bool("template", false) {
		b.conf, b.template = templateConfig(b.conf), true
	}
	b.res.Machine = b.m
	for _, step := range []func() error{
		b.volumes, b.basics, b.accelerator, b.process, b.firmware, b.usbIndexes, b.hostPCI, b.usb, b.serials, b.parallels,
		b.smp, b.display, b.cpu, b.memory, b.rng, b.clipboard, b.small, b.drives, b.nets, b.board, b.confidential, b.folders,
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	b.assemble()
	return b.res, nil
}

// builder is the state of one translation. The steps run in the order in which their
// errors are reported; the pieces they make are put in order by assemble.
type builder struct {
	in       *Input
	host     *Host
	conf     vmconfig.Section
	template bool
	m        *machine.Machine
	res      *Result

	machine  vmconfig.Machine // the option
	arch     string
	kvm      bool
	win      int
	q35      bool // by the configured type
	typ      machineType
	version  Version // of the machine
	qemu     Version // installed
	efi      bool
	level    int // feature level that the machine needs
	vga      vmconfig.VGA
	bootIdx  map[string]int
	gpu      bool // a hostpci has x-vga
	igd      bool // a hostpci is in legacy IGD mode
	buses    map[int]bool
	usedPCI  map[string]bool
	newUSB   bool
	virtioFS bool

	parts parts
}

// parts are the units of a machine by their place in the order of devices.
type parts struct {
	iommu, usbControllers, input, hostPCI, usb, serial, audio, tpm      []machine.Unit
	vgaFirst, agent, rng, vgaRest, spice, balloon, watchdog             []machine.Unit
	drives, nets, ivshmem, virtioIOMMU, confidential, virtioFS, vmgenid []machine.Unit
}

func (b *builder) warn(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(b.res.Warnings, text) {
		b.res.Warnings = append(b.res.Warnings, text)
	}
}

// launch tells whether the result is for a stock QEMU.
func (b *builder) launch() bool { return b.in.Profile == Launch }

func (b *builder) arm() bool { return b.arch == "aarch64" }

// blockdev tells whether disks are block graphs or drives of the old form.
func (b *builder) blockdev() bool { return b.launch() || b.version.AtLeast(10, 0) }

// needs says whether a feature of a level is there and, if so, that the machine's type
// has to show the level.
func (b *builder) needs(major, minor, level int) bool {
	if !b.version.AtLeast(major, minor, level) {
		return false
	}
	if b.version.Major == major && b.version.Minor == minor {
		b.level = max(b.level, level)
	}
	return true
}

func (b *builder) ostype() string { return b.conf.Text("ostype", "") }

// basics finds out what all other steps ask for.
func (b *builder) basics() error {
	if m, err := vmconfig.ParseMachine(b.conf.Text("machine", "")); err == nil {
		b.machine = m
	}
	b.win = windows(b.ostype())
	b.q35 = b.machine.IsQ35()
	b.efi = b.conf.Text("bios", "") == "ovmf"
	b.vga, _ = vmconfig.ParseVGA(b.conf.Text("vga", ""))
	b.bootIdx = bootIndexes(b.conf)
	if err := b.architecture(); err != nil {
		return err
	}
	return b.resolveMachine()
}

func (b *builder) architecture() error {
	b.arch = b.conf.Text("arch", b.host.Arch)
	if b.arch != "x86_64" && b.arch != "aarch64" {
		if b.conf.Has("arch") {
			return fmt.Errorf("don't know how to emulate architecture '%s'", b.arch)
		}
		return fmt.Errorf("unsupported architecture '%s'", b.arch)
	}
	b.res.Program = b.program()
	return nil
}

// program returns the emulator for the guest's architecture.
func (b *builder) program() string {
	if b.launch() {
		dir, _, _ := cutLast(b.host.QEMU.Program, "/")
		if b.arch == b.host.Arch || dir == "" {
			return b.host.QEMU.Program
		}
		return dir + "/qemu-system-" + b.arch
	}
	if b.arch == b.host.Arch {
		return "/usr/bin/kvm"
	}
	return "/usr/bin/qemu-system-" + b.arch
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return "", s, false
	}
	return s[:i], s[i+len(sep):], true
}

func (b *builder) resolveMachine() error {
	installed, err := ParseQEMUVersion(b.host.QEMU.Version)
	if err != nil {
		return err
	}
	b.qemu = installed
	if !installed.AtLeast(6, 0) {
		return fmt.Errorf("Detected old QEMU binary ('%s', at least 6.0 is required)", b.host.QEMU.Version) //nolint:staticcheck // public text
	}
	typ := b.machine.Type
	if b.in.Forced.Machine != "" {
		typ = b.in.Forced.Machine
	}
	if typ == "" {
		typ = "pc"
		if b.arm() {
			typ = "virt"
		}
	}
	meta, _ := vmconfig.ParseMeta(b.conf.Text("meta", ""))
	b.typ = resolveType(typ, b.win, meta.CreationQEMU, installed)
	b.version = b.typ.version
	b.res.Version = b.version
	if installed.isCandidate() {
		b.warn("warning: Installed QEMU version (%s) is a release candidate, ignoring version checks", b.host.QEMU.Version)
		return nil
	}
	return b.typ.checkInstalled(installed, b.host.QEMU.Version, b.host.Node)
}

// accelerator decides for KVM or emulation.
func (b *builder) accelerator() error {
	b.kvm = b.conf.Bool("kvm", b.arch == b.host.Arch)
	switch {
	case b.kvm && b.launch() && !b.conf.Has("kvm") && !b.host.KVM:
		b.kvm = false
		b.warn("KVM is not available on this node, the guest is emulated, which is slow")
	case b.kvm && !b.host.KVM:
		return fmt.Errorf("KVM virtualisation configured, but not available. Either disable in VM configuration or enable in BIOS.") //nolint:staticcheck // public text
	}
	b.res.KVM = b.kvm
	return nil
}

// process describes how the process itself runs.
func (b *builder) process() error {
	id := fmt.Sprint(b.in.VMID)
	b.m.Name = b.conf.Text("name", "vm"+id)
	b.m.Extra = splitArgs(b.conf.Text("args", ""))
	b.m.NoReboot = !b.conf.Bool("reboot", true)
	b.m.Paused = b.conf.Bool("freeze", false) || b.in.Paused || strings.HasPrefix(b.in.Incoming, "defer") || strings.HasPrefix(b.in.Incoming, "unix:")
	b.m.Keyboard = b.conf.Text("keyboard", "")
	b.m.Boot = machine.Boot{Menu: true, Strict: true, RebootTimeoutMS: 1000}
	b.m.Snapshot = b.template
	b.m.Incoming = b.in.Incoming
	b.res.Affinity = b.conf.Text("affinity", "")
	b.res.BalloonMiB = b.conf.Int("balloon", 0)
	b.m.DebugThreads = !b.qemu.AtLeast(11, 0)
	b.resume()
	if b.launch() {
		b.m.NoUserConfig = true
		return nil
	}
	b.res.Prefix = []string{"-id", id}
	b.m.NoShutdown, b.m.Daemonize, b.m.PidFile = true, true, b.in.run("pid")
	b.m.Boot.Splash = "/usr/share/qemu-server/bootsplash.jpg"
	b.m.Monitors = []machine.Monitor{{Mode: "control", Chardev: machine.ListenSocket("qmp", b.in.run("qmp"))}}
	if b.version.AtLeast(2, 12) {
		events := machine.ConnectSocket("qmp-event", "/var/run/qmeventd.sock")
		reconnect := machine.Property{Name: "reconnect", Value: 5}
		if b.qemu.AtLeast(9, 2) {
			reconnect = machine.Property{Name: "reconnect-ms", Value: 5000}
		}
		events.Props = append(events.Props, reconnect)
		b.m.Monitors = append(b.m.Monitors, machine.Monitor{Mode: "control", Chardev: events})
	}
	return nil
}

// resume loads the state of a suspended guest. A stock QEMU takes it over the monitor as
// an incoming migration.
func (b *builder) resume() {
	state := b.in.StateFile
	if configured := b.conf.Text("vmstate", ""); state == "" && configured != "" {
		state = configured
		if loc, ok, err := b.locateFile(configured); ok && err == nil {
			state = loc
		}
	}
	switch {
	case state == "":
	case b.launch():
		b.res.State, b.m.Incoming = state, "defer"
	default:
		b.m.LoadState = state
	}
}

// assemble puts the pieces in their order.
func (b *builder) assemble() {
	p := &b.parts
	for _, list := range [][]machine.Unit{
		p.iommu, b.bridges(), p.vmgenid, p.usbControllers, p.input, p.hostPCI, p.usb, p.serial, p.audio, p.tpm, p.vgaFirst, p.agent, p.rng,
		p.vgaRest, p.spice, p.balloon, p.watchdog, p.drives, p.nets, p.ivshmem, p.virtioIOMMU, p.confidential, p.virtioFS,
	} {
		b.m.Units = append(b.m.Units, list...)
	}
	b.m.ISCSIInitiator = b.host.ISCSIInitiator
	if b.launch() && !b.usesISCSI() {
		b.m.ISCSIInitiator = ""
	}
	if b.launch() {
		b.m.Board.Type = b.typ.plain()
		return
	}
	b.m.Board.Type = b.typ.printed(b.level)
}

// usesISCSI tells whether QEMU logs into a target itself: a stock QEMU may lack the
// module, and then refuses the option.
func (b *builder) usesISCSI() bool {
	found := false
	for i := range b.m.Units {
		for _, n := range b.m.Units[i].Nodes {
			n.Walk(func(n *machine.Node) { found = found || n.Driver == "iscsi" })
		}
	}
	return found
}

// templateConfig reduces a template to what a backup needs.
func templateConfig(conf vmconfig.Section) vmconfig.Section {
	out := vmconfig.Section{"kvm": "0", "vga": "none"}
	keep := append([]string{"template", "scsihw", "bios", "name"}, vmconfig.DriveKeys()...)
	for _, key := range keep {
		if v, ok := conf[key]; ok && !strings.HasPrefix(key, "tpmstate") {
			out[key] = v
		}
	}
	return out
}

// splitArgs splits the option args by the quoting rules of a shell.
func splitArgs(text string) []string {
	var words []string
	var word strings.Builder
	quote, inWord := rune(0), false
	runes := []rune(text)
	for i := 0; i < len(runes); i++ {
		r := runes[i]
		switch {
		case quote == 0 && (r == ' ' || r == '\t' || r == '\n'):
			if inWord {
				words = append(words, word.String())
			}
			word.Reset()
			inWord = false
			continue
		case quote == 0 && (r == '\'' || r == '"'):
			quote = r
		case r == quote:
			quote = 0
		case r == '\\' && quote != '\'' && i+1 < len(runes) && (quote == 0 || slices.Contains([]rune{'"', '\\'}, runes[i+1])):
			i++
			word.WriteRune(runes[i])
		default:
			word.WriteRune(r)
		}
		inWord = true
	}
	if inWord {
		words = append(words, word.String())
	}
	return words
}
