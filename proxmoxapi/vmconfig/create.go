package vmconfig

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// Defaults are the facts of cluster and node that new values are made from.
type Defaults struct {
	MACPrefix   string    // datacenter option mac_prefix, "" for DefaultMACPrefix
	Tags        TagStyle  // datacenter option tag-style
	QEMUVersion string    // of the node, such as 10.1.2
	PVELevel    int       // highest +pveN level of machine type versions of that QEMU, 0 for none
	Arch        string    // of the node: x86_64 or aarch64
	UnixTime    int64     // for meta
	Random      io.Reader // nil: crypto/rand
}

// NewMain fills in what create adds to the given options (§ create: meta, boot, smbios1, vmgenid, MAC addresses, tags
// and for Windows the machine version) and returns the main section together with lines for the task log. Volumes
// are the caller's: drives are expected as they will be stored.
func NewMain(options map[string]string, d Defaults) (main Section, log []string, err error) {
	main = Section(options).Clone()
	if err := prepareValues(main, d); err != nil {
		return nil, nil, err
	}
	main["meta"] = Meta{CreationQEMU: d.QEMUVersion, CreationTime: Some(d.UnixTime)}.String()
	if !main.Has("boot") {
		main["boot"] = DefaultBoot(main)
	}
	if err := checkClipboard(main["vga"]); err != nil {
		return nil, nil, err
	}
	if !main.Has("smbios1") {
		uuid, err := NewUUID(d.Random)
		if err != nil {
			return nil, nil, err
		}
		main["smbios1"] = SMBIOS1{UUID: uuid}.String()
	}
	if !main.Has("vmgenid") && main.Text("arch", d.Arch) != "aarch64" {
		if main["vmgenid"], err = NewUUID(d.Random); err != nil {
			return nil, nil, err
		}
	}
	log = pinMachine(main, main["machine"], main["ostype"], d)
	return main, log, nil
}

// prepareValues completes given values: a MAC for each NIC without one, a UUID for vmgenid 1, tags in their style.
func prepareValues(set map[string]string, d Defaults) error {
	for _, key := range Section(set).Keys() {
		value := set[key]
		switch {
		case IsNet(key):
			n, err := ParseNet(value)
			if err != nil || n.MAC != "" {
				continue
			}
			if n.MAC, err = NewMAC(d.MACPrefix, d.Random); err != nil {
				return err
			}
			set[key] = n.String()
		case key == "vmgenid" && value == "1":
			uuid, err := NewUUID(d.Random)
			if err != nil {
				return err
			}
			set[key] = uuid
		case key == "tags":
			set[key] = NormalizeTags(value, d.Tags)
		}
	}
	return nil
}

func checkClipboard(value string) error {
	if value == "" {
		return nil
	}
	vga, err := ParseVGA(value)
	if err != nil || vga.Clipboard != "vnc" {
		return nil
	}
	if vga.Type == "none" || strings.HasPrefix(vga.Type, "serial") {
		return call.Errorf("vga type %s is not compatible with VNC clipboard", vga.Type)
	}
	return nil
}

// DefaultBoot returns the boot option of a new VM: its first disk, first CD-ROM and first NIC; the empty value when
// there is nothing to boot from.
func DefaultBoot(main Section) string {
	var disk, cdrom, nic string
	for _, bus := range []string{"ide", "scsi", "virtio", "sata"} {
		for i := range 31 {
			d, ok, err := main.Drive(bus + strconv.Itoa(i))
			switch {
			case !ok || err != nil:
			case d.IsCDROM() && cdrom == "":
				cdrom = d.Key
			case !d.IsCDROM() && disk == "":
				disk = d.Key
			}
		}
	}
	for i := 31; i >= 0; i-- {
		if key := "net" + strconv.Itoa(i); main.Has(key) {
			nic = key
		}
	}
	order := slices.DeleteFunc(List{disk, cdrom, nic}, func(key string) bool { return key == "" })
	if len(order) == 0 {
		return ""
	}
	return Boot{Order: order}.String()
}

// WindowsVersion returns the version that Proxmox VE counts for an OS type: 5, 6, 7, 8, 10 or 11, and 0 when the type
// is not Windows.
func WindowsVersion(ostype string) int {
	switch ostype {
	case "wxp", "w2k", "w2k3":
		return 5
	case "w2k8", "wvista":
		return 6
	}
	if number, ok := strings.CutPrefix(ostype, "win"); ok {
		if n, err := strconv.Atoi(number); err == nil {
			return n
		}
	}
	return 0
}

// pinMachine gives a Windows VM whose machine type has no version the newest of the node, and returns the log line.
func pinMachine(set map[string]string, machine, ostype string, d Defaults) (log []string) {
	if WindowsVersion(ostype) == 0 || d.QEMUVersion == "" {
		return nil
	}
	m, err := ParseMachine(machine)
	if err != nil || m.IsVersioned() {
		return nil
	}
	parts := strings.SplitN(d.QEMUVersion, ".", 3)
	if len(parts) < 2 {
		return nil
	}
	version := parts[0] + "." + parts[1]
	if d.PVELevel > 0 {
		version += "+pve" + strconv.Itoa(d.PVELevel)
	}
	switch m.Type {
	case "q35":
		m.Type = "pc-q35-" + version
	case "virt":
		m.Type = "virt-" + version
	default:
		m.Type = "pc-i440fx-" + version
	}
	set["machine"] = m.String()
	return []string{fmt.Sprintf("pinning machine type to '%s' for Windows guest OS", m.Type)}
}
