package machine

// Unit is one piece of hardware with everything it needs: what is plugged and unplugged
// together. For a disk that is its block node, its throttle group and the device; for
// a network card the host's end and the device.
type Unit struct {
	// Name says what the unit is, such as "scsi0" or "net1". It is not part of the
	// command line.
	Name     string
	Objects  []Object
	Chardevs []Chardev
	Netdevs  []Netdev
	TPMs     []TPM
	// Nodes are the roots of block graphs, Drives the same in the old form.
	Nodes  []Node
	Drives []Drive
	// Serials are ports of the board itself (-serial), for boards without ISA.
	Serials   []string
	Devices   []Device
	Audiodevs []Audiodev
	// WatchdogAction is what an expired watchdog does: reset, poweroff, none, …
	WatchdogAction string
	// ReadConfig is a file of devices in QEMU's own format.
	ReadConfig string
}

// Device returns a unit of a single device.
func (d Device) Unit(name string) Unit { return Unit{Name: name, Devices: []Device{d}} }

// early tells whether an object comes before all devices: what devices of several
// units may refer to.
func (o Object) early() bool { return o.Type == "throttle-group" || o.Type == "iothread" }

// Find returns the unit of that name.
func (m *Machine) Find(name string) (*Unit, bool) {
	for i := range m.Units {
		if m.Units[i].Name == name {
			return &m.Units[i], true
		}
	}
	return nil, false
}

// Add appends units. It returns m, so that descriptions can be written in one go.
func (m *Machine) Add(units ...Unit) *Machine {
	m.Units = append(m.Units, units...)
	return m
}
