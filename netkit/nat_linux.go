package netkit

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// SetMasquerade makes the rules of the nftables table `ip NAME` exactly these and switches IPv4 forwarding on when there
// are any; an empty list removes the table and leaves forwarding as it is. One transaction: the old rules hold until the
// new ones do.
func (c *Conn) SetMasquerade(ctx context.Context, table string, rules []Masquerade) error {
	for _, r := range rules {
		if err := CheckName(r.Bridge); err != nil {
			return err
		}
		if !r.Source.IsValid() || !r.Source.Addr().Is4() {
			return fmt.Errorf("%w: %s: masquerade needs an IPv4 network", ErrBadLink, r.Bridge)
		}
	}
	if err := c.writeMasquerade(table, rules); err != nil {
		return &OpError{Op: "masquerade", Link: table, Err: err}
	}
	if len(rules) == 0 {
		return nil
	}
	err := c.ns.Do(ctx, func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0) })
	if err != nil {
		return &OpError{Op: "forwarding", Link: table, Err: err}
	}
	return nil
}

func (c *Conn) writeMasquerade(table string, rules []Masquerade) error {
	nft, err := nftables.New(nftables.WithNetNSFd(int(c.ns.f.Fd())))
	if err != nil {
		return err
	}
	t := nft.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: table}) // so that the deletion finds one
	nft.DelTable(t)
	if len(rules) > 0 {
		t = nft.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: table})
		chain := nft.AddChain(&nftables.Chain{
			Name: "postrouting", Table: t, Type: nftables.ChainTypeNAT,
			Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource,
		})
		for _, r := range rules {
			nft.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: r.exprs()})
		}
	}
	err = nft.Flush()
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOENT) {
		return &UnsupportedError{Feature: "nftables NAT (nf_tables, nft_chain_nat, nft_masq)", Err: err}
	}
	return err
}

// exprs is `ip saddr SOURCE oifname != BRIDGE masquerade`.
func (r Masquerade) exprs() []expr.Any {
	net4 := r.Source.Masked().Addr().As4()
	mask := binaryutil.BigEndian.PutUint32(^uint32(0) << (32 - r.Source.Bits()))
	if r.Source.Bits() == 0 {
		mask = make([]byte, 4)
	}
	name := make([]byte, unix.IFNAMSIZ)
	copy(name, r.Bridge)
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 4}, // source address
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: mask, Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: net4[:]},
		&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: name},
		&expr.Masq{},
	}
}
