package vmconfig

import (
	"maps"
	"slices"
)

const hidden = "**********" // what is shown instead of a password

// Row is one row of GET …/pending: an option's value now and what is pending for it. Values are as on the wire
// (WireValue); Delete is 1, or 2 for a forced deletion and for one of an option that is not set.
type Row struct {
	Key     string `json:"key"`
	Value   any    `json:"value,omitempty"`
	Pending any    `json:"pending,omitempty"`
	Delete  int    `json:"delete,omitempty"`
}

// Rows returns the rows of GET …/pending: the current options sorted (digest among them), then those only pending,
// then deletions of options that are not set.
func (c *Config) Rows() []Row {
	deletes := c.Deletes()
	var rows []Row
	main := c.Main.Clone()
	if c.Digest != "" {
		main["digest"] = c.Digest
	}
	for _, key := range main.Keys() {
		row := Row{Key: key, Value: shown(key, main[key], hidden)}
		if value, ok := c.Pending[key]; ok && key != "delete" {
			// the trailing blank makes a changed password visible as a change
			row.Pending = shown(key, value, hidden+" ")
		}
		if force, ok := deletes[key]; ok {
			row.Delete = 1
			if force {
				row.Delete = 2
			}
		}
		rows = append(rows, row)
	}
	for _, key := range c.PendingSets() {
		if !main.Has(key) {
			rows = append(rows, Row{Key: key, Pending: shown(key, c.Pending[key], hidden+" ")})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(deletes)) {
		if !main.Has(key) {
			rows = append(rows, Row{Key: key, Delete: 2})
		}
	}
	return rows
}

func shown(key, value, mask string) any {
	if key == "cipassword" {
		return mask
	}
	return WireValue(key, value)
}

// View returns the reply of GET …/config: the current options with pending changes merged in, or without them. The
// digest is included, passwords are masked.
func (c *Config) View(withPending bool) map[string]any {
	main := c.Main.Clone()
	if withPending {
		for key := range c.Deletes() {
			delete(main, key)
		}
		for _, key := range c.PendingSets() {
			main[key] = c.Pending[key]
		}
	}
	return c.view(main)
}

// SnapshotView returns the reply of GET …/config?snapshot=NAME; ok is false when there is no such snapshot.
func (c *Config) SnapshotView(name string) (view map[string]any, ok bool) {
	s, ok := c.Snapshots[name]
	if !ok {
		return nil, false
	}
	return c.view(s), true
}

func (c *Config) view(s Section) map[string]any {
	out := make(map[string]any, len(s)+1)
	for key, value := range s {
		out[key] = shown(key, value, hidden)
	}
	if c.Digest != "" {
		out["digest"] = c.Digest
	}
	return out
}
