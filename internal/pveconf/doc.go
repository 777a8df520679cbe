// Package pveconf is the grammar of PVE's configuration: property schemas and their checks, named formats, property strings
// ("virtio,bridge=vmbr0"), section files (storage.cfg, domains.cfg), sizes, booleans and digests.
//
//	p := &pveconf.Property{Type: "object", Properties: []pveconf.NamedProperty{
//		{Name: "vmid", Property: &pveconf.Property{Type: "integer", Format: "pve-vmid"}},
//	}}
//	norm, errs := pveconf.Validate(map[string]any{"vmid": "100"}, p, nil) // {"vmid": int64(100)}, no errors
//
// The texts of errors are what PVE's clients see and partly parse; they are fixed by facts about the API, not by taste.
//
// It is not the schema of the API (package proxmoxapi/schema, generated, has the properties and the formats of property
// strings), and not the grammar of guests' configurations (proxmoxapi/vmconfig). It reads no file but the host's list of
// time zones, which one format refers to.
//
// Two things are stricter than in PVE, where a pattern lets one line break at the end pass and integers may be of any size:
// values must match to their very end, since they become lines of files, and integers must fit into 64 bits.
//
// All functions are pure and may be called concurrently; a Registry may be, once filled.
package pveconf
