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

	known map[Feature]bool // features that the kernel has; guarded by mu
	have  held             // guarded by mu
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
	return &Conn{ns: f, known: map[Feature]bool{}}, nil
}

// Close releases the namespace. What was applied stays.
func (c *Conn) Close() error { return c.ns.Close() }

// reader opens a socket for questions. The caller ends it with CloseLasting.
func (c *Conn) reader() (*nftables.Conn, error) {
	return nftables.New(nftables.WithNetNSFd(int(c.ns.Fd())), nftables.AsLasting(), nftables.WithSockOptions(largeDumps))
}

// writer collects one transaction. Its socket, opened by Flush, fits what is sent, which the library leaves to sockets without
// options.
func (c *Conn) writer() (*nftables.Conn, error) {
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

// Closed lists the ports that are closed, sorted.
func (c *Conn) Closed(ctx context.Context) ([]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	have, err := c.current(ctx)
	if err != nil {
		return nil, &OpError{"list closed ports", err}
	}
	return have.closedPorts(), nil
}

// Foreign tells whether anybody else has changed any rules of the namespace since the last change by c, or c has made none. The
// package's tables need not be among what was changed: Apply looks.
func (c *Conn) Foreign(ctx context.Context) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	gen, err := c.generation(ctx)
	if err != nil {
		return false, &OpError{"look for changes", err}
	}
	return c.have.state == nil || c.have.gen != gen, nil
}

// guard changes the closed ports, checks that the kernel has them, and returns those it had.
func (c *Conn) guard(ctx context.Context, change func(closed []string) []string) ([]string, error) {
	have, err := c.current(ctx)
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
	if slices.Equal(closed, before) {
		return before, nil
	}
	_, err = c.change(ctx, []*Table{guardTable(closed)}, GuardTable)
	return before, err
}

// send queues a step.
func (s Step) send(nft *nftables.Conn) error {
	t := &nftables.Table{Name: s.Table.Name, Family: s.Table.family()}
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

func (t *Table) family() nftables.TableFamily {
	if t.Family == "bridge" {
		return nftables.TableFamilyBridge
	}
	return nftables.TableFamilyINet
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
