package schema

import (
	"slices"
	"strings"
	"sync"

	"github.com/turtacn/go-proxmox/internal/pveconf"
)

// registry is made on first use, so that a process that validates nothing pays nothing.
var registry = sync.OnceValue(func() *pveconf.Registry {
	r := pveconf.NewRegistry()
	for i := range formats {
		r.AddPropertyString(formats[i].Name, formats[i].Property)
	}
	r.AddRule("pve-priv", checkPrivilege)
	r.AddRule("pve-fw-icmp-type-spec", checkICMPType)
	r.AddRule("pve-fw-dport-spec", func(v string) error { return pveconf.CheckPorts(v, isICMPType) })
	return r
})

// Formats returns all formats that parameters use: the rules for scalars and the property strings.
func Formats() *pveconf.Registry { return registry() }

// Format returns a property-string format by its name, such as "pve-qm-ide" or "@qemu.net", nil if there is none. The
// names that begin with '@' are ours, for formats that PVE does not name.
func Format(name string) *pveconf.Property {
	i, ok := slices.BinarySearchFunc(formats[:], name, func(f pveconf.NamedProperty, name string) int {
		return strings.Compare(f.Name, name)
	})
	if !ok {
		return nil
	}
	return formats[i].Property
}

// FormatNames returns the names of all property-string formats, sorted.
func FormatNames() []string {
	names := make([]string, len(formats))
	for i := range formats {
		names[i] = formats[i].Name
	}
	return names
}
