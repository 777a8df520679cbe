package machineconf

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Version is the version of a machine type or of QEMU: major.minor and the level of
// changes that Proxmox VE has made within that version ("+pveN"), or for QEMU itself the
// patch level.
type Version struct{ Major, Minor, Sub int }

// AtLeast compares with major.minor and, if given, the third part.
func (v Version) AtLeast(major, minor int, sub ...int) bool {
	want := Version{Major: major, Minor: minor}
	if len(sub) > 0 {
		want.Sub = sub[0]
	}
	return cmp.Or(cmp.Compare(v.Major, want.Major), cmp.Compare(v.Minor, want.Minor), cmp.Compare(v.Sub, want.Sub)) >= 0
}

func (v Version) majorMinor() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

var qemuVersionPattern = regexp.MustCompile(`^(\d+)\.(\d+)(?:\.(\d+))?`)

// ParseQEMUVersion reads a version as `qemu-system-x86_64 --version` prints it, such as
// "10.0.2" or "7.2.22 (Debian …)".
func ParseQEMUVersion(text string) (Version, error) {
	m := qemuVersionPattern.FindStringSubmatch(text)
	if m == nil {
		return Version{}, fmt.Errorf("QEMU version %q", text)
	}
	return Version{Major: atoi(m[1]), Minor: atoi(m[2]), Sub: atoi(m[3])}, nil
}

// atoi reads digits that a pattern has matched; the empty string is 0.
func atoi(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

// isCandidate tells whether this QEMU is a release candidate or a development snapshot.
func (v Version) isCandidate() bool { return v.Sub >= 90 }

// maxLevel is the highest level defined for a version of the machine types.
func maxLevel(major, minor int) int {
	switch (Version{Major: major, Minor: minor}) {
	case Version{Major: 4, Minor: 1}, Version{Major: 11}:
		return 2
	case Version{Major: 9, Minor: 2}, Version{Major: 10}:
		return 1
	}
	return 0
}

var (
	levelPattern = regexp.MustCompile(`\+pve(\d+)(\.pxe)?$`)
	typeVersion  = regexp.MustCompile(`-(\d+)\.(\d+)(?:\.\d+)*(?:\+pve(\d+))?(?:\.pxe)?$`)
)

// machineVersion reads the version out of a machine type. ok is false for a type
// without one.
func machineVersion(typ string) (v Version, ok bool) {
	m := typeVersion.FindStringSubmatch(typ)
	if m == nil {
		return Version{}, false
	}
	return Version{Major: atoi(m[1]), Minor: atoi(m[2]), Sub: atoi(m[3])}, true
}

// machineType is a resolved machine type.
type machineType struct {
	// full is the type with its level, as messages name it.
	full    string
	version Version
	// pxe says that network cards get boot ROMs of old versions.
	pxe bool
}

// resolveType applies the rules by which a type becomes a versioned one or gets the
// newest level.
func resolveType(typ string, win int, creation string, installed Version) machineType {
	top := maxLevel(installed.Major, installed.Minor)
	switch unversioned := typ == "pc" || typ == "q35" || typ == "virt"; {
	case unversioned && win > 0:
		typ = pinWindows(typ, creation, installed)
	case unversioned:
		typ += "+pve" + strconv.Itoa(top)
	}
	if !levelPattern.MatchString(typ) {
		stem, pxe := strings.CutSuffix(typ, ".pxe")
		typ = stem + "+pve0"
		if pxe {
			typ += ".pxe"
		}
	}
	v, ok := machineVersion(typ)
	if !ok {
		v = Version{Major: installed.Major, Minor: installed.Minor, Sub: top}
	}
	return machineType{full: typ, version: v, pxe: strings.HasSuffix(typ, ".pxe") || !v.AtLeast(2, 4)}
}

// pinWindows gives a Windows guest a fixed version, since it takes a new board for a new
// computer: the version it was made with, 5.1 for those older than that rule.
func pinWindows(typ, creation string, installed Version) string {
	pin := Version{Major: 5, Minor: 1}
	if made, err := ParseQEMUVersion(creation); err == nil && made.AtLeast(9, 1) {
		pin = Version{Major: made.Major, Minor: made.Minor}
	}
	suffix := ""
	if !installed.AtLeast(pin.Major, pin.Minor) {
		pin = Version{Major: installed.Major, Minor: installed.Minor}
		if top := maxLevel(pin.Major, pin.Minor); top > 0 {
			suffix = "+pve" + strconv.Itoa(top)
		}
	}
	stem := map[string]string{"pc": "pc-i440fx-", "q35": "pc-q35-", "virt": "virt-"}[typ]
	return stem + pin.majorMinor() + suffix
}

// checkInstalled refuses machine types that the installed QEMU does not have.
func (t machineType) checkInstalled(installed Version, text, node string) error {
	v := t.version
	if !installed.AtLeast(v.Major, v.Minor) {
		return fmt.Errorf("Installed QEMU version '%s' is too old to run machine type '%s', please upgrade node '%s'", text, t.full, node) //nolint:staticcheck // public text
	}
	if top := maxLevel(v.Major, v.Minor); v.Sub > top {
		return fmt.Errorf("Installed qemu-server (max feature level for %s is pve%d) is too old to run machine type '%s', please upgrade node '%s'", //nolint:staticcheck // public text
			v.majorMinor(), top, t.full, node)
	}
	return nil
}

// printed returns the type for -machine: the level shows only what the machine's
// devices need.
func (t machineType) printed(level int) string {
	return levelPattern.ReplaceAllString(t.full, "+pve"+strconv.Itoa(level))
}

// plain returns the type as a stock QEMU knows it.
func (t machineType) plain() string { return levelPattern.ReplaceAllString(t.full, "") }

// windows returns the number of a Windows ostype, 0 for every other system.
func windows(ostype string) int {
	switch ostype {
	case "wxp", "w2k", "w2k3":
		return 5
	case "w2k8", "wvista":
		return 6
	case "win7", "win8", "win10", "win11":
		return atoi(strings.TrimPrefix(ostype, "win"))
	}
	return 0
}
