package machine

// Machine describes one virtual machine completely: what [Machine.Args] turns into
// QEMU's command line. The zero value of every field leaves QEMU's default; only
// Board.Type has to be given. [New] returns a small machine to start from.
//
// A Machine is data. It starts nothing, opens nothing and holds no lock.
type Machine struct {
	// Name is shown by the host's process list and by VNC clients (-name).
	Name string
	// DebugThreads names QEMU's threads, too. See -name debug-threads.
	DebugThreads bool
	// NoShutdown keeps QEMU after the guest has powered off (-no-shutdown).
	NoShutdown bool
	// NoReboot makes a guest's reset end QEMU (-no-reboot).
	NoReboot bool
	// NoUserConfig keeps QEMU from reading files of the system (-no-user-config).
	NoUserConfig bool
	// PidFile and Daemonize let QEMU go to the background by itself. A caller that
	// watches its child leaves them unset.
	PidFile   string
	Daemonize bool
	// Monitors are QMP or human monitors on the chardevs that they bring along.
	Monitors []Monitor
	// SMBIOS are tables that the firmware hands to the guest (-smbios).
	SMBIOS []SMBIOS
	// UUID is the machine's identity where SMBIOS does not give one (-uuid).
	UUID     string
	Firmware Firmware
	SMP      SMP
	// Boot says what the firmware does at power-on (-boot).
	Boot    Boot
	Display Display
	CPU     CPU
	Memory  Memory
	// Paused starts the machine with stopped CPUs (-S).
	Paused bool
	// Keyboard is the layout of VNC and SPICE clients (-k), such as "de".
	Keyboard string
	// Globals are defaults of device properties (-global).
	Globals []Global
	// Units are the pieces of hardware in the order in which the guest's buses are
	// filled. A unit comes after the one that makes its bus.
	Units []Unit
	// ISCSIInitiator is the name under which QEMU's own initiator logs in (-iscsi).
	ISCSIInitiator string
	RTC            RTC
	Board          Board
	// LoadState resumes from a file of saved state (-loadstate, a patch of Proxmox).
	LoadState string
	// Incoming waits for a migration: "defer", "unix:PATH" (-incoming).
	Incoming string
	// Snapshot throws away all writes at exit (-snapshot).
	Snapshot bool
	// Extra are further arguments, as they are.
	Extra []string
}

// Board is the mainboard (-machine).
type Board struct {
	// Type is a machine type of `-machine help`, such as "q35" or "pc-i440fx-9.2".
	Type string
	// Accel is the accelerator, "kvm" or "tcg".
	Accel string
	// PFlash0 and PFlash1 are node names of the firmware's code and variables.
	PFlash0, PFlash1 string
	// ACPI, HPET, SMM and MemMerge switch a part of the board; nil is QEMU's default.
	ACPI, HPET, SMM, MemMerge *bool
	// MemoryBackend is the id of the object that is the main memory.
	MemoryBackend string
	// KernelIRQChip is "on", "off" or "split".
	KernelIRQChip string
	// ConfidentialGuest is the id of a sev-guest or tdx-guest object.
	ConfidentialGuest string
}

// SMP is the number of processors and how they sit in sockets (-smp).
type SMP struct {
	CPUs    int // processors at start
	Sockets int
	Cores   int // per socket
	MaxCPUs int // processors that can be plugged in
	// Plugged are processors beyond CPUs that are there at start as devices, so that
	// they can be unplugged.
	Plugged []Device
}

// Memory is the main memory (-m) and its parts.
type Memory struct {
	SizeMiB int64
	// Slots and MaxMiB make room for plugged memory.
	Slots  int
	MaxMiB int64
	// Backends are memory objects that no node or DIMM below refers to.
	Backends []Object
	// Nodes are the NUMA nodes of the guest (-numa node).
	Nodes []NUMANode
	// DIMMs are memory modules that are plugged at start.
	DIMMs []Unit
}

// NUMANode is one NUMA node of the guest.
type NUMANode struct {
	ID      int
	CPUs    []CPURange
	Backend Object
}

// CPURange is an inclusive range of processor numbers.
type CPURange struct{ First, Last int }

// Boot is what the firmware does at power-on (-boot).
type Boot struct {
	Menu, Strict bool
	// RebootTimeoutMS restarts the search for a boot device after that time; 0 never.
	RebootTimeoutMS int
	// Splash is a picture that the firmware shows.
	Splash string
}

// RTC is the guest's clock (-rtc).
type RTC struct {
	// Base is "utc", "localtime" or a date such as 2024-01-02T03:04:05.
	Base string
	// DriftFix is "slew" for guests that count timer ticks.
	DriftFix string
}

// SMBIOS is one table (-smbios type=N).
type SMBIOS struct {
	Type   int
	Fields []Property
}

// Global is the default of a property for all devices of a driver (-global).
type Global struct{ Driver, Property, Value string }

// Monitor is a monitor on a chardev (-mon).
type Monitor struct {
	Chardev Chardev
	// Mode is "control" for QMP, "readline" for the human monitor.
	Mode string
}

// Firmware is what the machine starts with. The zero value is the board's default,
// SeaBIOS on PCs.
type Firmware struct {
	// BIOS is a firmware image without variables of its own (-bios).
	BIOS string
	// Code and Vars are the two flash banks as block nodes; Board.PFlash0 and PFlash1
	// name them.
	Code *Node
	Vars *Node
	// Objects come before the nodes that use them.
	Objects []Object
	// Drives are the flash banks in the old form.
	Drives []Drive
}

// Display is what a person sees of the machine.
type Display struct {
	// NoVGA and NoGraphic take away the default card and window (-vga none,
	// -nographic).
	NoVGA, NoGraphic bool
	// GL is an off-screen renderer, such as "egl-headless,gl=core" (-display).
	GL    string
	VNC   *VNC
	SPICE *SPICE
}

// VNC is a VNC server (-vnc).
type VNC struct {
	// Socket is a unix socket's path. Empty listens on Address, "HOST:DISPLAY".
	Socket, Address string
	// Password demands one; it is set with QMP set_password.
	Password bool
}

// SPICE is a SPICE server (-spice): on TLSPort, or on a unix socket.
type SPICE struct {
	TLSPort int
	// Address is a host address, or the socket's path when Unix is set.
	Address string
	Unix    bool
	// NoTicket lets clients in without a password.
	NoTicket bool
	// TLSCiphers names the allowed ciphers, X509Dir the folder of the certificates.
	TLSCiphers, X509Dir string
	SeamlessMigration   bool
	// StreamingVideo is "off", "all" or "filter".
	StreamingVideo string
}

// CPU is the processor model (-cpu).
type CPU struct {
	Model string
	// Flags follow in this order: features with a sign, and settings with a value.
	Flags []CPUFlag
}

// CPUFlag is one item behind the model: "+aes", "-x2apic", "enforce", "level=30".
type CPUFlag struct {
	// Sign is '+', '-' or 0 for a setting.
	Sign  byte
	Name  string
	Value string // of a setting; empty prints the name alone
}
