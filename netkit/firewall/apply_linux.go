package firewall

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"github.com/turtacn/go-proxmox/netkit"
)

// Apply makes the kernel hold want: one transaction with what differs, read back, and then the ports of want are opened.
// What is as wanted is not touched; calling it again does nothing. want must not change afterwards: the Conn remembers it.
//
// If the transaction fails, the rules that were there still hold and ports that were closed stay so. A kernel that cannot
// filter bridges gets the node's own rules, the ports of filtered guests are closed, and the error is a
// *netkit.UnsupportedError that names what is missing. What does not read back is [ErrUnverified], with the ports of
// filtered guests closed.
func (c *Conn) Apply(ctx context.Context, want *Ruleset) (*Report, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	report, err := c.apply(ctx, want)
	if err != nil {
		return report, &OpError{"apply", err}
	}
	return report, nil
}

func (c *Conn) apply(ctx context.Context, want *Ruleset) (*Report, error) {
	report := &Report{}
	tables, names := want.Tables, []string{HostTable, GuestTable}
	missing, err := c.missing(ctx, want)
	if err != nil {
		return report, err
	}
	if missing != nil {
		tables = slices.DeleteFunc(slices.Clone(tables), func(t *Table) bool { return t.Name == GuestTable })
		if err := c.closePorts(ctx, want, report); err != nil { // first: the old rules of guests go now
			return report, err
		}
	}
	report.Steps, err = c.change(ctx, tables, names...)
	switch {
	case errors.Is(err, ErrUnverified):
		return report, errors.Join(err, c.closePorts(context.WithoutCancel(ctx), want, report))
	case unsupported(err):
		return report, &netkit.UnsupportedError{Feature: "a part of nftables (nft_ct, nft_fib_inet, nft_reject_inet, nft_limit, nft_log, helpers)", Err: err}
	case err != nil:
		return report, err
	}
	if err := c.open(ctx, want, missing == nil, report); err != nil {
		return report, err
	}
	if len(want.Tables) == 0 && len(report.Closed) == 0 { // nothing is filtered: frames need not pass the guard either
		if _, err := c.change(ctx, nil, GuardTable); err != nil {
			return report, err
		}
	}
	if missing != nil {
		return report, missing
	}
	return report, nil
}

// closePorts closes the ports of filtered guests.
func (c *Conn) closePorts(ctx context.Context, want *Ruleset, report *Report) error {
	_, err := c.guard(ctx, func(closed []string) []string {
		for _, p := range want.Ports {
			if p.Filtered && isDevice(p.Name) {
				closed = append(closed, p.Name)
			}
		}
		report.Closed = closed
		return closed
	})
	return err
}

// open opens the ports whose rules are in.
func (c *Conn) open(ctx context.Context, want *Ruleset, guests bool, report *Report) error {
	ready := func(name string) bool {
		return slices.ContainsFunc(want.Ports, func(p Port) bool { return p.Name == name && (guests || !p.Filtered) })
	}
	before, err := c.guard(ctx, func(closed []string) []string { return slices.DeleteFunc(closed, ready) })
	if err != nil {
		return err
	}
	report.Closed = nil
	for _, name := range before {
		if ready(name) {
			report.Opened = append(report.Opened, name)
		} else {
			report.Closed = append(report.Closed, name)
		}
	}
	return nil
}

// missing returns the features that want needs and the kernel lacks. Each is tried in a table that goes in the same
// transaction.
func (c *Conn) missing(ctx context.Context, want *Ruleset) (*netkit.UnsupportedError, error) {
	needs := want.Needs()
	var lacking []string
	var cause error
	for _, f := range needs {
		if c.known[f] {
			continue
		}
		switch err := c.probe(ctx, f); {
		case err == nil:
			c.known[f] = true
		case unsupported(err): // asked again next time: a module may be loaded meanwhile
			lacking, cause = append(lacking, string(f)), err
		default:
			return nil, err
		}
	}
	if lacking == nil {
		return nil, nil
	}
	return &netkit.UnsupportedError{Feature: strings.Join(lacking, ", "), Err: cause}, nil
}

// probe tries a feature. Nothing of it is ever seen: its table is gone before the transaction ends.
func (c *Conn) probe(ctx context.Context, f Feature) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	nft, err := c.writer()
	if err != nil {
		return err
	}
	t := nft.AddTable(&nftables.Table{Name: "gpve-probe", Family: nftables.TableFamilyBridge})
	ch := nft.AddChain((&Chain{Name: "probe", Hook: "prerouting"}).kernel(t))
	var exprs []expr.Any
	switch f {
	case FeatureConntrack:
		exprs = []expr.Any{&expr.Ct{Key: expr.CtKeySTATE, Register: firstRegister}}
	case FeatureMeta:
		exprs = []expr.Any{&expr.Meta{Key: expr.MetaKeyBRIIIFNAME, Register: firstRegister}}
	case FeatureReject:
		s := Statement{Matches: []Match{isProto(protoTCP)}, Verdict: Verdict{Kind: VerdictReject, With: RejectTCPReset}}
		if exprs, err = s.exprs(); err != nil {
			return err
		}
	case FeatureLog:
		s := Statement{Log: "probe"}
		if exprs, err = s.exprs(); err != nil {
			return err
		}
	case FeatureQueue:
		exprs = Verdict{Kind: VerdictQueue}.append(nil)
	}
	nft.AddRule(&nftables.Rule{Table: t, Chain: ch, Exprs: exprs})
	nft.DelTable(t)
	return nft.Flush()
}
