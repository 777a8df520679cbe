package firewall

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"github.com/turtacn/go-proxmox/netkit"
)

// Read returns what the kernel holds of the package's tables.
func (c *Conn) Read(ctx context.Context) (*State, error) {
	s, err := c.read(ctx, HostTable, GuestTable, GuardTable)
	if err != nil {
		return nil, &OpError{"read", err}
	}
	return s, nil
}

// read reads tables by name. Lists that a change interrupted are read again, never used.
func (c *Conn) read(ctx context.Context, names ...string) (*State, error) {
	for range 10 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s, err := c.readOnce(names)
		if !errors.Is(err, unix.EINTR) && !errors.Is(err, errVanished) {
			return s, err
		}
	}
	return nil, netkit.ErrInterrupted
}

// errVanished is a table that went while it was read.
var errVanished = errors.New("table vanished")

func (c *Conn) readOnce(names []string) (*State, error) {
	nft, err := c.reader()
	if err != nil {
		return nil, err
	}
	defer nft.CloseLasting()
	out := &State{Tables: map[string]*TableState{}}
	chains := map[nftables.TableFamily][]*nftables.Chain{}
	tables, err := nft.ListTables()
	if err != nil {
		return nil, err
	}
	for _, t := range tables {
		family := map[nftables.TableFamily]string{nftables.TableFamilyINet: "inet", nftables.TableFamilyBridge: "bridge"}[t.Family]
		if !slices.Contains(names, t.Name) || family == "" {
			continue
		}
		if chains[t.Family] == nil {
			if chains[t.Family], err = nft.ListChainsOfTableFamily(t.Family); err != nil {
				return nil, err
			}
		}
		state, err := c.readTable(nft, t, family, chains[t.Family])
		if errors.Is(err, unix.ENOENT) {
			return nil, errVanished
		}
		if err != nil {
			return nil, err
		}
		out.Tables[t.Name] = state
	}
	return out, nil
}

func (c *Conn) readTable(nft *nftables.Conn, t *nftables.Table, family string, chains []*nftables.Chain) (*TableState, error) {
	out := &TableState{Family: family, Chains: map[string]ChainState{}, Sets: map[string]SetState{}}
	tags, err := c.ruleTags(t.Family, t.Name, "")
	if err != nil {
		return nil, err
	}
	for _, ch := range chains {
		if ch.Table.Name != t.Name {
			continue
		}
		state := ChainState{Hook: hookName(ch)}
		if ch.Priority != nil && state.Hook != "" {
			state.Priority = int(*ch.Priority)
		}
		state.Tags = tags[ch.Name]
		out.Chains[ch.Name] = state
	}
	sets, err := nft.GetSets(t)
	if err != nil {
		return nil, err
	}
	for _, set := range sets {
		state, err := readSet(nft, t, set)
		if err != nil {
			return nil, err
		}
		out.Sets[set.Name] = state
	}
	objects, err := nft.GetNamedObjects(t)
	if err != nil {
		return nil, err
	}
	for _, o := range objects {
		if named, ok := o.(*nftables.NamedObj); ok {
			out.Helpers = append(out.Helpers, named.Name)
		}
	}
	slices.Sort(out.Helpers)
	return out, nil
}

func hookName(ch *nftables.Chain) string {
	if ch.Hooknum == nil || ch.Type == "" {
		return ""
	}
	names := [...]string{"prerouting", "input", "forward", "output", "postrouting"}
	if n := int(*ch.Hooknum); n < len(names) {
		return names[n]
	}
	return "unknown"
}

func readSet(nft *nftables.Conn, t *nftables.Table, set *nftables.Set) (SetState, error) {
	state := SetState{Kind: strings.TrimPrefix(set.Comment, commentPrefix)}
	set.Table = t
	shape, ok := shapeOf(set)
	if !ok || set.Dynamic {
		return state, nil
	}
	raw, err := nft.GetSetElements(set)
	if err != nil {
		return state, err
	}
	state.Elements = shape.elementsOf(raw)
	return state, nil
}

// shapeOf guesses the fields of a set from the types of its key: fields of one type have values of one shape.
func shapeOf(set *nftables.Set) (*Set, bool) {
	out := &Set{Name: set.Name, Interval: set.Interval, Verdicts: set.IsMap}
	for _, typ := range nftables.ConcatSetTypeElements(set.KeyType) {
		i := slices.IndexFunc(allFields(), func(f Field) bool { return f.datatype().Name == typ.Name })
		if i < 0 {
			return nil, false
		}
		out.Key = append(out.Key, allFields()[i])
	}
	return out, true
}

func allFields() []Field {
	var out []Field
	for f := FieldIIF; f <= FieldDstType; f++ {
		out = append(out, f)
	}
	return out
}
