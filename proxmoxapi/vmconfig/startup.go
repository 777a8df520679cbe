package vmconfig

import (
	"errors"
	"strconv"
	"strings"
)

// Startup is the option startup: when the VM starts with its node, and how long the next one waits.
type Startup struct {
	Order   Opt[int] // lower starts first; not given: last
	UpSec   Opt[int] // seconds to wait after the start
	DownSec Opt[int] // seconds to wait for the shutdown
}

// ParseStartup reads the option startup, a comma list of [order=]N, up=N and down=N.
func ParseStartup(value string) (Startup, error) {
	bad := errors.New("unable to parse startup options")
	var s Startup
	if value == "" || value == "0" {
		return s, bad
	}
	for part := range strings.SplitSeq(value, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		key, number, hasKey := strings.Cut(part, "=")
		if !hasKey {
			key, number = "order", part
		}
		n, err := strconv.Atoi(number)
		if err != nil || !integerText.MatchString(number) {
			return s, bad
		}
		switch key {
		case "order":
			s.Order = Some(n)
		case "up":
			s.UpSec = Some(n)
		case "down":
			s.DownSec = Some(n)
		default:
			return s, bad
		}
	}
	return s, nil
}

// String prints the option.
func (s Startup) String() string {
	var parts []string
	for _, p := range []struct {
		key   string
		value Opt[int]
	}{{"order", s.Order}, {"up", s.UpSec}, {"down", s.DownSec}} {
		if p.value.Set {
			parts = append(parts, p.key+"="+strconv.Itoa(p.value.Value))
		}
	}
	return strings.Join(parts, ",")
}
