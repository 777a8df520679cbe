package vmconfig

import (
	"fmt"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// Staged is what noting a change left to do.
type Staged struct {
	Warning string // for the task log, "" for none
	Orphan  string // volume of a pending drive that nothing refers to any more: to be listed as unusedN
	Free    string // volume of a removed unusedN or vmstate: to be freed if the VM owns it
}

// StageDelete notes that an option is to be deleted. Most go to the pending delete list; unusedN, vmstate and tags are
// removed at once. A device is also taken out of the boot order. Deleting vmstate of a suspended VM discards the
// hibernation as a whole. Errors are those of a protected VM.
func (c *Config) StageDelete(key string, force bool) (Staged, error) {
	pending, isPending := c.Pending[key]
	current, isSet := c.Main[key]
	if !isPending && !isSet {
		return Staged{Warning: fmt.Sprintf("cannot delete '%s' - not set in current configuration!", key)}, nil
	}
	if err := c.checkProtection(key, current); err != nil {
		return Staged{}, err
	}
	var s Staged
	if isPending {
		s.Orphan = c.orphan(key, pending, "")
		delete(c.Pending, key)
	}
	if IsBootDevice(key) {
		if boot, changed := BootWithout(c.effectivePending("boot"), key); changed {
			c.SetPending("boot", boot)
		}
	}
	switch {
	case IsUnused(key), key == "vmstate":
		s.Free = volumeOf(key, current)
		delete(c.Main, key)
		if key == "vmstate" && c.Main["lock"] == "suspended" {
			for _, key := range []string{"lock", "runningmachine", "runningcpu", "running-nets-host-mtu"} {
				delete(c.Main, key)
			}
		}
	case key == "tags":
		delete(c.Main, key)
	default:
		c.DeletePending(key, force)
	}
	return s, nil
}

func (c *Config) checkProtection(key, current string) error {
	if !c.Main.Bool("protection", false) {
		return nil
	}
	what := ""
	switch {
	case IsUnused(key):
		what = fmt.Sprintf("unused disk '%s'", volumeOf(key, current))
	case key == "vmstate":
		what = fmt.Sprintf("vmstate '%s'", current)
	case IsDrive(key):
		what = fmt.Sprintf("drive '%s'", key)
	default:
		return nil
	}
	return call.Errorf("can't remove %s - protection mode enabled", what)
}

// StageSet notes a new value of an option; drives are given as they will be stored, their volumes made. Everything
// goes to the pending section but cipassword, which is stored at once. A new CD-ROM joins an existing boot order, and
// a boot order replaces bootdisk.
func (c *Config) StageSet(key, value string) (Staged, error) {
	old, isPending := c.Pending[key]
	if isPending && old == value {
		return Staged{}, nil
	}
	var s Staged
	switch {
	case key == "cipassword":
		c.Revert(key)
		c.Main[key] = value
		return s, nil
	case key == "machine":
		if err := CheckMachine(value); err != nil {
			return s, err
		}
	case key == "boot":
		if err := c.stageBoot(value); err != nil {
			return s, err
		}
	case IsDrive(key):
		d, err := ParseDrive(key, value)
		if err != nil {
			return s, call.Param(key, "unable to parse drive options")
		}
		if isPending {
			s.Orphan = c.orphan(key, old, d.File)
		}
		if boot, changed := BootWith(c.effectivePending("boot"), key); changed && d.IsCDROM() && !c.Main.Has(key) {
			c.SetPending("boot", boot)
		}
	}
	c.SetPending(key, value)
	return s, nil
}

func (c *Config) stageBoot(value string) error {
	deletes := c.Deletes()
	exists := func(key string) bool {
		_, goes := deletes[key]
		return c.Pending.Has(key) || c.Main.Has(key) && !goes
	}
	if err := CheckBoot(value, exists); err != nil {
		return err
	}
	if b, err := ParseBoot(value); err == nil && len(b.Order) > 0 && c.Main.Has("bootdisk") {
		c.DeletePending("bootdisk", false)
	}
	return nil
}

// effectivePending is the value that an option will have once everything pending is applied.
func (c *Config) effectivePending(key string) string {
	if value, ok := c.Pending[key]; ok {
		return value
	}
	if _, goes := c.Deletes()[key]; goes {
		return ""
	}
	return c.Main[key]
}

// orphan returns the volume of a pending drive that goes away, unless it stays in use: as the slot's current volume or
// as the one that comes.
func (c *Config) orphan(key, pending, next string) string {
	volume := volumeOf(key, pending)
	if volume == next || volume == volumeOf(key, c.Main[key]) {
		return ""
	}
	return volume
}

// volumeOf returns the storage volume of a drive, unusedN or vmstate value; "" for CD-ROMs other than cloud-init
// drives, for paths and for other options.
func volumeOf(key, value string) string {
	if key == "vmstate" {
		return value
	}
	d, err := ParseDrive(key, value)
	if err != nil || d.IsCDROM() && !d.IsCloudInit() {
		return ""
	}
	if _, _, ok := d.Volume(); !ok {
		return ""
	}
	return d.File
}

// ReplacedVolume returns the volume that a drive loses by a change, which then becomes unusedN, or is freed when the
// change is a forced deletion. It is "" when the slot keeps its volume, and for CD-ROMs and paths; a cloud-init volume
// is returned and is always freed.
func (ch Change) ReplacedVolume() string {
	volume := volumeOf(ch.Key, ch.Old)
	if !ch.Delete && volume == volumeOf(ch.Key, ch.New) {
		return ""
	}
	return volume
}

// PlanStopped returns the pending changes in the order in which they are applied to a VM that does not run: deletes,
// then sets, each sorted. All of them can be applied.
func (c *Config) PlanStopped() []Change {
	var out []Change
	deletes := c.Deletes()
	for _, key := range c.PendingDeletes() {
		out = append(out, Change{Key: key, Old: c.Main[key], Delete: true, Force: deletes[key]})
	}
	for _, key := range c.PendingSets() {
		out = append(out, Change{Key: key, Old: c.Main[key], New: c.Pending[key]})
	}
	return out
}
