package machineconf

import (
	"errors"
	"fmt"
	"strings"
)

// Mappings are the cluster's names for devices and folders of its nodes.
type Mappings struct {
	PCI map[string]PCIMapping
	USB map[string]USBMapping
	Dir map[string]DirMapping
}

// PCIMapping is one name for PCI devices.
type PCIMapping struct {
	MDev          bool // mediated devices can be made on them
	LiveMigration bool
	Entries       []PCIMapEntry
}

// PCIMapEntry is one device, or one device with several functions, of a node. The
// properties other than Node and Path say what must be found there; empty ones are not
// configured.
type PCIMapEntry struct {
	Node, Path                  string // Path: addresses, split by ';'
	ID, SubsystemID, IOMMUGroup string
}

// USBMapping is one name for USB devices.
type USBMapping struct{ Entries []USBMapEntry }

// USBMapEntry is the device of a node: by its port, or by its id alone.
type USBMapEntry struct{ Node, ID, Path string }

// DirMapping is one name for folders.
type DirMapping struct{ Entries []DirMapEntry }

// DirMapEntry is the folder of a node.
type DirMapEntry struct{ Node, Path string }

// pciEntries returns the alternatives of a name on this host, after checking that the
// devices are those that were mapped.
func (m Mappings) pciEntries(name string, h *Host) (PCIMapping, []PCIMapEntry, error) {
	mapping, ok := m.PCI[name]
	var here []PCIMapEntry
	for _, e := range mapping.Entries {
		if e.Node == h.Node {
			here = append(here, e)
		}
	}
	if !ok || len(here) == 0 {
		return mapping, nil, fmt.Errorf("PCI device mapping not found for '%s'", name)
	}
	for _, e := range here {
		if err := checkPCIEntry(name, mapping, e, h); err != nil {
			return mapping, nil, fmt.Errorf("PCI device mapping invalid (hardware probably changed): %w", err)
		}
	}
	return mapping, here, nil
}

// checkPCIEntry compares a mapped device with the one that is there.
func checkPCIEntry(name string, mapping PCIMapping, e PCIMapEntry, h *Host) error {
	for i, p := range strings.Split(e.Path, ";") {
		found := h.pciFunctions(p)
		if len(found) == 0 {
			return fmt.Errorf("pci device '%s' not found", p)
		}
		d := found[0]
		if d.Vendor == "" {
			continue // nothing is known about it
		}
		id := strings.TrimPrefix(d.Vendor, "0x") + ":" + strings.TrimPrefix(d.Device, "0x")
		checks := []struct{ what, is, want string }{{"id", id, e.ID}}
		if i == 0 {
			group := ""
			if d.IOMMUGroup >= 0 {
				group = fmt.Sprint(d.IOMMUGroup)
			}
			checks = append(checks, struct{ what, is, want string }{"iommugroup", group, e.IOMMUGroup})
		}
		if mapping.MDev && !d.MDev {
			return fmt.Errorf("'mdev' does not match for '%s' (0 != 1)", name)
		}
		if e.SubsystemID != "" && d.SubVendor != "" {
			sub := strings.TrimPrefix(d.SubVendor, "0x") + ":" + strings.TrimPrefix(d.SubDev, "0x")
			checks = append(checks, struct{ what, is, want string }{"subsystem-id", sub, e.SubsystemID})
		}
		for _, c := range checks {
			switch {
			case c.is != "" && c.want == "":
				return fmt.Errorf("missing expected property '%s' for device '%s'", c.what, p)
			case c.is == "" && c.want != "":
				return fmt.Errorf("unexpected property '%s' configured for device '%s'", c.what, p)
			case c.is != c.want:
				return fmt.Errorf("'%s' does not match for '%s' (%s != %s)", c.what, name, c.is, c.want)
			}
		}
	}
	return nil
}

// usb returns the port or id of a name on this host.
func (m Mappings) usb(name string, h *Host) (string, error) {
	var here []USBMapEntry
	for _, e := range m.USB[name].Entries {
		if e.Node == h.Node {
			here = append(here, e)
		}
	}
	switch {
	case len(here) == 0:
		return "", fmt.Errorf("USB device mapping not found for '%s'", name)
	case len(here) > 1:
		return "", errors.New("More than one USB mapping per host not supported") //nolint:staticcheck // public text
	}
	e := here[0]
	if err := checkUSBEntry(name, e, h); err != nil {
		return "", fmt.Errorf("USB Mapping invalid (hardware probably changed): %w", err) //nolint:staticcheck // public text
	}
	if e.Path != "" {
		return e.Path, nil
	}
	return e.ID, nil
}

// checkUSBEntry looks for the device; hosts whose devices are not known are trusted.
func checkUSBEntry(name string, e USBMapEntry, h *Host) error {
	if h.USB == nil {
		return nil
	}
	for _, d := range h.USB {
		id := d.Vendor + ":" + d.Product
		switch {
		case e.Path != "" && d.Path == e.Path && !strings.EqualFold(id, e.ID):
			return fmt.Errorf("'id' does not match for '%s' (%s != %s)", name, id, e.ID)
		case e.Path != "" && d.Path == e.Path, e.Path == "" && strings.EqualFold(id, e.ID):
			return nil
		}
	}
	if e.Path != "" {
		return fmt.Errorf("usb device '%s' not found", e.Path)
	}
	return fmt.Errorf("usb device '%s' not found", e.ID)
}

// folder returns the path of a name on this host.
func (m Mappings) folder(name string, h *Host) (string, error) {
	mapping, ok := m.Dir[name]
	if !ok {
		return "", fmt.Errorf("Directory ID %s does not exist.", name) //nolint:staticcheck // public text
	}
	for _, e := range mapping.Entries {
		if e.Node != h.Node {
			continue
		}
		switch h.kind(e.Path) {
		case Missing:
			return "", fmt.Errorf("directory mapping invalid: Path %s does not exist", e.Path)
		case Folder, RegularFile: // facts that know only of files do not tell the two apart
			return e.Path, nil
		}
		return "", fmt.Errorf("directory mapping invalid: Path %s exists, but is not a directory", e.Path)
	}
	return "", fmt.Errorf("No directory mapping for node %s.", h.Node) //nolint:staticcheck // public text
}
