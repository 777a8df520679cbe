package firewall

import "strconv"

// Limits of connection tracking.
const (
	defaultConntrackMax = 262144
	conntrackMaxStep    = 8192
)

// Sysctls returns the values of /proc/sys that the options of a host ask for, by their path below it. A maximum counts only
// above the default, rounded up. The size of the hash, which is a parameter of the module nf_conntrack, is a quarter of the
// maximum.
func Sysctls(host *Config) map[string]string {
	limit := max(host.number("nf_conntrack_max", 0), defaultConntrackMax)
	limit = (limit + conntrackMaxStep - 1) / conntrackMaxStep * conntrackMaxStep
	return map[string]string{
		"net/netfilter/nf_conntrack_max":                     strconv.Itoa(limit),
		"net/netfilter/nf_conntrack_tcp_timeout_established": strconv.Itoa(host.number("nf_conntrack_tcp_timeout_established", 432000)),
		"net/netfilter/nf_conntrack_tcp_timeout_syn_recv":    strconv.Itoa(host.number("nf_conntrack_tcp_timeout_syn_recv", 60)),
	}
}
