package machine

import (
	"fmt"
	"strconv"
	"strings"
)

// Args returns QEMU's arguments, without the program. Each argument is one element;
// nothing has to be quoted. Equal machines give equal arguments.
//
// -nodefaults is always among them: what is not described is not there.
func (m *Machine) Args() []string {
	a := &args{}
	m.process(a)
	m.firmware(a)
	a.opt("-smp", m.SMP.String())
	a.devices(m.SMP.Plugged)
	a.flag(m.NoUserConfig, "-no-user-config")
	a.flag(true, "-nodefaults")
	a.opt("-boot", m.Boot.String())
	a.flag(m.NoReboot, "-no-reboot")
	m.Display.args(a)
	a.opt("-cpu", m.CPU.String())
	m.Memory.args(a)
	a.flag(m.Paused, "-S")
	a.opt("-k", m.Keyboard)
	for _, u := range m.Units {
		a.objects(u.Objects, true)
	}
	for _, g := range m.Globals {
		a.opt("-global", g.Driver+"."+g.Property+"="+g.Value)
	}
	for i := range m.Units {
		m.Units[i].args(a)
	}
	if m.Display.SPICE != nil {
		a.opt("-spice", m.Display.SPICE.String())
	}
	a.opt("-iscsi", newOption("").addSet("initiator-name", m.ISCSIInitiator).String())
	a.opt("-rtc", m.RTC.String())
	a.opt("-machine", m.Board.String())
	a.opt("-uuid", m.UUID)
	a.opt("-loadstate", m.LoadState)
	a.opt("-incoming", m.Incoming)
	a.flag(m.Snapshot, "-snapshot")
	return append(a.list, m.Extra...)
}

// args collects arguments.
type args struct{ list []string }

// opt adds an option with its value, unless the value is empty.
func (a *args) opt(name, value string) {
	if value != "" {
		a.list = append(a.list, name, value)
	}
}

func (a *args) flag(set bool, name string) {
	if set {
		a.list = append(a.list, name)
	}
}

func (a *args) devices(list []Device) {
	for _, d := range list {
		a.opt("-device", d.String())
	}
}

func (a *args) objects(list []Object, early bool) {
	for _, o := range list {
		if o.early() == early {
			a.opt("-object", o.String())
		}
	}
}

func (m *Machine) process(a *args) {
	if m.Name != "" {
		o := newOption(m.Name)
		if m.DebugThreads {
			o.add("debug-threads", true)
		}
		a.opt("-name", o.String())
	}
	a.flag(m.NoShutdown, "-no-shutdown")
	for _, mon := range m.Monitors {
		a.opt("-chardev", mon.Chardev.String())
		a.opt("-mon", newOption("").add("chardev", mon.Chardev.ID).addSet("mode", mon.Mode).String())
	}
	a.opt("-pidfile", m.PidFile)
	a.flag(m.Daemonize, "-daemonize")
	for _, s := range m.SMBIOS {
		a.opt("-smbios", newOption("").add("type", s.Type).props(s.Fields).String())
	}
}

func (m *Machine) firmware(a *args) {
	f := m.Firmware
	a.opt("-bios", f.BIOS)
	for _, o := range f.Objects {
		a.opt("-object", o.String())
	}
	for _, n := range []*Node{f.Code, f.Vars} {
		if n != nil {
			a.opt("-blockdev", n.JSON())
		}
	}
	for _, d := range f.Drives {
		a.opt("-drive", d.String())
	}
}

func (u *Unit) args(a *args) {
	a.opt("-readconfig", u.ReadConfig)
	for _, c := range u.Chardevs {
		a.opt("-chardev", c.String())
	}
	a.objects(u.Objects, false)
	for _, t := range u.TPMs {
		a.opt("-tpmdev", t.String())
	}
	for _, n := range u.Netdevs {
		a.opt("-netdev", n.String())
	}
	for _, n := range u.Nodes {
		a.opt("-blockdev", n.JSON())
	}
	for _, d := range u.Drives {
		a.opt("-drive", d.String())
	}
	for _, s := range u.Serials {
		a.opt("-serial", s)
	}
	a.devices(u.Devices)
	for _, d := range u.Audiodevs {
		a.opt("-audiodev", d.String())
	}
	a.opt("-watchdog-action", u.WatchdogAction)
}

// String returns the value of -smp, empty for the zero SMP.
func (s SMP) String() string {
	if s.CPUs == 0 {
		return ""
	}
	o := newOption(strconv.Itoa(s.CPUs))
	for _, part := range []struct {
		name string
		n    int
	}{{"sockets", s.Sockets}, {"cores", s.Cores}, {"maxcpus", s.MaxCPUs}} {
		if part.n > 0 {
			o.add(part.name, part.n)
		}
	}
	return o.String()
}

// String returns the value of -boot, empty for the zero Boot.
func (b Boot) String() string {
	o := newOption("")
	if b.Menu {
		o.add("menu", true)
	}
	if b.Strict {
		o.add("strict", true)
	}
	if b.RebootTimeoutMS > 0 {
		o.add("reboot-timeout", b.RebootTimeoutMS)
	}
	return o.addSet("splash", b.Splash).String()
}

// String returns the value of -rtc, empty for the zero RTC.
func (r RTC) String() string {
	return newOption("").addSet("driftfix", r.DriftFix).addSet("base", r.Base).String()
}

// String returns the value of -machine.
func (b Board) String() string {
	o := newOption("")
	o.addSet("pflash0", b.PFlash0).addSet("pflash1", b.PFlash1)
	for _, s := range []struct {
		name string
		v    *bool
	}{{"acpi", b.ACPI}, {"hpet", b.HPET}} {
		o.addBool(s.name, s.v)
	}
	o.addSet("memory-backend", b.MemoryBackend).addSet("accel", b.Accel)
	o.addBool("smm", b.SMM)
	o.addSet("type", b.Type).addSet("kernel-irqchip", b.KernelIRQChip).addSet("confidential-guest-support", b.ConfidentialGuest)
	return o.addBool("mem-merge", b.MemMerge).String()
}

func (o *option) addBool(name string, v *bool) *option {
	if v == nil {
		return o
	}
	return o.add(name, *v)
}

// String returns the value of -cpu.
func (c CPU) String() string {
	if c.Model == "" {
		return ""
	}
	o := newOption(c.Model)
	for _, f := range c.Flags {
		o.word(f.String())
	}
	return o.String()
}

// String returns the flag as it stands in -cpu.
func (f CPUFlag) String() string {
	s := text(f.Name)
	if f.Value != "" {
		s += "=" + text(f.Value)
	}
	if f.Sign != 0 {
		return string(f.Sign) + s
	}
	return s
}

func (mem Memory) args(a *args) {
	switch {
	case mem.SizeMiB == 0:
	case mem.Slots > 0:
		o := newOption("").add("size", mem.SizeMiB).add("slots", mem.Slots)
		a.opt("-m", o.word(fmt.Sprintf("maxmem=%dM", mem.MaxMiB)).String())
	default:
		a.opt("-m", strconv.FormatInt(mem.SizeMiB, 10))
	}
	a.objects(mem.Backends, false)
	for _, n := range mem.Nodes {
		a.opt("-object", n.Backend.String())
		a.opt("-numa", n.String())
	}
	for i := range mem.DIMMs {
		mem.DIMMs[i].args(a)
	}
}

// String returns the value of -numa.
func (n NUMANode) String() string {
	o := newOption("node").add("nodeid", n.ID)
	for _, r := range n.CPUs {
		o.add("cpus", r.String())
	}
	return o.addSet("memdev", n.Backend.ID).String()
}

func (d Display) args(a *args) {
	a.opt("-display", d.GL)
	a.optIf(d.NoVGA, "-vga", "none")
	a.flag(d.NoGraphic, "-nographic")
	if d.VNC != nil {
		a.opt("-vnc", d.VNC.String())
	}
}

func (a *args) optIf(set bool, name, value string) {
	if set {
		a.opt(name, value)
	}
}

// String returns the value of -vnc.
func (v VNC) String() string {
	o := newOption(v.Address)
	if v.Socket != "" {
		o = newOption("unix:" + v.Socket)
	}
	if v.Password {
		o.add("password", true)
	}
	return o.String()
}

// String returns the value of -spice.
func (s SPICE) String() string {
	o := newOption("")
	if s.TLSPort > 0 {
		o.add("tls-port", s.TLSPort)
	}
	if s.Unix {
		o.add("unix", true)
	}
	o.addSet("addr", s.Address).addSet("tls-ciphers", s.TLSCiphers).addSet("x509-dir", s.X509Dir)
	if s.NoTicket {
		o.add("disable-ticketing", true)
	}
	if s.SeamlessMigration {
		o.add("seamless-migration", true)
	}
	return o.addSet("streaming-video", s.StreamingVideo).String()
}

// Quote joins a command line for a shell, each element quoted where it has to be.
func Quote(argv []string) string {
	quoted := make([]string, len(argv))
	for i, s := range argv {
		quoted[i] = quote(s)
	}
	return strings.Join(quoted, " ")
}

func quote(s string) string {
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-_./,:=+@%", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
