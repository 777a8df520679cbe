package vmconfig

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// EncodeError is a value or a name that cannot be written.
type EncodeError struct {
	Section string // "" main, "pending", "special:NAME", or the snapshot's name
	Key     string
	Err     error
	head    bool // the section's name is what is wrong, not a key
}

func (e *EncodeError) Error() string {
	if e.head {
		return e.Err.Error()
	}
	return fmt.Sprintf("unable to parse value of '%s' - %v", e.Key, e.Err)
}

func (e *EncodeError) Unwrap() error { return e.Err }

var keyText = regexp.MustCompile(`^[a-z][a-z_-]*[0-9]*$`)

// Encode returns the canonical text. It first brings the Config itself into canonical form, as every write of Proxmox
// VE does: smp becomes sockets, values are normalised by type, an unusedN whose volume is a drive of the main or the
// pending section is dropped, and so is special:cloudinit without a cloud-init drive. The text parses back to the
// same Config; a value that would not is an *EncodeError. Digest is left alone: it is that of the text that was read.
func (c *Config) Encode() (string, error) {
	if err := c.normalize(); err != nil {
		return "", err
	}
	var b strings.Builder
	writeSection(&b, c.Main, false)
	if len(c.Pending) > 0 {
		b.WriteString("\n[PENDING]\n")
		writeSection(&b, c.Pending, true)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Special)) {
		b.WriteString("\n[special:" + name + "]\n")
		writeSection(&b, c.Special[name], false)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Snapshots)) {
		b.WriteString("\n[" + name + "]\n")
		writeSection(&b, c.Snapshots[name], false)
	}
	return b.String(), nil
}

// String returns the canonical text as Encode does, but leaves out (of the Config too) what cannot be written instead of
// failing. Values that came through Parse or Normalize can always be written; use Encode where others may be there.
func (c *Config) String() string {
	for {
		text, err := c.Encode()
		bad, ok := errors.AsType[*EncodeError](err)
		if !ok {
			return text
		}
		c.drop(bad)
	}
}

func (c *Config) drop(bad *EncodeError) {
	special, isSpecial := strings.CutPrefix(bad.Section, "special:")
	switch {
	case bad.head:
		if _, ok := c.Snapshots[bad.Section]; ok {
			delete(c.Snapshots, bad.Section)
		} else {
			delete(c.Special, special)
		}
	case bad.Section == "":
		delete(c.Main, bad.Key)
	case bad.Section == "pending":
		delete(c.Pending, bad.Key)
	case isSpecial:
		delete(c.Special[special], bad.Key)
	default:
		delete(c.Snapshots[bad.Section], bad.Key)
	}
}

func writeSection(b *strings.Builder, s Section, pending bool) {
	if description, ok := s["description"]; ok {
		writeDescription(b, description, pending)
	}
	for _, key := range s.Keys() {
		if key != "description" {
			b.WriteString(key + ": " + s[key] + "\n")
		}
	}
}

func (c *Config) normalize() error {
	if err := normalizeSection(c.Main, "", kindMain); err != nil {
		return err
	}
	c.setDeletes(c.Deletes())
	if err := normalizeSection(c.Pending, "pending", kindPending); err != nil {
		return err
	}
	for name, s := range c.Special {
		if name != SpecialCloudInit && name != SpecialFleecing {
			return &EncodeError{Section: "special:" + name, head: true, Err: fmt.Errorf("special section '%s' not allowed", name)}
		}
		if err := normalizeSection(s, "special:"+name, kindSpecial); err != nil {
			return err
		}
	}
	if !c.Main.HasCloudInit() {
		delete(c.Special, SpecialCloudInit)
	}
	for name, s := range c.Snapshots {
		if !snapshotName.MatchString(name) || strings.EqualFold(name, "pending") {
			return &EncodeError{Section: name, head: true, Err: fmt.Errorf("snapshot name '%s' not allowed", name)}
		}
		if err := normalizeSection(s, name, kindSnapshot); err != nil {
			return err
		}
	}
	c.dropUsedUnused()
	return nil
}

func normalizeSection(s Section, name string, kind sectionKind) error {
	if smp, ok := s["smp"]; ok && kind != kindSpecial {
		if !s.Has("sockets") {
			s["sockets"] = smp
			delete(s, "cores")
		}
		delete(s, "smp")
	}
	if cdrom, ok := s["cdrom"]; ok && kind != kindSpecial {
		delete(s, "cdrom")
		s["ide2"] = oldCDROM(cdrom)
	}
	for key, value := range s {
		value, err := normalizeOption(key, value, kind)
		if err != nil {
			return &EncodeError{Section: name, Key: key, Err: err}
		}
		if value == "" && key == "description" && kind != kindPending {
			delete(s, key) // an empty description is written only where it means "clear it"
			continue
		}
		s[key] = value
	}
	return nil
}

func normalizeOption(key, value string, kind sectionKind) (string, error) {
	if !keyText.MatchString(key) {
		return "", fmt.Errorf("%w '%s'", ErrUnknownOption, key)
	}
	switch {
	case key == "description":
		return plainDescription(value), nil
	case key == "digest" || key == "snapshots" || key == "pending":
		return "", fmt.Errorf("%w '%s'", ErrUnknownOption, key)
	case key == "delete" && kind == kindPending, key == "args", kind == kindSpecial:
	case key == "snapstate":
		if value != "prepare" && value != "delete" {
			return "", fmt.Errorf("%w '%s'", ErrUnknownOption, key)
		}
	default:
		var err error
		if value, err = Normalize(key, value); err != nil {
			return "", err
		}
	}
	return plainValue(value)
}

// plainValue brings a value into the form in which it reads back: one line, no blanks around it, one blank if empty.
func plainValue(value string) (string, error) {
	if err := checkOneLine(value); err != nil {
		return "", err
	}
	if value = strings.Trim(value, blanks); value == "" {
		return " ", nil
	}
	return value, nil
}

// dropUsedUnused removes each unusedN of the main section whose volume is a drive of the main or pending section.
func (c *Config) dropUsedUnused() {
	used := make(map[string]bool)
	for _, s := range []Section{c.Main, c.Pending} {
		for _, d := range s.Drives() {
			used[d.File] = true
		}
	}
	for key, value := range c.Main {
		if !IsUnused(key) {
			continue
		}
		if d, err := ParseDrive(key, value); err == nil && used[d.File] {
			delete(c.Main, key)
		}
	}
}
