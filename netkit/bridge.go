package netkit

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// Bridge are the properties of a Linux bridge. A wish sets all of them but zero durations.
type Bridge struct {
	VLANAware bool        // ports belong to VLANs (vlan_filtering)
	PVID      uint16      // only if VLAN-aware: the VLAN that new ports put untagged frames in; 0 for none
	Self      []VLANRange // only if VLAN-aware: VLANs whose tagged frames reach the host itself, beside the untagged one
	STP       bool        // the kernel's spanning tree protocol
	// ForwardDelay is how long a port listens and learns before it forwards, in hundredths of a second; with STP 2-30 s, or
	// 0 for what it is.
	ForwardDelay time.Duration
	Ageing       time.Duration // how long an address is remembered, in hundredths of a second; 0 leaves it alone
}

// VLANRange is a range of VLANs, both ends included.
type VLANRange struct{ First, Last uint16 }

func (r VLANRange) String() string {
	if r.First == r.Last {
		return fmt.Sprint(r.First)
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}

// AllVLANs returns 2-4094, what a trunk port carries beside the untagged VLAN 1.
func AllVLANs() VLANRange { return VLANRange{2, maxVLAN} }

// Port are the properties of a port of a bridge. A wish sets all of them.
type Port struct {
	PVID  uint16      // VLAN that untagged frames belong to, and that leaves untagged; 0 for none. Only on VLAN-aware bridges
	VLANs []VLANRange // further VLANs, tagged; frames of all others are dropped. Only on VLAN-aware bridges

	Isolated      bool // it does not reach other isolated ports
	NoLearning    bool // the addresses behind it are not learnt
	NoFlood       bool // it does not get unicast frames for addresses that nobody knows
	NoMulticast   bool // it does not get multicast frames that nobody asked for
	NeighSuppress bool // ARP and ND are answered by the bridge
	// MACs are the addresses behind the port when it does not learn them: static entries of the bridge's table.
	// They are listed only for ports with NoLearning.
	MACs []net.HardwareAddr
}

// maxPorts is how many ports the kernel gives one bridge. See net/bridge/br_private.h: BR_MAX_PORTS.
const maxPorts = 1023

func (l Link) checkBridge() error {
	b := l.Bridge
	switch {
	case b == nil:
		return nil
	case b.PVID > maxVLAN:
		return l.bad("VLAN %d is not in 1-%d", b.PVID, maxVLAN)
	case b.STP && b.ForwardDelay != 0 && (b.ForwardDelay < 2*time.Second || b.ForwardDelay > 30*time.Second):
		return l.bad("a forward delay of %v is not within 2-30 s", b.ForwardDelay)
	case !b.VLANAware && len(b.Self) > 0:
		return l.bad("VLANs need a VLAN-aware bridge")
	}
	return l.checkRanges(b.Self)
}

func (l Link) checkPort() error {
	if l.Port == nil {
		return nil
	}
	switch {
	case l.Port.PVID > maxVLAN:
		return l.bad("VLAN %d is not in 1-%d", l.Port.PVID, maxVLAN)
	case l.Master == "":
		return l.bad("has properties of a port, but no bridge")
	case len(l.Port.MACs) > 0 && !l.Port.NoLearning:
		return l.bad("a port that learns addresses takes no static ones")
	}
	for _, m := range l.Port.MACs {
		if len(m) != 6 || m[0]&1 != 0 {
			return l.bad("%s is no unicast MAC address", m)
		}
	}
	return l.checkRanges(l.Port.VLANs)
}

func (l Link) checkRanges(ranges []VLANRange) error {
	for _, r := range ranges {
		if r.First < 1 || r.Last > maxVLAN || r.First > r.Last {
			return l.bad("VLANs %d-%d are no range within 1-%d", r.First, r.Last, maxVLAN)
		}
	}
	return nil
}

// freshPort is what the kernel makes of a link that has just become a port of a bridge.
func freshPort(bridge *Bridge) *Port {
	p := &Port{}
	if bridge != nil && bridge.VLANAware {
		p.PVID = bridge.PVID
	}
	return p
}

// flags lists what is unusual about a port.
func (p *Port) flags() string {
	var on []string
	for _, f := range []struct {
		name string
		set  bool
	}{{"isolated", p.Isolated}, {"no-learning", p.NoLearning}, {"no-flood", p.NoFlood}, {"no-multicast", p.NoMulticast}, {"neigh-suppress", p.NeighSuppress}} {
		if f.set {
			on = append(on, f.name)
		}
	}
	if on == nil {
		return "plain"
	}
	return strings.Join(on, ",")
}

// vlanSet is a set of VLAN ids.
type vlanSet [maxVLAN + 1]bool

func newVLANSet(ranges []VLANRange) *vlanSet {
	var s vlanSet
	for _, r := range ranges {
		for id := int(r.First); id <= int(r.Last); id++ {
			s[id] = true
		}
	}
	return &s
}

// without returns the ids of s that are not in o, as ranges.
func (s *vlanSet) without(o *vlanSet) []VLANRange {
	var out []VLANRange
	for id := 1; id <= maxVLAN; id++ {
		switch n := len(out); {
		case !s[id] || o[id]:
		case n > 0 && int(out[n-1].Last) == id-1:
			out[n-1].Last++
		default:
			out = append(out, VLANRange{uint16(id), uint16(id)})
		}
	}
	return out
}

func rangesText(ranges []VLANRange) string {
	var list []string
	for _, r := range ranges {
		list = append(list, r.String())
	}
	return strings.Join(list, ",")
}

func containsMAC(list []net.HardwareAddr, m net.HardwareAddr) bool {
	return slices.ContainsFunc(list, func(o net.HardwareAddr) bool { return o.String() == m.String() })
}
