package netkit

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// Kind is the kernel's name of a link type.
type Kind string

const (
	KindBridge Kind = "bridge" // a Linux bridge; Proxmox's name would be vmbrN
	KindTap    Kind = "tun"    // a persistent tap device; the kernel calls the driver tun
)

// Link is a network device: as it is (from [Conn.Links]) or as it should be (for [Plan]).
type Link struct {
	Name   string
	Kind   Kind             // other kinds are listed with the kernel's name and cannot be made
	MTU    int              // bytes; 0 in a wish leaves it alone
	MAC    net.HardwareAddr // nil in a wish leaves it alone
	Up     bool             // administratively up
	Master string           // name of the bridge it is a port of, empty for none
	Addrs  []netip.Prefix   // addresses with prefix length; in a wish: these at least, others stay. IPv6 link-local ones are not listed
	Tap    Tap              // only for KindTap

	index int // of the kernel, 0 in a wish
}

// Tap are the properties of a tap that are fixed when it is made.
type Tap struct {
	Owner      uint32 // uid that may attach to it without privileges
	MultiQueue bool   // more than one queue: IFF_MULTI_QUEUE
	VNetHeader bool   // virtio-net headers on the wire: IFF_VNET_HDR
}

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

func (l Link) check() error {
	if err := CheckName(l.Name); err != nil {
		return err
	}
	if l.Kind != KindBridge && l.Kind != KindTap {
		return fmt.Errorf("%w: %s: kind %q cannot be made", ErrBadLink, l.Name, l.Kind)
	}
	if l.MTU != 0 && (l.MTU < 68 || l.MTU > 65535) {
		return fmt.Errorf("%w: %s: MTU %d is not in 68-65535", ErrBadLink, l.Name, l.MTU)
	}
	if l.MAC != nil && (len(l.MAC) != 6 || l.MAC[0]&1 != 0) {
		return fmt.Errorf("%w: %s: %s is no unicast MAC address", ErrBadLink, l.Name, l.MAC)
	}
	if l.Master == l.Name {
		return fmt.Errorf("%w: %s: is its own master", ErrBadLink, l.Name)
	}
	for _, a := range l.Addrs {
		if !a.IsValid() {
			return fmt.Errorf("%w: %s: invalid address", ErrBadLink, l.Name)
		}
	}
	return nil
}
