package vmconfig

import (
	"slices"
	"strconv"
	"strings"
)

// Need is one condition for setting or deleting an option: privileges on a path, or being root@pam.
type Need struct {
	Path  string   // ACL path; "" is the VM (while it is created into a pool, the pool will do)
	Privs []string // privileges that are needed there
	Any   bool     // one of Privs is enough
	Root  string   // not empty: only root@pam, with this refusal's text; root@pam meets every other need too
}

// Change is a new value of an option, or its removal.
type Change struct {
	Key    string
	Old    string // "" when unset
	New    string // the new value; not looked at with Delete
	Delete bool
	Force  bool // of a Delete: free the volume
}

// vmPrivileges are the options that need one fixed privilege on the VM.
var vmPrivileges = map[string]string{
	"acpi": "HWType", "hotplug": "HWType", "kvm": "HWType", "machine": "HWType", "runningmachine": "HWType",
	"scsihw": "HWType", "smbios1": "HWType", "tablet": "HWType", "vga": "HWType", "watchdog": "HWType",
	"audio0": "HWType", "rng0": "HWType",

	"cores": "CPU", "cpu": "CPU", "runningcpu": "CPU", "cpulimit": "CPU", "cpuunits": "CPU", "numa": "CPU",
	"smp": "CPU", "sockets": "CPU", "vcpus": "CPU",

	"memory": "Memory", "balloon": "Memory", "shares": "Memory", "allow-ksm": "Memory",

	"agent": "Options", "autostart": "Options", "bios": "Options", "description": "Options", "keyboard": "Options",
	"localtime": "Options", "migrate_downtime": "Options", "migrate_speed": "Options", "name": "Options",
	"onboot": "Options", "ostype": "Options", "protection": "Options", "reboot": "Options", "startdate": "Options",
	"startup": "Options", "tdf": "Options", "template": "Options",

	"boot": "Disk", "bootdisk": "Disk", "vmstatestorage": "Disk",
	"running-nets-host-mtu": "Network",
}

// RequiredPrivileges returns what the caller needs for a change of an option. Left to the caller, since they need
// facts from outside: user-tag-access for tags (VM.Config.Options is returned), SDN.Use on bridges (see BridgeNeeds),
// storage privileges and the access to volumes.
func RequiredPrivileges(c Change) []Need {
	if c.Key == "cdrom" {
		c.Key = "ide2"
	}
	if c.Key == "vmstate" && c.Delete {
		return []Need{{Privs: []string{"VM.Config.Disk"}}, {Privs: []string{"VM.PowerMgmt"}}}
	}
	if IsDrive(c.Key) || IsUnused(c.Key) {
		return driveNeeds(c)
	}
	if IsCloudInitOption(c.Key) && c.Key != "name" && !IsNet(c.Key) {
		return []Need{{Privs: []string{"VM.Config.Cloudinit", "VM.Config.Network"}, Any: true}}
	}
	switch name, index := SplitKey(c.Key); {
	case index >= 0 && name == "net":
		return vmNeed("Network")
	case index >= 0 && name == "numa":
		return vmNeed("CPU")
	case index >= 0 && slices.Contains([]string{"serial", "usb", "hostpci", "virtiofs"}, name):
		return deviceNeeds(name, c)
	}
	switch c.Key {
	case "freeze":
		return []Need{{Privs: []string{"VM.PowerMgmt"}}}
	case "tags":
		return vmNeed("Options")
	case "startup":
		return append(vmNeed("Options"), Need{Path: "/", Privs: []string{"Sys.Modify"}})
	case "vmstatestorage":
		needs := vmNeed("Disk")
		if !c.Delete {
			needs = append(needs, Need{Path: "/storage/" + c.New, Privs: []string{"Datastore.AllocateSpace"}})
		}
		return needs
	}
	privilege, ok := vmPrivileges[c.Key]
	if !ok {
		return rootOnly(c.Key, "")
	}
	return append(vmNeed(privilege), mappingNeeds(c)...)
}

func vmNeed(privilege string) []Need { return []Need{{Privs: []string{"VM.Config." + privilege}}} }

func rootOnly(key, why string) []Need {
	return []Need{{Root: "only root can set '" + key + "' config" + why}}
}

// mappingNeeds are the further needs of cpu and rng0.
func mappingNeeds(c Change) []Need {
	if c.Delete {
		return nil
	}
	switch c.Key {
	case "cpu":
		if cpu, err := ParseCPU(c.New); err == nil && cpu.Custom() != "" {
			if old, err := ParseCPU(c.Old); err != nil || old.Type != cpu.Type {
				return []Need{{Path: "/mapping/cpu/" + cpu.Custom(), Privs: []string{"Mapping.Use"}}}
			}
		}
	case "rng0":
		if rng, err := ParseRNG(c.New); err == nil && rng.Source == "/dev/hwrng" {
			return []Need{{Path: "/mapping/hwrng", Privs: []string{"Mapping.Use"}}}
		}
	}
	return nil
}

func driveNeeds(c Change) []Need {
	values := []string{c.Old}
	if !c.Delete {
		values = append(values, c.New)
	}
	var needs []Need
	for _, value := range values {
		if value == "" {
			continue
		}
		d, err := ParseDrive(c.Key, value)
		switch {
		case err == nil && d.IsCloudInit():
			needs = appendNeed(needs, Need{Privs: []string{"VM.Config.Cloudinit", "VM.Config.CDROM"}})
		case err == nil && (d.IsCDROM() || d.File == "none" || d.File == "cdrom"):
			needs = appendNeed(needs, Need{Privs: []string{"VM.Config.CDROM"}})
			if d.File == "cdrom" && value != c.Old {
				needs = append(needs, Need{Path: "/", Privs: []string{"Sys.Console"}})
			}
		default:
			needs = appendNeed(needs, Need{Privs: []string{"VM.Config.Disk"}})
		}
	}
	if len(needs) == 0 {
		return vmNeed("Disk")
	}
	return needs
}

func appendNeed(needs []Need, n Need) []Need {
	if slices.ContainsFunc(needs, func(o Need) bool { return slices.Equal(o.Privs, n.Privs) && o.Path == n.Path }) {
		return needs
	}
	return append(needs, n)
}

// deviceNeeds are the needs of options that give a guest devices or folders of the host. Taking one away needs the
// same as giving it.
func deviceNeeds(name string, c Change) []Need {
	var needs []Need
	for _, value := range []string{c.Old, c.New} {
		if value == "" || value == c.New && c.Delete && value != c.Old {
			continue
		}
		var more []Need
		switch name {
		case "serial":
			more = serialNeeds(c.Key, value)
		case "usb":
			more = usbNeeds(c.Key, value)
		case "hostpci":
			more = hostPCINeeds(c.Key, value)
		case "virtiofs":
			more = virtioFSNeeds(c.Key, value)
		}
		for _, n := range more {
			if n.Root != "" {
				return more
			}
			needs = appendNeed(needs, n)
		}
	}
	if len(needs) == 0 {
		return rootOnly(c.Key, "")
	}
	return needs
}

// BridgeNeeds returns the needs for attaching a NIC (the value of a netN) to its bridge: SDN.Use on the bridge or vnet,
// one level deeper for each VLAN. zone is the SDN zone of a vnet, "" for a plain bridge of the nodes. A NIC without
// bridge needs nothing.
func BridgeNeeds(net, zone string) []Need {
	n, err := ParseNet(net)
	if err != nil || n.Bridge == "" {
		return nil
	}
	if zone == "" {
		zone = "localnetwork"
	}
	path := "/sdn/zones/" + zone + "/" + n.Bridge
	if !n.Tag.Set && len(n.Trunks) == 0 {
		return []Need{{Path: path, Privs: []string{"SDN.Use"}}}
	}
	var tags []int
	if n.Tag.Set {
		tags = append(tags, n.Tag.Value)
	}
	for _, r := range n.Trunks {
		for tag := max(r.First, 1); tag <= min(r.Last, 4094); tag++ {
			tags = append(tags, tag)
		}
	}
	slices.Sort(tags)
	var needs []Need
	for _, tag := range slices.Compact(tags) {
		needs = append(needs, Need{Path: path + "/" + strconv.Itoa(tag), Privs: []string{"SDN.Use"}})
	}
	return needs
}

func serialNeeds(key, value string) []Need {
	if value == "socket" {
		return vmNeed("HWType")
	}
	return rootOnly(key, " for real devices")
}

func usbNeeds(key, value string) []Need {
	u, err := ParseUSB(value)
	switch {
	case err == nil && strings.EqualFold(u.Host, "spice"):
		return vmNeed("HWType")
	case err == nil && u.Host == "" && u.Mapping != "":
		return append(vmNeed("HWType"), Need{Path: "/mapping/usb/" + u.Mapping, Privs: []string{"Mapping.Use"}})
	}
	return rootOnly(key, " for real devices")
}

func hostPCINeeds(key, value string) []Need {
	h, err := ParseHostPCI(value)
	if err != nil || len(h.Host) > 0 || h.Mapping == "" {
		return rootOnly(key, " for non-mapped devices")
	}
	if h.ROMFile != "" {
		return rootOnly(key, "")
	}
	return []Need{{Path: "/mapping/pci/" + h.Mapping, Privs: []string{"Mapping.Use"}}, {Privs: []string{"VM.Config.HWType"}}}
}

func virtioFSNeeds(key, value string) []Need {
	v, err := ParseVirtioFS(value)
	if err != nil {
		return rootOnly(key, "")
	}
	return []Need{{Privs: []string{"VM.Config.Disk"}}, {Path: "/mapping/dir/" + v.DirID, Privs: []string{"Mapping.Use"}}}
}
