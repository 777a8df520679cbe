package vmconfig

import (
	"maps"
	"slices"
	"strings"
)

// addedKey is the entry of special:cloudinit that lists options that had no value when the medium was made.
const addedKey = "added"

// IsCloudInitOption reports whether an option goes into the cloud-init medium: all ci*, nameserver, searchdomain,
// sshkeys, ipconfigN, name and netN.
func IsCloudInitOption(key string) bool {
	switch key {
	case "cicustom", "cipassword", "citype", "ciupgrade", "ciuser", "nameserver", "searchdomain", "sshkeys", "name":
		return true
	}
	return inFamily(key, "ipconfig", 32) || IsNet(key)
}

// RecordCloudInit notes in special:cloudinit that an option is about to change from its value in the main section to
// value (nil: it is deleted). Call it before changing the main section. An option that gets back the value it has in
// the medium is taken off the record. Nothing is noted for other options, for cipassword, and without a cloud-init
// drive.
func (c *Config) RecordCloudInit(key string, value *string) {
	if !IsCloudInitOption(key) || key == "cipassword" || !c.Main.HasCloudInit() {
		return
	}
	record, ok := c.Special[SpecialCloudInit]
	if !ok {
		record = Section{}
		c.Special[SpecialCloudInit] = record
	}
	added := addedSet(record)
	recorded, isRecorded := record[key]
	switch old, hadValue := c.Main[key]; {
	case isRecorded:
		if value != nil && *value == recorded {
			delete(record, key)
		}
	case added[key]:
		if value == nil {
			delete(added, key)
		}
	case !hadValue && value != nil:
		added[key] = true
	case hadValue && (value == nil || *value != old):
		record[key] = old
	}
	setAdded(record, added)
}

func addedSet(record Section) map[string]bool {
	set := make(map[string]bool)
	for _, key := range SplitList(record[addedKey]) {
		set[key] = true
	}
	return set
}

func setAdded(record Section, added map[string]bool) {
	if len(added) == 0 {
		delete(record, addedKey)
		return
	}
	record[addedKey] = strings.Join(slices.Sorted(maps.Keys(added)), ",")
}

// CloudInitChanged reports whether options differ from what the medium was made from.
func (c *Config) CloudInitChanged() bool { return len(c.Special[SpecialCloudInit]) > 0 }

// CloudInitRegenerated drops the record: the medium was made anew.
func (c *Config) CloudInitRegenerated() { delete(c.Special, SpecialCloudInit) }

// CloudInitRows returns the rows of GET …/cloudinit: the value in the medium, and what it would get now. Options
// other than ci*, nameserver, searchdomain and sshkeys appear only when they are new or removed.
func (c *Config) CloudInitRows() []Row {
	record := c.Special[SpecialCloudInit]
	added := addedSet(record)
	keys := make(map[string]bool)
	for _, s := range []Section{c.Main, record} {
		for key := range s {
			if IsCloudInitOption(key) {
				keys[key] = true
			}
		}
	}
	var rows []Row
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		now, isSet := c.Main[key]
		was, isRecorded := record[key]
		row := Row{Key: key}
		switch {
		case added[key]:
			row.Pending = shown(key, now, hidden)
		case isRecorded && !isSet:
			row.Delete = 1
		case key == "name" || IsNet(key) || inFamily(key, "ipconfig", 32):
			continue
		case isRecorded:
			row.Value, row.Pending = shown(key, was, hidden), shown(key, now, hidden)
		default:
			row.Value = shown(key, now, hidden)
		}
		rows = append(rows, row)
	}
	return rows
}
