package firewall

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"

	"github.com/turtacn/go-proxmox/netkit"
)

// Conn writes rulesets into one network namespace. It is safe for concurrent use.
type Conn struct {
	ns *os.File
	mu sync.Mutex // one change at a time: each begins with a look at what is there

	known map[Feature]error // what the kernel answered for features; guarded by mu
}

// Dial opens a connection in ns, which may be closed afterwards.
func Dial(ctx context.Context, ns *netkit.NS) (*Conn, error) {
	if ns == nil {
		return nil, errors.New("firewall: dial: nil namespace")
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := os.Open(ns.Path())
	if err != nil {
		return nil, fmt.Errorf("firewall: dial: %w", err)
	}
	return &Conn{ns: f, known: map[Feature]error{}}, nil
}

// Close releases the namespace. What was applied stays.
func (c *Conn) Close() error { return c.ns.Close() }

func (c *Conn) nft() (*nftables.Conn, error) {
	return nftables.New(nftables.WithNetNSFd(int(c.ns.Fd())))
}

// Guard drops all frames of ports until an Apply opens them. Call it before the port is made, or becomes a port of a bridge.
// It works with any kernel that has nftables for bridges. Names of more than 15 characters are refused.
func (c *Conn) Guard(ctx context.Context, ports ...string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.guard(ctx, func(closed []string) []string { return append(closed, ports...) })
	if err != nil {
		return &OpError{"guard", err}
	}
	return nil
}

// Release forgets ports that are gone.
func (c *Conn) Release(ctx context.Context, ports ...string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.guard(ctx, func(closed []string) []string {
		return slices.DeleteFunc(closed, func(name string) bool { return slices.Contains(ports, name) })
	})
	if err != nil {
		return &OpError{"release", err}
	}
	return nil
}

// guard changes the closed ports, checks that the kernel has them, and returns those it had.
func (c *Conn) guard(ctx context.Context, change func(closed []string) []string) ([]string, error) {
	have, err := c.read(ctx, GuardTable)
	if err != nil {
		return nil, err
	}
	before := have.closedPorts()
	closed := change(slices.Clone(before))
	slices.Sort(closed)
	closed = slices.Compact(closed)
	for _, name := range closed {
		if !isDevice(name) {
			return nil, fmt.Errorf("%w: %q is no name of a device", netkit.ErrBadLink, name)
		}
	}
	_, err = c.change(ctx, have, []*Table{guardTable(closed)}, GuardTable)
	return before, err
}

// change carries out a plan in one transaction and reads back whether it holds. If that fails, the tables are made anew,
// once: what the kernel has may not be what it says, and somebody else may have been at it.
func (c *Conn) change(ctx context.Context, have *State, want []*Table, names ...string) (Steps, error) {
	steps := Plan(have, want, names...)
	if len(steps) == 0 {
		return nil, nil
	}
	err := c.carryOut(ctx, steps, want, names)
	if err == nil || unsupported(err) || ctx.Err() != nil {
		return steps, err
	}
	if have, err2 := c.read(ctx, names...); err2 == nil && len(have.Tables) > 0 {
		steps = rebuild(have, want, names...)
		err = c.carryOut(ctx, steps, want, names)
	}
	return steps, err
}

func (c *Conn) carryOut(ctx context.Context, steps Steps, want []*Table, names []string) error {
	if err := c.commit(ctx, steps); err != nil {
		return err
	}
	now, err := c.read(ctx, names...)
	if err != nil {
		return err
	}
	if rest := Plan(now, want, names...); len(rest) > 0 {
		return fmt.Errorf("%w: %v", ErrUnverified, rest[0])
	}
	return nil
}

// commit sends steps as one transaction: all of them, or none.
func (c *Conn) commit(ctx context.Context, steps Steps) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	nft, err := c.nft()
	if err != nil {
		return err
	}
	for _, s := range steps {
		if err := s.send(nft); err != nil {
			return fmt.Errorf("%v: %w", s, err)
		}
	}
	return nft.Flush()
}

// send queues a step.
func (s Step) send(nft *nftables.Conn) error {
	t := &nftables.Table{Name: s.Table.Name, Family: nftables.TableFamilyINet}
	if s.Table.Family == "bridge" {
		t.Family = nftables.TableFamilyBridge
	}
	switch s.Change {
	case DeleteTable:
		nft.DelTable(t)
	case AddTable:
		nft.AddTable(t)
	case AddChain:
		nft.AddChain(s.Chain.kernel(t))
	case DeleteChain:
		nft.DelChain(&nftables.Chain{Name: s.Chain.Name, Table: t})
	case SetRules:
		return s.Chain.send(nft, t)
	case DeleteSet:
		nft.DelSet(&nftables.Set{Name: s.Set.Name, Table: t})
	case AddSet, AddElements, DeleteElements:
		return s.sendSet(nft, t)
	case AddHelper, DeleteHelper:
		s.sendHelper(nft, t)
	}
	return nil
}

func (s Step) sendSet(nft *nftables.Conn, t *nftables.Table) error {
	set, err := s.Set.kernel(t)
	if err != nil {
		return err
	}
	elements := s.Set.kernelElements(s.Elements)
	switch s.Change {
	case AddSet:
		return nft.AddSet(set, elements)
	case AddElements:
		return nft.SetAddElements(set, elements)
	}
	return nft.SetDeleteElements(set, elements)
}

func (s Step) sendHelper(nft *nftables.Conn, t *nftables.Table) {
	obj := &nftables.NamedObj{Table: t, Name: s.Helper, Type: nftables.ObjTypeCtHelper}
	for _, h := range s.Table.Helpers {
		if h.Object() == s.Helper {
			obj.Obj = &expr.CtHelper{Name: h.Name, L4Proto: uint8(h.Proto)}
		}
	}
	if s.Change == DeleteHelper {
		nft.DeleteObject(obj)
		return
	}
	nft.AddObj(obj)
}

func (ch *Chain) kernel(t *nftables.Table) *nftables.Chain {
	out := &nftables.Chain{Name: ch.Name, Table: t}
	if ch.Hook == "" {
		return out
	}
	hooks := map[string]*nftables.ChainHook{"prerouting": nftables.ChainHookPrerouting, "input": nftables.ChainHookInput,
		"forward": nftables.ChainHookForward, "output": nftables.ChainHookOutput, "postrouting": nftables.ChainHookPostrouting}
	policy := nftables.ChainPolicyAccept
	out.Type, out.Hooknum, out.Priority, out.Policy = nftables.ChainTypeFilter, hooks[ch.Hook], nftables.ChainPriorityRef(nftables.ChainPriority(ch.Priority)), &policy
	return out
}

// send queues the rules of a chain in place of those it has.
func (ch *Chain) send(nft *nftables.Conn, t *nftables.Table) error {
	k := &nftables.Chain{Name: ch.Name, Table: t}
	nft.FlushChain(k)
	for i := range ch.Rules {
		exprs, err := ch.Rules[i].exprs()
		if err != nil {
			return err
		}
		tag := userdata.AppendString(nil, userdata.TypeComment, commentPrefix+ch.Rules[i].Tag())
		nft.AddRule(&nftables.Rule{Table: t, Chain: k, Exprs: exprs, UserData: tag})
	}
	return nil
}

// unsupported tells whether the kernel lacks what it was asked for.
func unsupported(err error) bool {
	return errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EPROTO) || errors.Is(err, unix.EPROTONOSUPPORT)
}
