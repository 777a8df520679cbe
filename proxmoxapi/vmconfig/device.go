package vmconfig

// HostPCI is one hostpciN: a PCI device of the host.
type HostPCI struct {
	Host        List      `pve:"host"`    // addresses, such as 0000:01:00.0 or 01:00
	Mapping     string    `pve:"mapping"` // name of a cluster-wide mapping
	Driver      string    `pve:"driver"`  // vfio (default) or keep
	MDev        string    `pve:"mdev"`
	PCIe        Opt[bool] `pve:"pcie"`
	ROMBar      Opt[bool] `pve:"rombar"`
	ROMFile     string    `pve:"romfile"`
	XVGA        Opt[bool] `pve:"x-vga"`
	LegacyIGD   Opt[bool] `pve:"legacy-igd"`
	VendorID    string    `pve:"vendor-id"`
	DeviceID    string    `pve:"device-id"`
	SubVendorID string    `pve:"sub-vendor-id"`
	SubDeviceID string    `pve:"sub-device-id"`
}

// ParseHostPCI reads a hostpciN option.
func ParseHostPCI(value string) (HostPCI, error) { return parseAs[HostPCI]("pve-qm-hostpci", value) }

// String prints the option.
func (h HostPCI) String() string { return printAs("pve-qm-hostpci", &h) }

// USB is one usbN.
type USB struct {
	Host    string    `pve:"host"` // VENDOR:PRODUCT, BUS-PORT or spice
	Mapping string    `pve:"mapping"`
	USB3    Opt[bool] `pve:"usb3"`
}

// ParseUSB reads a usbN option.
func ParseUSB(value string) (USB, error) { return parseAs[USB]("pve-qm-usb", value) }

// String prints the option.
func (u USB) String() string { return printAs("pve-qm-usb", &u) }

// Audio is the option audio0.
type Audio struct {
	Device string `pve:"device"`
	Driver string `pve:"driver"` // spice (default) or none
}

// ParseAudio reads the option audio0.
func ParseAudio(value string) (Audio, error) { return parseAs[Audio]("@qemu.audio", value) }

// String prints the option.
func (a Audio) String() string { return printAs("@qemu.audio", &a) }

// RNG is the option rng0.
type RNG struct {
	Source   string     `pve:"source"`
	MaxBytes Opt[int64] `pve:"max_bytes"` // default 1024; 0 is no limit
	PeriodMS Opt[int64] `pve:"period"`    // default 1000
}

// ParseRNG reads the option rng0.
func ParseRNG(value string) (RNG, error) { return parseAs[RNG]("pve-qm-rng", value) }

// String prints the option.
func (r RNG) String() string { return printAs("pve-qm-rng", &r) }

// Watchdog is the option watchdog.
type Watchdog struct {
	Model  string `pve:"model"` // "" for the default, i6300esb
	Action string `pve:"action"`
}

// ParseWatchdog reads the option watchdog.
func ParseWatchdog(value string) (Watchdog, error) {
	return parseAs[Watchdog]("pve-qm-watchdog", value)
}

// String prints the option.
func (w Watchdog) String() string { return printAs("pve-qm-watchdog", &w) }

// IVShmem is the option ivshmem: memory shared with the host.
type IVShmem struct {
	SizeMiB int    `pve:"size"`
	Name    string `pve:"name"` // "" for the VM's id
}

// ParseIVShmem reads the option ivshmem.
func ParseIVShmem(value string) (IVShmem, error) { return parseAs[IVShmem]("@qemu.ivshmem", value) }

// String prints the option.
func (i IVShmem) String() string { return printAs("@qemu.ivshmem", &i) }

// SpiceEnhancements is the option spice_enhancements.
type SpiceEnhancements struct {
	FolderSharing  Opt[bool] `pve:"foldersharing"`
	VideoStreaming string    `pve:"videostreaming"` // "" and off, all, filter
}

// ParseSpiceEnhancements reads the option spice_enhancements.
func ParseSpiceEnhancements(value string) (SpiceEnhancements, error) {
	return parseAs[SpiceEnhancements]("@qemu.spice_enhancements", value)
}

// String prints the option.
func (s SpiceEnhancements) String() string { return printAs("@qemu.spice_enhancements", &s) }

// VirtioFS is one virtiofsN: a folder of the host by the name of its mapping.
type VirtioFS struct {
	DirID       string    `pve:"dirid"`
	Cache       string    `pve:"cache"`
	DirectIO    Opt[bool] `pve:"direct-io"`
	ExposeACL   Opt[bool] `pve:"expose-acl"`
	ExposeXattr Opt[bool] `pve:"expose-xattr"`
}

// ParseVirtioFS reads a virtiofsN option.
func ParseVirtioFS(value string) (VirtioFS, error) {
	return parseAs[VirtioFS]("pve-qm-virtiofs", value)
}

// String prints the option.
func (v VirtioFS) String() string { return printAs("pve-qm-virtiofs", &v) }

// Agent is the option agent: the QEMU guest agent.
type Agent struct {
	Enabled           Opt[bool] `pve:"enabled"`
	Type              string    `pve:"type"`      // "" and virtio, or isa
	FreezeFS          Opt[bool] `pve:"freeze-fs"` // default true
	FstrimClonedDisks Opt[bool] `pve:"fstrim_cloned_disks"`
}

// ParseAgent reads the option agent; the empty value is a disabled agent.
func ParseAgent(value string) (Agent, error) {
	if value == "" {
		return Agent{}, nil
	}
	return parseAs[Agent]("@qemu.agent", value)
}

// String prints the option.
func (a Agent) String() string { return printAs("@qemu.agent", &a) }

// IsEnabled reports whether the agent's channel exists.
func (a Agent) IsEnabled() bool { return a.Enabled.Or(false) }
