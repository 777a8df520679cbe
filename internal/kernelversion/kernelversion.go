package kernelversion

import (
	"regexp"
	"strconv"
)

// Version is a kernel's version. The zero value is one that is not known.
type Version struct {
	Major, Minor, Patch int
	// Extra is what follows the numbers, without a leading dash: "4-pve", "+".
	Extra string
	// Release is the whole, as uname -r prints it.
	Release string
}

var versionLine = regexp.MustCompile(`^Linux version ((\d{1,9})\.(\d{1,9})(?:\.(\d{1,9}))?-?(\S*))`)

// Parse reads the text of /proc/version. A text of another form gives the zero value.
func Parse(text string) Version {
	m := versionLine.FindStringSubmatch(text)
	if m == nil {
		return Version{}
	}
	number := func(s string) int { n, _ := strconv.Atoi(s); return n } // digits, or nothing for 0
	return Version{Major: number(m[2]), Minor: number(m[3]), Patch: number(m[4]), Extra: m[5], Release: m[1]}
}

// AtLeast tells whether the kernel is of the version MAJOR.MINOR or later.
func (v Version) AtLeast(major, minor int) bool {
	return v.Major > major || v.Major == major && v.Minor >= minor
}
