package vmconfig

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
)

// Size is a size in bytes with the text form of drive sizes: the largest unit of 1024 that divides it (528K, 4M, 1T).
type Size int64

var sizePattern = regexp.MustCompile(`^(\d+(?:\.\d+)?)([KMGT])?(?:iB)?$`)

const sizeUnits = "KMGT"

// ParseSize reads a size such as 32G, 4.5M or 1024 (bytes). A fraction of a byte is cut off.
func ParseSize(text string) (Size, error) {
	m := sizePattern.FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("value does not look like a valid disk size: %s", text)
	}
	shift := 0
	for i := range len(sizeUnits) {
		if m[2] == sizeUnits[i:i+1] {
			shift = 10 * (i + 1)
		}
	}
	if n, err := strconv.ParseInt(m[1], 10, 64); err == nil && n <= math.MaxInt64>>shift {
		return Size(n << shift), nil
	}
	f, err := strconv.ParseFloat(m[1], 64)
	f = math.Ldexp(f, shift)
	if err != nil || f >= math.MaxInt64 {
		return 0, fmt.Errorf("value does not look like a valid disk size: %s", text)
	}
	return Size(f), nil
}

// String prints the size in the largest unit that divides it.
func (s Size) String() string {
	unit := ""
	for i := 0; i < len(sizeUnits) && s != 0 && s%1024 == 0; i++ {
		s /= 1024
		unit = sizeUnits[i : i+1]
	}
	return strconv.FormatInt(int64(s), 10) + unit
}
