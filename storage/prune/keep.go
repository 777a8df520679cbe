package prune

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Keep is a retention policy. The zero value keeps everything.
type Keep struct {
	// All keeps everything; no other field may be set then.
	All bool
	// How many backups to keep: the last ones, and the newest of each of so many hours, days, ISO weeks, months, years.
	Last, Hourly, Daily, Weekly, Monthly, Yearly int
}

// ErrKeepAll is a policy that keeps everything and also counts.
var ErrKeepAll = errors.New("keep-all cannot be set together with other options.")

// counts returns the fields by their option's name.
func (k *Keep) counts() map[string]*int {
	return map[string]*int{"keep-last": &k.Last, "keep-hourly": &k.Hourly, "keep-daily": &k.Daily,
		"keep-weekly": &k.Weekly, "keep-monthly": &k.Monthly, "keep-yearly": &k.Yearly}
}

// ParseKeep reads the value of a prune-backups option, such as "keep-last=3,keep-daily=7". The empty text keeps
// everything.
func ParseKeep(text string) (Keep, error) {
	var k Keep
	seen := map[string]bool{}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		key, value, _ := strings.Cut(part, "=")
		if seen[key] {
			return Keep{}, fmt.Errorf("duplicate retention option '%s'", key)
		}
		seen[key] = true
		if key == "keep-all" {
			switch value {
			case "1", "yes", "on", "true":
				k.All = true
			case "0", "no", "off", "false":
			default:
				return Keep{}, fmt.Errorf("%s: '%s' is not a boolean", key, value)
			}
			continue
		}
		field, ok := k.counts()[key]
		if !ok {
			return Keep{}, fmt.Errorf("unknown retention option '%s'", key)
		}
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 {
			return Keep{}, fmt.Errorf("%s: '%s' is not a count", key, value)
		}
		*field = n
	}
	return k, k.Check()
}

// Check returns [ErrKeepAll] for a policy that contradicts itself.
func (k Keep) Check() error {
	if k.All && k.counting() {
		return ErrKeepAll
	}
	return nil
}

func (k Keep) counting() bool {
	return k.Last > 0 || k.Hourly > 0 || k.Daily > 0 || k.Weekly > 0 || k.Monthly > 0 || k.Yearly > 0
}

// Everything tells whether the policy keeps everything: it says so, or counts nothing.
func (k Keep) Everything() bool { return k.All || !k.counting() }

// String returns the policy as the value of a prune-backups option.
func (k Keep) String() string {
	if k.Everything() {
		return "keep-all=1"
	}
	var parts []string
	for _, key := range []string{"keep-last", "keep-hourly", "keep-daily", "keep-weekly", "keep-monthly", "keep-yearly"} {
		if n := *k.counts()[key]; n > 0 {
			parts = append(parts, key+"="+strconv.Itoa(n))
		}
	}
	return strings.Join(parts, ",")
}
