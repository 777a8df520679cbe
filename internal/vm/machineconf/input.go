package machineconf

import (
	"fmt"
	"io"
	"path"
	"strconv"

	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/qmp/machine"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// Profile is the form of the result.
type Profile int

// The forms; see the package's description.
const (
	ProxmoxForm Profile = iota
	Launch
)

// Input is everything a translation depends on.
type Input struct {
	// VMID is the guest's number.
	VMID int
	// Config is the section to build: the main one, or a snapshot's.
	Config vmconfig.Section
	// Host are the facts of the host; they must not be nil.
	Host *Host
	// Storages by id.
	Storages map[string]volid.Storage
	// Mappings and CPUModels are the cluster's.
	Mappings  Mappings
	CPUModels map[string]CPUModel
	Profile   Profile
	// Forced are settings of a running or saved machine that go before the
	// configuration.
	Forced Forced
	// Locate says where a volume is once it has been made reachable, nil if that is where
	// the storages' configuration says. A nil Locate derives all from the configuration.
	Locate func(id volid.ID) (volid.Location, error)
	// RunDir is the folder of the machine's sockets, for [Launch]. Proxmox VE's form has
	// fixed names under /var/run/qemu-server. It may be closed to the machine's user: see
	// [Result.Sockets]. Only [OwnFolder] below it must be that user's.
	RunDir string
	// StateFile resumes from a file with saved state; Incoming waits for a migration
	// ("defer" or "unix:PATH"); Paused starts with stopped processors.
	StateFile string
	Incoming  string
	Paused    bool
	// ReservedPCI are devices that other guests hold, by their address.
	ReservedPCI map[string]bool
	// MACPrefix and Random make the address of a card without one. Both may be zero.
	MACPrefix string
	Random    io.Reader
}

// Forced are settings that a saved or migrated machine was started with.
type Forced struct {
	Machine string // machine type
	CPU     string // the whole value of -cpu
	// NetsHostMTU is the list of host_mtu values of the cards (net0=1500,…), 0 for none.
	NetsHostMTU string
}

// ForcedOf returns what a snapshot or suspended machine was running with.
func ForcedOf(s vmconfig.Section) Forced {
	m, _ := vmconfig.ParseMachine(s.Text("runningmachine", ""))
	return Forced{Machine: m.Type, CPU: s.Text("runningcpu", ""), NetsHostMTU: s.Text("running-nets-host-mtu", "")}
}

// Result is a translated guest. The machine's units carry the names of the
// configuration: scsi0, net1, usb2, hostpci3. So what a changed configuration plugs into
// a running guest is the unit of that name in a new translation, with the unit of its
// controller, which has the controller's id.
type Result struct {
	Machine *machine.Machine
	// Program is the QEMU to run. Affinity is the list of processors it may use, empty
	// for all.
	Program, Affinity string
	// Prefix are arguments that only Proxmox's QEMU takes, before the machine's own.
	Prefix []string
	// KVM says whether the machine runs on KVM. Version is the machine's version.
	KVM     bool
	Version Version
	// Warnings are for the person who starts the guest; Proxmox VE's words where it has
	// them.
	Warnings []string
	// Volumes are the volumes and paths that the machine uses.
	Volumes []VolumeUse
	// Ports are the network cards that need a tap.
	Ports []Port
	// Sockets are the paths of the unix sockets that character devices listen at, for
	// [Launch]. Who starts the machine may listen at them and hand the descriptors over.
	Sockets []Socket
	// OwnFolder is the folder in which the machine's user makes sockets by itself, empty if
	// it makes none.
	OwnFolder string
	// State is saved state to load over the monitor before the guest runs, for [Launch].
	State string
	// LinkDown are cards whose link is switched off after the start; BalloonMiB is the
	// memory the balloon leaves to the guest after the start, 0 for all.
	LinkDown   []string
	BalloonMiB int
	// Copies are files that must be made before the start.
	Copies []Copy
	// TPM and Folders are processes beside QEMU that must listen before the start.
	TPM     *TPMProcess
	Folders []FolderProcess
	// PCI are devices of the host that must be free and bound to vfio-pci.
	PCI []PCIUse

	in Input // that it was made of
}

// Located translates again what the result was made of, with volumes where locate says; see Input.Locate.
func (r *Result) Located(locate func(id volid.ID) (volid.Location, error)) (*Result, error) {
	in := r.in
	in.Locate = locate
	return Translate(&in)
}

// VolumeUse is one volume or path of the machine.
type VolumeUse struct {
	Key      string // scsi0, efidisk0, vmstate
	ID       string // as configured
	ReadOnly bool
	CDROM    bool
}

// Port is a network card on a bridge.
type Port struct {
	Key, Name string // net0, tap100i0
	Bridge    string
	MAC       string
	Queues    int
	VNetHdr   bool
	Net       vmconfig.Net
}

// Socket is a unix socket of a character device.
type Socket struct {
	Unit, Chardev string // names in the machine: serial0, serial0
	Path          string
}

// Copy is a file to copy before the start, if To is not there yet.
type Copy struct{ From, To string }

// TPMProcess is the swtpm that serves the guest's TPM.
type TPMProcess struct {
	Socket  string
	Volume  string // where the state is kept
	Version string // "v1.2", "v2.0"
}

// FolderProcess is the virtiofsd that serves a folder of the host.
type FolderProcess struct {
	Socket, Path string
	Tag          string
	Options      vmconfig.VirtioFS
	Windows      bool
}

// PCIUse is a device of the host given to the guest.
type PCIUse struct {
	Key     string // hostpci0
	Address string // 0000:01:00.0, empty for a mediated device
	MDev    string // type of a mediated device to make
	UUID    string // of that device
	// Alternatives are the devices on which the mediated device may be made.
	Alternatives []string
	KeepDriver   bool
}

// Argv returns the whole command line.
func (r *Result) Argv() []string {
	var argv []string
	if r.Affinity != "" {
		argv = append(argv, "/usr/bin/taskset", "--cpu-list", "--all-tasks", r.Affinity)
	}
	argv = append(argv, r.Program)
	argv = append(argv, r.Prefix...)
	return append(argv, r.Machine.Args()...)
}

// run returns the path of one of the machine's sockets and files.
func (in *Input) run(name string) string {
	if in.Profile == Launch {
		return path.Join(in.RunDir, name)
	}
	return "/var/run/qemu-server/" + strconv.Itoa(in.VMID) + "." + name
}

// OwnFolder is the name of the folder in RunDir where the machine's user makes sockets.
const OwnFolder = "guest"

// own returns the path of a socket that the machine's user makes.
func (b *builder) own(name string) string {
	if !b.launch() {
		return b.in.run(name)
	}
	b.res.OwnFolder = b.in.run(OwnFolder)
	return path.Join(b.res.OwnFolder, name)
}

// listen returns a character device that listens at a socket.
func (b *builder) listen(unit, name string) machine.Chardev {
	where := b.in.run(name)
	if b.launch() {
		b.res.Sockets = append(b.res.Sockets, Socket{Unit: unit, Chardev: unit, Path: where})
	}
	return machine.ListenSocket(unit, where)
}

// location finds a volume.
func (in *Input) location(id volid.ID, snap string) (volid.Location, error) {
	if in.Locate != nil && snap == "" {
		if loc, err := in.Locate(id); loc != nil || err != nil {
			return loc, err
		}
	}
	s, err := in.storage(id.Storage)
	if err != nil {
		return nil, err
	}
	return s.Locate(id.Name, snap, in.Host.volumeFacts())
}

func (in *Input) storage(id string) (volid.Storage, error) {
	s, ok := in.Storages[id]
	if !ok {
		return volid.Storage{}, fmt.Errorf("storage '%s' does not exist", id)
	}
	return s, nil
}
