package schema

import "slices"

// role is a role that always exists.
type role struct {
	name  string
	privs []string
}

// Privileges returns the names of all privileges, sorted.
func Privileges() []string { return slices.Clone(privileges[:]) }

// BuiltinRoles returns the roles that always exist with their privileges.
func BuiltinRoles() map[string][]string {
	m := make(map[string][]string, len(builtinRoles))
	for _, r := range builtinRoles {
		m[r.name] = slices.Clone(r.privs)
	}
	return m
}

// CPUModels returns the names of all CPU models that a guest may have, those of CPUModelsBuiltin aside.
func CPUModels() []string { return slices.Clone(cpuModels[:]) }

// CPUModelsBuiltin returns the names of the CPU models that PVE defines on top of QEMU's.
func CPUModelsBuiltin() []string { return slices.Clone(cpuModelsBuiltin[:]) }

// CPUFlags returns the names of the CPU flags that a VM's configuration may switch.
func CPUFlags() []string { return slices.Clone(cpuFlags[:]) }

// ICMPTypes4 returns the names of ICMP types that firewall rules may use.
func ICMPTypes4() []string { return slices.Clone(icmpTypes4[:]) }

// ICMPTypes6 returns the names of ICMPv6 types that firewall rules may use.
func ICMPTypes6() []string { return slices.Clone(icmpTypes6[:]) }
