package vmconfig

import (
	"maps"
	"slices"
	"strings"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// Update is what one PUT or POST …/config asks for, after parameter validation.
type Update struct {
	Set    map[string]string
	Delete []string // sorted, without duplicates
	Revert []string // sorted, without duplicates
	Force  bool     // free the volumes of deleted disks
}

// requestOnly are the parameters of create and update that are no options.
var requestOnly = []string{
	"node", "vmid", "delete", "revert", "force", "digest", "skiplock", "background_delay", "import-working-storage",
	"archive", "bwlimit", "ha-managed", "live-restore", "pool", "start", "storage", "unique",
}

// NewUpdate makes an Update of the validated parameters of a request. Parameters that are no options are left out,
// cdrom becomes ide2. The checks are those that need no current config, with Proxmox VE's texts and in its order.
func NewUpdate(params map[string]string) (*Update, error) {
	u := &Update{Set: Options(params), Force: params["force"] == "1"}
	u.Delete = optionList(params["delete"])
	u.Revert = optionList(params["revert"])
	if len(u.Set) == 0 && len(u.Delete) == 0 && len(u.Revert) == 0 {
		return nil, call.Errorf("no options specified")
	}
	if keys, ok := u.Set["sshkeys"]; ok {
		if err := CheckSSHKeys(keys); err != nil {
			return nil, err
		}
	}
	return u, u.check()
}

// Options returns the options among the parameters of a create or update request; cdrom becomes ide2.
func Options(params map[string]string) map[string]string {
	set := make(map[string]string)
	for key, value := range params {
		if !slices.Contains(requestOnly, key) {
			set[aliasKey(key)] = value
		}
	}
	return set
}

func aliasKey(key string) string {
	if key == "cdrom" {
		return "ide2"
	}
	return key
}

func optionList(text string) []string {
	keys := SplitList(text)
	for i, key := range keys {
		keys[i] = aliasKey(key)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

func (u *Update) check() error {
	for _, key := range u.Revert {
		if _, ok := LookupOption(key); !ok {
			return call.Param("revert", "unknown option '%s'", key)
		}
		if _, ok := u.Set[key]; ok {
			return call.Param("delete", "you can't use '-%s' and -revert %s' at the same time", key, key)
		}
	}
	for _, key := range u.Delete {
		if _, ok := u.Set[key]; ok {
			return call.Param("delete", "you can't use '-%s' and -delete %s' at the same time", key, key)
		}
		if slices.Contains(u.Revert, key) {
			return call.Param("revert", "you can't use '-delete %s' and -revert %s' at the same time", key, key)
		}
		if _, ok := LookupOption(key); !ok {
			return call.Param("delete", "unknown option '%s'", key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(u.Set)) {
		if !IsDrive(key) && !IsUnused(key) {
			continue
		}
		if _, err := ParseDrive(key, u.Set[key]); err != nil {
			return call.Param(key, "unable to parse drive options")
		}
	}
	return nil
}

// Resolve turns Revert into changes against the current config: an option with a current value is set to it, one
// without is deleted, so that whatever is pending for it vanishes. Call it with the config as read under the lock.
func (u *Update) Resolve(c *Config) {
	for _, key := range u.Revert {
		if value, ok := c.Main[key]; ok {
			u.Set[key] = value
		} else if c.Pending.Has(key) {
			u.Delete = append(u.Delete, key)
		} else {
			c.UndeletePending(key)
		}
	}
	u.Revert = nil
	slices.Sort(u.Delete)
}

// Changes returns what changes against the config, pending changes counted as made: deletes first, then sets, each
// sorted by key. An option that already has, or is already to get, the value is no change.
func (u *Update) Changes(c *Config) []Change {
	var out []Change
	for _, key := range u.Delete {
		out = append(out, Change{Key: key, Old: c.effective(key), Delete: true, Force: u.Force})
	}
	keys := slices.Sorted(maps.Keys(u.Set))
	if i := slices.Index(keys, "boot"); i >= 0 { // it may name devices of this very change
		keys = append(slices.Delete(keys, i, i+1), "boot")
	}
	for _, key := range keys {
		if pending, ok := c.Pending[key]; ok && pending == u.Set[key] {
			continue
		}
		out = append(out, Change{Key: key, Old: c.Main[key], New: u.Set[key]})
	}
	return out
}

func (c *Config) effective(key string) string {
	if value, ok := c.Main[key]; ok {
		return value
	}
	return c.Pending[key]
}

// Prepare fills in what Proxmox VE makes of given values before they are stored: MAC addresses, vmgenid 1, tags. With
// a current config it also hashes cipassword (create stores it as given: current is nil there) and pins the machine
// version when the OS type becomes Windows. It returns lines for the task log.
func (u *Update) Prepare(current *Config, d Defaults) (log []string, err error) {
	if err := prepareValues(u.Set, d); err != nil {
		return nil, err
	}
	if current == nil {
		return nil, nil
	}
	ostype := orDefault(u.Set["ostype"], current.effective("ostype"))
	if password, ok := u.Set["cipassword"]; ok && WindowsVersion(ostype) == 0 && !IsHashedPassword(password) {
		if u.Set["cipassword"], err = HashPassword(password, d.Random); err != nil {
			return nil, err
		}
	}
	_, machineGiven := u.Set["machine"]
	touched := machineGiven || current.Pending.Has("machine") || slices.Contains(u.Delete, "machine")
	if _, ok := u.Set["ostype"]; ok && !touched {
		log = pinMachine(u.Set, current.Main["machine"], ostype, d)
	}
	return log, nil
}

// Line returns the update as options of a command line, sorted, for the log: secrets are hidden.
func (u *Update) Line() string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(u.Set)) {
		value := u.Set[key]
		if key == "cipassword" {
			value = "<hidden>"
		}
		parts = append(parts, "-"+key+" "+value)
	}
	if len(u.Delete) > 0 {
		parts = append(parts, "-delete "+strings.Join(u.Delete, ","))
	}
	if len(u.Revert) > 0 {
		parts = append(parts, "-revert "+strings.Join(u.Revert, ","))
	}
	return strings.Join(parts, " ")
}

// BootWithout returns the boot option without a device that goes away; changed is false when the boot order does not
// name it.
func BootWithout(boot, device string) (value string, changed bool) {
	b, err := ParseBoot(boot)
	if err != nil || !slices.Contains(b.Order, device) {
		return boot, false
	}
	b.Order = slices.DeleteFunc(b.Order, func(key string) bool { return key == device })
	return b.String(), true
}

// BootWith returns the boot option with a device at the end of an existing boot order; changed is false when there is
// no order or the device is in it.
func BootWith(boot, device string) (value string, changed bool) {
	b, err := ParseBoot(boot)
	if err != nil || len(b.Order) == 0 || slices.Contains(b.Order, device) {
		return boot, false
	}
	b.Order = append(b.Order, device)
	return b.String(), true
}

// CheckBoot checks that each device of a boot order exists in the config as it will be.
func CheckBoot(boot string, exists func(key string) bool) error {
	b, err := ParseBoot(boot)
	if err != nil {
		return nil // the format check has told
	}
	for _, key := range b.Order {
		if !exists(key) {
			return call.Errorf("invalid bootorder: device '%s' does not exist'", key)
		}
	}
	return nil
}

// CheckMachine checks what the format of option machine does not: whether the virtual IOMMU fits the machine type.
func CheckMachine(value string) error {
	m, err := ParseMachine(value)
	switch {
	case err != nil:
		return nil // the format check has told
	case m.VIOMMU == "intel" && !m.IsQ35():
		return call.Errorf("to use Intel vIOMMU please set the machine type to q35")
	case m.VIOMMU == "intel" && m.AWBits != "" && m.AWBits.Float() != 39 && m.AWBits.Float() != 48:
		return call.Errorf("Intel vIOMMU supports only 39 or 48 bits as address width")
	case m.VIOMMU == "" && m.AWBits != "":
		return call.Errorf("cannot set aw-bits if no vIOMMU is configured")
	}
	return nil
}

// CheckBalloon checks that the balloon's target is not above the memory the VM will have.
func CheckBalloon(balloon, memory string) error {
	m, err := ParseMemory(memory)
	if err != nil {
		return nil // the format check has told
	}
	var target int
	if parseScalar(balloon, &target) == nil && target > m.CurrentMiB {
		return call.Errorf("balloon value too large (must be smaller than assigned memory)")
	}
	return nil
}
