package vmconfig

import (
	"maps"
	"slices"
	"strings"
)

// DeleteList is the list of options to delete in the pending section. The value tells whether volumes are to be freed
// (force) rather than kept as unusedN.
type DeleteList map[string]bool

// ParseDeleteList reads a list such as "memory,!scsi1": entries separated by ',', ';' or blanks, '!' marks force.
func ParseDeleteList(text string) DeleteList {
	list := DeleteList{}
	for _, entry := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(",;"+blanks, r) }) {
		key, force := strings.CutPrefix(entry, "!")
		if key != "" {
			list[key] = force
		}
	}
	return list
}

// String prints the list sorted by key.
func (l DeleteList) String() string {
	entries := make([]string, 0, len(l))
	for _, key := range slices.Sorted(maps.Keys(l)) {
		if l[key] {
			key = "!" + key
		}
		entries = append(entries, key)
	}
	return strings.Join(entries, ",")
}

// Deletes returns the pending delete list. The map is the caller's.
func (c *Config) Deletes() DeleteList { return ParseDeleteList(c.Pending["delete"]) }

func (c *Config) setDeletes(l DeleteList) {
	if len(l) == 0 {
		delete(c.Pending, "delete")
		return
	}
	c.Pending["delete"] = l.String()
}

// SetPending notes a new value of an option; an option that was to be deleted is not any more.
func (c *Config) SetPending(key, value string) {
	c.UndeletePending(key)
	c.Pending[key] = value
}

// DeletePending notes that an option is to be deleted, instead of a pending value it may have. Noting it again
// replaces the force flag.
func (c *Config) DeletePending(key string, force bool) {
	if key != "delete" {
		delete(c.Pending, key)
	}
	l := c.Deletes()
	l[key] = force
	c.setDeletes(l)
}

// UndeletePending takes an option off the delete list.
func (c *Config) UndeletePending(key string) {
	l := c.Deletes()
	if _, ok := l[key]; ok {
		delete(l, key)
		c.setDeletes(l)
	}
}

// Revert drops whatever is pending for an option.
func (c *Config) Revert(key string) {
	c.UndeletePending(key)
	delete(c.Pending, key)
}

// CleanPending drops pending values that equal the current ones and deletes of options that are not set. It reports
// whether anything was dropped.
func (c *Config) CleanPending() bool {
	changed := false
	for key, value := range c.Pending {
		if current, ok := c.Main[key]; ok && key != "delete" && current == value {
			delete(c.Pending, key)
			changed = true
		}
	}
	l := c.Deletes()
	for key := range l {
		if !c.Main.Has(key) {
			delete(l, key)
			changed = true
		}
	}
	c.setDeletes(l)
	return changed
}

// HasPending reports whether any change waits.
func (c *Config) HasPending() bool { return len(c.Pending) > 0 }

// ApplyPending moves one pending change into the main section: the value, or the deletion. It reports whether there
// was one. The caller notes the change with RecordCloudInit before, and deals with the volume that it sets free: see
// Change.ReplacedVolume.
func (c *Config) ApplyPending(key string) bool {
	if _, ok := c.Deletes()[key]; ok {
		c.UndeletePending(key)
		delete(c.Main, key)
		return true
	}
	value, ok := c.Pending[key]
	if !ok || key == "delete" {
		return false
	}
	c.Main[key] = value
	delete(c.Pending, key)
	return true
}

// PendingDeletes returns the options of the delete list, sorted.
func (c *Config) PendingDeletes() []string { return slices.Sorted(maps.Keys(c.Deletes())) }

// PendingSets returns the options with a pending value, sorted.
func (c *Config) PendingSets() []string {
	return slices.DeleteFunc(c.Pending.Keys(), func(key string) bool { return key == "delete" })
}
