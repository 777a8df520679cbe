package machine

import "strconv"

// New returns a machine of the given board type ("q35", "pc", "virt") with one
// processor and 512 MiB, no display and no hardware. It runs on KVM or, where that does
// not serve, in QEMU's emulator; set Board.Accel to insist on one.
func New(name, board string) *Machine {
	return &Machine{
		Name:         name,
		NoUserConfig: true,
		SMP:          SMP{CPUs: 1},
		CPU:          CPU{Model: "max"},
		Memory:       Memory{SizeMiB: 512},
		Display:      Display{NoVGA: true, NoGraphic: true},
		Board:        Board{Type: board, Accel: "kvm:tcg"},
	}
}

// Image returns the block graph of a disk image in a file: format is "raw", "qcow2" or
// another block driver's name. The format is never guessed: a guest that writes another
// format's header into a raw disk gains nothing.
func Image(format, path string) Node {
	return Node{Driver: format, File: &Node{Driver: "file", Options: []Property{{"filename", path}}}}
}

// BlockDevice returns the block graph of a disk on a block device of the host.
func BlockDevice(path string) Node {
	return Node{Driver: "raw", File: &Node{Driver: "host_device", Options: []Property{{"filename", path}}}}
}

// ReadOnlyCopy returns a copy of the node, and of the one below, that cannot be written.
func (n Node) ReadOnlyCopy() Node {
	yes := true
	n.ReadOnly = &yes
	if n.File != nil {
		file := *n.File
		file.ReadOnly = &yes
		n.File = &file
	}
	return n
}

// VirtioDisk returns a virtio disk on a block graph, whose root gets the node name
// drive-ID. The firmware boots from the lowest bootIndex first; 0 is "not at all".
func VirtioDisk(id string, n Node, bootIndex int) Unit {
	return disk(id, Device{Driver: "virtio-blk-pci", ID: id}, n, bootIndex)
}

// CDROM returns a SATA or IDE CD-ROM drive with a medium, on a bus such as "ide.0".
func CDROM(id, bus string, n Node, bootIndex int) Unit {
	return disk(id, Device{Driver: "ide-cd", ID: id, Bus: bus}, n.ReadOnlyCopy(), bootIndex)
}

func disk(id string, d Device, n Node, bootIndex int) Unit {
	n.NodeName = "drive-" + id
	d.Props = append(d.Props, Property{"drive", n.NodeName})
	if bootIndex > 0 {
		d.Props = append(d.Props, Property{"bootindex", bootIndex})
	}
	return Unit{Name: id, Nodes: []Node{n}, Devices: []Device{d}}
}

// UserNet returns a virtio network card behind QEMU's own NAT, which needs no rights.
func UserNet(id string) Unit {
	return Unit{Name: id, Netdevs: []Netdev{{Type: "user", ID: id}},
		Devices: []Device{{Driver: "virtio-net-pci", ID: id, Props: []Property{{"netdev", id}}}}}
}

// TapNet returns a virtio network card on an existing tap interface, which must belong
// to the user QEMU runs as. mac is the card's address.
func TapNet(id, ifname, mac string) Unit {
	return Unit{Name: id, Netdevs: []Netdev{Tap(id, ifname)},
		Devices: []Device{{Driver: "virtio-net-pci", ID: id, Props: []Property{{"netdev", id}, {"mac", mac}}}}}
}

// Tap returns the host's end of a card on an existing tap interface. No script is run.
func Tap(id, ifname string) Netdev {
	return Netdev{Type: "tap", ID: id, Props: []Property{{"ifname", ifname}, {"script", "no"}, {"downscript", "no"}}}
}

// SerialSocket returns the PC's n-th serial port on a unix socket.
func SerialSocket(n int, path string) Unit {
	id := "serial" + strconv.Itoa(n)
	return Unit{Name: id, Chardevs: []Chardev{ListenSocket(id, path)},
		Devices: []Device{{Driver: "isa-serial", Props: []Property{{"chardev", id}}}}}
}

// Channel returns a named channel between guest and host on a unix socket, such as the
// one of the guest agent: Channel("qga0", "org.qemu.guest_agent.0", path).
func Channel(id, name, path string) Unit {
	return Unit{Name: id, Chardevs: []Chardev{ListenSocket(id, path)}, Devices: []Device{
		{Driver: "virtio-serial-pci", ID: id},
		{Driver: "virtserialport", Bus: id + ".0", Props: []Property{{"chardev", id}, {"name", name}}},
	}}
}

// TLSCredentials is the object that holds certificates of QEMU's own connections: dir has ca-cert.pem, and server-cert.pem
// and server-key.pem for the endpoint "server", client-cert.pem and client-key.pem for "client". Both ask the peer for a
// certificate that this authority has signed. Certificates must allow signatures and, for QEMU 10, key encipherment. See qapi/crypto.json: TlsCredsX509Properties.
func TLSCredentials(id, endpoint, dir string) Object {
	return Object{Type: "tls-creds-x509", ID: id, Props: []Property{{"dir", dir}, {"endpoint", endpoint}, {"verify-peer", true}}}
}
