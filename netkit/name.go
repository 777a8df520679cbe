package netkit

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// MaxName is the longest name of a link, in bytes. See linux/if.h: IFNAMSIZ.
const MaxName = 15

// CheckName refuses what the kernel would refuse or silently cut, and characters that other tools would misread.
func CheckName(name string) error {
	switch {
	case name == "" || name == "." || name == "..":
		return fmt.Errorf("%w: name %q", ErrBadLink, name)
	case len(name) > MaxName:
		return fmt.Errorf("%w: name %q is longer than %d characters", ErrBadLink, name, MaxName)
	case name[0] == '-' || strings.ContainsFunc(name, badRune):
		return fmt.Errorf("%w: name %q has a character outside A-Z a-z 0-9 . _ -, or begins with -", ErrBadLink, name)
	}
	return nil
}

func badRune(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-')
}

// ShortName returns a name that the kernel takes: name itself if it fits, else its first characters and eight hexadecimal
// digits of its SHA-256. The same name always gives the same one, and names that only differ behind the fifteenth character
// do not meet, as they would if they were cut. Give the link the long one as a further name ([Link].AltNames), for people.
func ShortName(name string) string {
	if len(name) <= MaxName {
		return name
	}
	const digits = 8
	sum := sha256.Sum256([]byte(name))
	return name[:MaxName-digits-1] + "-" + hex.EncodeToString(sum[:digits/2])
}
