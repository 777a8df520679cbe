package netkit

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// Kind is the kernel's name of a link type.
type Kind string

// The kinds that can be made. See ip-link(8): TYPE.
const (
	KindBridge  Kind = "bridge"  // a Linux bridge; Proxmox's name would be vmbrN
	KindTap     Kind = "tun"     // a persistent tap device; the kernel calls the driver tun
	KindBond    Kind = "bond"    // several links as one
	KindVLAN    Kind = "vlan"    // the frames of one VLAN of the parent
	KindVXLAN   Kind = "vxlan"   // frames in UDP packets between hosts
	KindVeth    Kind = "veth"    // one end of a cable; the parent is the other end
	KindMacvlan Kind = "macvlan" // a further MAC address of the parent
	KindMacvtap Kind = "macvtap" // the same, with a character device for its frames
	KindDummy   Kind = "dummy"   // a device that swallows everything
)

// KindPhysical is the kind of links that no driver of virtual devices made. The kernel has no name for it; it also stands
// for lo.
const KindPhysical Kind = "device"

// Link is a network device: as it is (from [Conn.Links]) or as it should be (for [Plan]). What points to nil in a wish is
// left as it is. The value shares its slices and pointers with nobody when it comes from a Conn.
type Link struct {
	Name string
	Kind Kind             // empty in a wish: whatever is there. Kinds without a constant are listed and cannot be made
	MTU  int              // bytes; 0 in a wish leaves it alone
	MAC  net.HardwareAddr // nil in a wish leaves it alone
	Up   bool             // administratively up
	// Running is whether it could pass frames: up and connected. It is listed only; the kernel notices changes late.
	Running bool
	Master  string         // name of the bridge or bond it belongs to, empty for none
	Addrs   []netip.Prefix // addresses with prefix length; in a wish: these at least. IPv6 link-local ones are not listed
	Exact   bool           // only in a wish: addresses that are not in Addrs are removed
	// NoIPv6 says that the host itself does not speak IPv6 on it, so that no router advertisement of a guest reaches the host.
	// A wish without it leaves it alone.
	NoIPv6 bool
	// Parent is the device that a VLAN, VXLAN, macvlan or macvtap stands on, and the other end of a veth. A VXLAN may do
	// without.
	Parent   string
	AltNames []string // further names of up to 127 bytes; in a wish: these at least

	Tap     Tap         // only for KindTap
	Bridge  *Bridge     // only for KindBridge
	Bond    *Bond       // only for KindBond
	VLAN    *VLAN       // only for KindVLAN
	VXLAN   *VXLAN      // only for KindVXLAN
	Macvlan MacvlanMode // only for KindMacvlan and KindMacvtap; empty is bridge
	Port    *Port       // as a port of a bridge; nil where it is none
	Rate    *Rate       // limits of the traffic; nil when nothing was asked, listed only by [Conn.Lookup]

	index int // of the kernel, 0 in a wish
}

// Tap are the properties of a tap that are fixed when it is made.
type Tap struct {
	Owner      uint32 // uid that may attach to it without privileges
	MultiQueue bool   // more than one queue: IFF_MULTI_QUEUE
	VNetHeader bool   // virtio-net headers on the wire: IFF_VNET_HDR
}

// VLAN is what a VLAN device takes out of its parent's traffic. It is fixed when the device is made.
type VLAN struct {
	ID       uint16 // 1-4094
	Protocol string // 802.1Q or 802.1ad; empty is 802.1Q
}

// MacvlanMode says whom a macvlan talks to. See ip-link(8): MACVLAN and MACVTAP Type Support.
type MacvlanMode string

// The modes of a macvlan.
const (
	MacvlanPrivate  MacvlanMode = "private"
	MacvlanVEPA     MacvlanMode = "vepa"
	MacvlanBridge   MacvlanMode = "bridge"
	MacvlanPassthru MacvlanMode = "passthru"
)

// Rate limits the traffic of a link, in bytes per second each; 0 is no limit. What a tap sends is what its guest receives.
type Rate struct {
	Out uint64 // what the link sends: a token bucket (sch_tbf)
	In  uint64 // what the link receives: a policer (cls_matchall, act_police), at most 4294967295
}

// MTU and identity limits of the kernel.
const (
	minMTU, maxMTU = 68, 65535
	maxVLAN        = 4094
	maxVNI         = 1<<24 - 1
	maxAltName     = 127 // linux/if.h: ALTIFNAMSIZ without the NUL
)

func (l Link) bad(format string, args ...any) error {
	return fmt.Errorf("%w: %s: %s", ErrBadLink, l.Name, fmt.Sprintf(format, args...))
}

// check refuses a wish that the kernel would refuse or misread.
func (l Link) check() error {
	if err := CheckName(l.Name); err != nil {
		return err
	}
	switch {
	case l.MTU != 0 && (l.MTU < minMTU || l.MTU > maxMTU):
		return l.bad("MTU %d is not in %d-%d", l.MTU, minMTU, maxMTU)
	case l.MAC != nil && (len(l.MAC) != 6 || l.MAC[0]&1 != 0):
		return l.bad("%s is no unicast MAC address", l.MAC)
	case l.Master == l.Name:
		return l.bad("is its own master")
	case l.Parent == l.Name:
		return l.bad("is its own parent")
	}
	for _, a := range l.Addrs {
		if !a.IsValid() {
			return l.bad("invalid address")
		}
	}
	for _, n := range l.AltNames {
		if n == "" || len(n) > maxAltName || strings.ContainsAny(n, "/: \t\n\x00") {
			return l.bad("bad further name %q", n)
		}
	}
	if l.Rate != nil && l.Rate.In > 1<<32-1 {
		return l.bad("a limit of %d bytes/s is more than the kernel's policer takes", l.Rate.In)
	}
	for _, err := range []error{l.checkKind(), l.checkBridge(), l.checkPort(), l.checkBond(), l.checkVXLAN()} {
		if err != nil {
			return err
		}
	}
	return nil
}

// checkKind refuses properties that the kind does not have.
func (l Link) checkKind() error {
	switch {
	case l.Kind == "":
		return nil
	case l.Bridge != nil && l.Kind != KindBridge, l.Bond != nil && l.Kind != KindBond, l.VLAN != nil && l.Kind != KindVLAN,
		l.VXLAN != nil && l.Kind != KindVXLAN, l.Tap != Tap{} && l.Kind != KindTap:
		return l.bad("has properties of another kind than %s", l.Kind)
	case l.VLAN != nil && (l.VLAN.ID < 1 || l.VLAN.ID > maxVLAN):
		return l.bad("VLAN %d is not in 1-%d", l.VLAN.ID, maxVLAN)
	case l.VLAN != nil && l.VLAN.protocol() == "":
		return l.bad("VLAN protocol %q is neither 802.1Q nor 802.1ad", l.VLAN.Protocol)
	}
	switch l.Macvlan {
	case "", MacvlanPrivate, MacvlanVEPA, MacvlanBridge, MacvlanPassthru:
		return nil
	}
	return l.bad("unknown mode %q of a macvlan", l.Macvlan)
}

// checkMake refuses the lack of what a link needs to be made.
func (l Link) checkMake() error {
	switch {
	case l.Kind == "":
		return ErrNotFound
	case !l.Kind.canMake():
		return l.bad("kind %q cannot be made", l.Kind)
	case l.Kind == KindVLAN && l.VLAN == nil:
		return l.bad("a VLAN device needs a VLAN")
	case l.Kind == KindVXLAN && l.VXLAN == nil:
		return l.bad("a VXLAN needs an identifier")
	case l.Parent == "" && (l.Kind == KindVLAN || l.Kind == KindMacvlan || l.Kind == KindMacvtap || l.Kind == KindVeth):
		return l.bad("a %s needs a parent", l.Kind)
	}
	return nil
}

// protocol is the canonical name of the VLAN's protocol, empty if it is none.
func (v *VLAN) protocol() string {
	switch strings.ToLower(v.Protocol) {
	case "", "802.1q":
		return "802.1Q"
	case "802.1ad":
		return "802.1ad"
	}
	return ""
}

// canMake tells whether links of the kind can be made.
func (k Kind) canMake() bool {
	switch k {
	case KindBridge, KindTap, KindBond, KindVLAN, KindVXLAN, KindVeth, KindMacvlan, KindMacvtap, KindDummy:
		return true
	}
	return false
}

// standsOn tells whether links of the kind vanish with their parent.
func (k Kind) standsOn() bool {
	switch k {
	case KindVLAN, KindMacvlan, KindMacvtap, KindVXLAN, KindVeth:
		return true
	}
	return false
}
