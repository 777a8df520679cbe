package schema

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// userText is an error in PVE's words, which need not follow the style of Go's errors.
type userText string

func (t userText) Error() string { return string(t) }

// checkPrivilege is the rule pve-priv.
func checkPrivilege(v string) error {
	if slices.Contains(privileges[:], v) {
		return nil
	}
	return fmt.Errorf("invalid privilege '%s'", v)
}

// checkICMPType is the rule pve-fw-icmp-type-spec.
func checkICMPType(v string) error {
	if v == "" || isICMPType(v) {
		return nil
	}
	return fmt.Errorf("invalid icmp-type value '%s'", v)
}

func isICMPType(v string) bool {
	return slices.Contains(icmpTypes4[:], v) || slices.Contains(icmpTypes6[:], v)
}

// checkFleecing is the check of backup-fleecing beyond its keys.
func checkFleecing(v map[string]string) error {
	if v["enabled"] == "1" && v["storage"] == "" {
		return errors.New("'storage' parameter is required when 'enabled' is set")
	}
	return nil
}

// checkPrune is the check of prune-backups beyond its keys.
func checkPrune(v map[string]string) error {
	if v["keep-all"] != "1" {
		return nil
	}
	for key, text := range v {
		if n, _ := strconv.ParseInt(text, 10, 64); key != "keep-all" && n > 0 {
			return userText("keep-all cannot be set together with other options.")
		}
	}
	return nil
}

// checkCPU is the check of the CPU of a custom model.
func checkCPU(v map[string]string) error {
	if v["cputype"] == "" {
		return errors.New("CPU is missing cputype")
	}
	return nil
}

// checkVMCPU is the check of a VM's CPU beyond its keys. Whether a custom model exists is known only where the file of
// models is.
func checkVMCPU(v map[string]string) error {
	cputype := v["cputype"]
	switch {
	case cputype == "":
		return errors.New("CPU is missing cputype")
	case strings.HasPrefix(cputype, "custom-"):
	case !slices.Contains(cpuModels[:], cputype) && !slices.Contains(cpuModelsBuiltin[:], cputype):
		return userText("Built-in cputype '" + cputype + "' is not defined (missing 'custom-' prefix?)")
	}
	if flags := v["flags"]; flags != "" {
		for flag := range strings.SplitSeq(flags, ";") {
			if flag == "" || flag[0] != '+' && flag[0] != '-' || !slices.Contains(cpuFlags[:], flag[1:]) {
				return fmt.Errorf("flags must be a list of +FLAG or -FLAG out of: %s", strings.Join(cpuFlags[:], ", "))
			}
		}
	}
	if v["reported-model"] != "" {
		return errors.New("reported-model is only for custom CPU models")
	}
	return nil
}
