package firewall

import (
	"strconv"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/internal/pveconf"
)

// optionKind is what the value of an option looks like.
type optionKind int

const (
	noOption   optionKind = iota
	optBool               // 0 or 1
	optNumber             // digits
	optPolicy             // ACCEPT, DROP or REJECT
	optLevel              // a log level
	optLevel0             // a log level, or nothing
	optHelpers            // conntrack helpers
	optLimit              // a rate of log lines
	optQueues             // N or N:M
	optEthers             // protocols above Ethernet
)

// optionKindOf tells what an option of a level takes, or noOption.
func optionKindOf(l Level, key string) optionKind {
	switch l {
	case Cluster:
		switch key {
		case "enable":
			return optNumber
		case "ebtables":
			return optBool
		case "policy_in", "policy_out", "policy_forward":
			return optPolicy
		case "log_ratelimit":
			return optLimit
		}
	case Host:
		switch key {
		case "enable", "nosmurfs", "tcpflags", "ndp", "nf_conntrack_allow_invalid", "protection_synflood", "log_nf_conntrack", "nftables":
			return optBool
		case "log_level_in", "log_level_out", "log_level_forward", "smurf_log_level", "tcp_flags_log_level":
			return optLevel0
		case "nf_conntrack_max", "nf_conntrack_tcp_timeout_established", "nf_conntrack_tcp_timeout_syn_recv",
			"protection_synflood_rate", "protection_synflood_burst":
			return optNumber
		case "nf_conntrack_helpers":
			return optHelpers
		}
	case Guest:
		switch key {
		case "enable", "dhcp", "ndp", "macfilter", "radv", "ipfilter", "ips":
			return optBool
		case "policy_in", "policy_out":
			return optPolicy
		case "log_level_in", "log_level_out":
			return optLevel0
		case "ips_queues":
			return optQueues
		case "layer2_protocols":
			return optEthers
		}
	case VNet:
		switch key {
		case "enable":
			return optBool
		case "policy_forward":
			return optPolicy
		case "log_level_forward":
			return optLevel
		}
	}
	return noOption
}

// normalOption checks the value of an option and returns how it is stored. text is the fault, empty where the line is
// simply none of an option.
func normalOption(l Level, key, value string) (norm, text string, ok bool) {
	switch optionKindOf(l, key) {
	case optBool:
		return value, "", value == "0" || value == "1"
	case optNumber:
		_, err := strconv.ParseUint(value, 10, 63)
		return value, "", err == nil && digits(value)
	case optPolicy:
		value = strings.ToUpper(value)
		return value, "", value == "ACCEPT" || value == "DROP" || value == "REJECT"
	case optLevel, optLevel0:
		value = strings.ToLower(value)
		return value, "", isLogLevel(value) || value == "" && optionKindOf(l, key) == optLevel0
	case optHelpers:
		return value, "", pveconf.CheckFormat("pve-fw-conntrack-helper", value) == nil
	case optLimit:
		_, ok := parseLogLimit(value)
		return value, "", ok
	case optQueues:
		_, _, ok := parseQueues(value)
		return value, "", ok
	case optEthers:
		for name := range strings.SplitSeq(value, ",") {
			if _, ok := etherType(name); !ok {
				return "", "unknown ethernet protocol type: " + name, false
			}
		}
		return value, "", true
	}
	return "", "", false
}

func isLogLevel(v string) bool {
	_, ok := logLevelNumber(v)
	return ok || v == "nolog"
}

func digits(v string) bool {
	for i := range len(v) {
		if v[i] < '0' || v[i] > '9' {
			return false
		}
	}
	return v != ""
}

// flag reads a boolean option.
func (c *Config) flag(key string, or bool) bool {
	if c == nil {
		return or
	}
	switch c.Options[key] {
	case "0":
		return false
	case "1":
		return true
	}
	return or
}

func (c *Config) policy(key, or string) string {
	if c != nil && c.Options[key] != "" {
		return c.Options[key]
	}
	return or
}

// number reads an option of digits.
func (c *Config) number(key string, or int) int {
	if c == nil {
		return or
	}
	if n, err := strconv.Atoi(c.Options[key]); err == nil {
		return n
	}
	return or
}

// level returns the number of a log level, -1 for none.
func (c *Config) level(key string) int {
	if c == nil {
		return -1
	}
	return levelOf(c.Options[key])
}

func levelOf(name string) int {
	if n, ok := logLevelNumber(name); ok {
		return n
	}
	return -1
}

// enabledFor is how long a cluster whose enable holds a time stays on: who locked himself out waits that long.
const enabledFor = 60 * time.Second

// clusterEnabled tells whether any node filters anything.
func (c *Config) clusterEnabled(now time.Time) bool {
	if c == nil {
		return false
	}
	n, err := strconv.ParseInt(c.Options["enable"], 10, 64)
	switch {
	case err != nil || n == 0:
		return false
	case n == 1:
		return true
	}
	return now.Before(time.Unix(n, 0).Add(enabledFor))
}

// logLimit bounds the lines of a log rule. A zero value logs all.
type logLimit struct {
	rate  int
	unit  string // second, minute, hour, day
	burst int
}

func defaultLogLimit() logLimit { return logLimit{rate: 1, unit: "second", burst: 5} }

// parseLogLimit reads `[enable=]1,rate=N/UNIT,burst=N`.
func parseLogLimit(v string) (l logLimit, ok bool) {
	l = defaultLogLimit()
	enable, seen := "", map[string]bool{}
	for part := range strings.SplitSeq(v, ",") {
		key, value, found := strings.Cut(part, "=")
		if !found {
			key, value = "enable", part
		}
		if seen[key] {
			return l, false
		}
		seen[key] = true
		switch key {
		case "enable":
			enable = value
		case "rate":
			number, unit, _ := strings.Cut(value, "/")
			n, err := strconv.Atoi(number)
			if err != nil || n < 1 || !digits(number) || n > 1e6 {
				return l, false
			}
			switch unit {
			case "second", "minute", "hour", "day":
			default:
				return l, false
			}
			l.rate, l.unit = n, unit
		case "burst":
			n, err := strconv.Atoi(value)
			if err != nil || !digits(value) || n > 1e6 {
				return l, false
			}
			l.burst = n
		default:
			return l, false
		}
	}
	on, valid := pveconf.ParseBool(enable)
	if !valid {
		return l, false
	}
	if !on {
		l = logLimit{}
	}
	return l, true
}

// limit is the rate of log lines that the cluster allows.
func (c *Config) limit() logLimit {
	if c == nil {
		return defaultLogLimit()
	}
	if l, ok := parseLogLimit(c.Options["log_ratelimit"]); ok {
		return l
	}
	return defaultLogLimit()
}

// parseQueues reads `N` or `N:M`.
func parseQueues(v string) (from, to int, ok bool) {
	first, last, isRange := strings.Cut(v, ":")
	if !isRange {
		last = first
	}
	from, err := strconv.Atoi(first)
	to, err2 := strconv.Atoi(last)
	return from, to, err == nil && err2 == nil && digits(first) && digits(last) && from <= to && to <= 65535
}

// Enabled tells whether cluster.fw, which may be nil, has any node filter anything at a time: its enable is 1, or a time that is
// less than a minute past.
func (c *Config) Enabled(now time.Time) bool { return c.clusterEnabled(now) }
