package netkit

import (
	"slices"
	"time"
)

// BondMode is how a bond shares its traffic among its links. See Documentation/networking/bonding.rst: mode.
type BondMode string

// The modes of a bond.
const (
	BondRoundRobin   BondMode = "balance-rr"
	BondActiveBackup BondMode = "active-backup"
	BondXOR          BondMode = "balance-xor"
	BondBroadcast    BondMode = "broadcast"
	BondLACP         BondMode = "802.3ad"
	BondTLB          BondMode = "balance-tlb"
	BondALB          BondMode = "balance-alb"
)

// Bond are the properties of a bond. The mode is fixed when it is made: another one makes it anew. In a wish zero values of
// the others are the kernel's defaults when it is made, and leave it alone later.
type Bond struct {
	Mode     BondMode      // empty is balance-rr
	MIIMon   time.Duration // how often the links are looked at, in milliseconds
	XmitHash string        // layer2, layer3+4, layer2+3, encap2+3, encap3+4, vlan+srcmac; for balance-xor, 802.3ad and balance-tlb
	LACPRate string        // slow or fast; for 802.3ad
	Primary  string        // the link that is preferred; for active-backup, balance-tlb and balance-alb
}

func bondModes() []BondMode {
	return []BondMode{BondRoundRobin, BondActiveBackup, BondXOR, BondBroadcast, BondLACP, BondTLB, BondALB}
}

func xmitHashes() []string {
	return []string{"", "layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4", "vlan+srcmac"}
}

func (l Link) checkBond() error {
	b := l.Bond
	switch {
	case b == nil:
		return nil
	case !slices.Contains(bondModes(), b.mode()):
		return l.bad("unknown bond mode %q", b.Mode)
	case !slices.Contains(xmitHashes(), b.XmitHash):
		return l.bad("unknown transmit hash policy %q", b.XmitHash)
	case b.XmitHash != "" && b.mode() != BondXOR && b.mode() != BondLACP && b.mode() != BondTLB:
		return l.bad("mode %s has no transmit hash policy", b.mode())
	case b.LACPRate != "" && (b.mode() != BondLACP || b.LACPRate != "slow" && b.LACPRate != "fast"):
		return l.bad("bad LACP rate %q of mode %s", b.LACPRate, b.mode())
	case b.Primary != "" && b.mode() != BondActiveBackup && b.mode() != BondTLB && b.mode() != BondALB:
		return l.bad("mode %s has no primary link", b.mode())
	case b.MIIMon < 0:
		return l.bad("a negative time")
	}
	return nil
}

func (b *Bond) mode() BondMode {
	if b.Mode == "" {
		return BondRoundRobin
	}
	return b.Mode
}

// differs tells whether b has to be changed to become w.
func (b *Bond) differs(w *Bond) bool {
	return w.MIIMon != 0 && w.MIIMon != b.MIIMon || w.XmitHash != "" && w.XmitHash != b.XmitHash ||
		w.LACPRate != "" && w.LACPRate != b.LACPRate || w.Primary != "" && w.Primary != b.Primary
}
