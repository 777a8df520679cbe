package realm

import (
	"strings"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// ParseSyncOptions merges the parameters of a synchronisation with the realm's defaults (sync-defaults-options, parsed);
// both map option names to text, booleans as 0 or 1. A missing scope is a refusal of that parameter.
func ParseSyncOptions(params, defaults map[string]string) (SyncOptions, error) {
	get := func(name string) (string, bool) {
		if v, ok := params[name]; ok {
			return v, true
		}
		v, ok := defaults[name]
		return v, ok
	}
	scope, ok := get("scope")
	if !ok {
		return SyncOptions{}, call.Param("scope", "Not passed as parameter and not defined in realm default sync options.")
	}
	o := SyncOptions{Users: scope != "groups", Groups: scope != "users", EnableNew: true}
	if v, ok := get("enable-new"); ok {
		o.EnableNew = v == "1"
	}
	vanished, ok := get("remove-vanished")
	if !ok { // the options of old
		if v, _ := get("full"); v == "1" {
			vanished = "entry;properties"
		}
		if v, _ := get("purge"); v == "1" {
			vanished += ";acl"
		}
	}
	for what := range strings.SplitSeq(vanished, ";") {
		switch what {
		case "entry":
			o.RemoveEntries = true
		case "properties":
			o.RemoveProperties = true
		case "acl":
			o.RemoveACL = true
		}
	}
	return o, nil
}
