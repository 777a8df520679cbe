package vmconfig

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// CloneOptions are the facts of a clone.
type CloneOptions struct {
	VMID        int       // of the source, for the default name
	Name        string    // "" for Copy-of-VM-NAME
	Description *string   // nil: the source's
	MACPrefix   string    // datacenter option mac_prefix
	Random      io.Reader // nil: crypto/rand
}

// notCloned are the options that a clone does not take over; unusedN neither.
var notCloned = []string{
	"template", "parent", "snaptime", "snapstate", "lock", "digest",
	"vmstate", "runningmachine", "runningcpu", "running-nets-host-mtu",
}

// CloneMain returns the main section of a clone of source (a main or snapshot section): MAC addresses, the SMBIOS and
// generation UUIDs and the name are new. Drives are those of the source; replacing their volumes (and dropping their
// format key, see CloneDrive) is the caller's.
func CloneMain(source Section, o CloneOptions) (Section, error) {
	out := source.Clone()
	for key := range out {
		if IsUnused(key) || slices.Contains(notCloned, key) {
			delete(out, key)
		}
	}
	if err := freshIdentity(out, o.MACPrefix, o.Random); err != nil {
		return nil, err
	}
	if id, ok := out["vmgenid"]; ok && id != "0" {
		uuid, err := NewUUID(o.Random)
		if err != nil {
			return nil, err
		}
		out["vmgenid"] = uuid
	}
	out["name"] = o.Name
	if o.Name == "" {
		out["name"] = "Copy-of-VM-" + source.Text("name", fmt.Sprint(o.VMID))
	}
	if o.Description != nil {
		out["description"] = *o.Description
	}
	return out, nil
}

// freshIdentity gives every NIC a new MAC address and smbios1 a new UUID, keeping everything else of them.
func freshIdentity(s Section, macPrefix string, random io.Reader) error {
	for _, key := range s.Keys() {
		n, err := ParseNet(s[key])
		if !IsNet(key) || err != nil {
			continue
		}
		if n.MAC, err = NewMAC(macPrefix, random); err != nil {
			return err
		}
		s[key] = n.String()
	}
	uuid, err := NewUUID(random)
	if err != nil {
		return err
	}
	smbios, err := ParseSMBIOS1(s["smbios1"])
	if err != nil {
		smbios = SMBIOS1{}
	}
	smbios.UUID = uuid
	s["smbios1"] = smbios.String()
	return nil
}

// CloneDrive returns the drive as a copy has it: another volume of the given size (0: not known), no format key.
func CloneDrive(d Drive, volume string, size Size) Drive {
	d.File, d.Format = volume, ""
	if size > 0 {
		d.Size = Some(size)
	}
	return d
}

// DiscardedByClone returns the options with pending changes, which a clone leaves behind, for the log's warning
// "found pending changes for '…', discarding for clone".
func (c *Config) DiscardedByClone() string {
	keys := append(c.PendingSets(), c.PendingDeletes()...)
	slices.Sort(keys)
	return strings.Join(slices.Compact(keys), ",")
}
