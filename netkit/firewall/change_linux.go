package firewall

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"github.com/turtacn/go-proxmox/netkit"
)

// held is what the kernel was last seen to hold of the package's tables, and the number of the ruleset at that time. The kernel
// counts the changes of a namespace's ruleset, whoever makes them: while the number is the same, so are the tables.
type held struct {
	gen   uint32
	state *State // nil: not known
}

// generation is the number of the namespace's ruleset.
func (c *Conn) generation(ctx context.Context) (uint32, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	nft, err := c.reader()
	if err != nil {
		return 0, err
	}
	defer nft.CloseLasting()
	g, err := nft.GetGen()
	if err != nil {
		return 0, err
	}
	return g.ID, nil
}

// current is what the kernel holds now. It is read only if somebody else has changed any rules.
func (c *Conn) current(ctx context.Context) (*State, error) {
	for range retries {
		gen, err := c.generation(ctx)
		if err != nil {
			return nil, err
		}
		if c.have.state != nil && c.have.gen == gen {
			return c.have.state, nil
		}
		c.have = held{}
		state, err := c.read(ctx, HostTable, GuestTable, GuardTable)
		if err != nil {
			return nil, err
		}
		if after, err := c.generation(ctx); err != nil {
			return nil, err
		} else if after == gen {
			c.have = held{gen, state}
			return state, nil
		}
	}
	return nil, netkit.ErrInterrupted
}

// retries is how often something is begun anew because others change rules at the same time.
const retries = 20

// change makes the named tables those of want, in one transaction that only takes place if the kernel still holds what the
// plan was made for, and reads back what it touched. If it fails otherwise, the tables are made anew, once: what the kernel has
// may not be what it says.
func (c *Conn) change(ctx context.Context, want []*Table, names ...string) (Steps, error) {
	plan, anew := Plan, false
	for range retries {
		have, err := c.current(ctx)
		if err != nil {
			return nil, err
		}
		steps := plan(have, want, names...)
		if len(steps) == 0 {
			have.recognise(want)
			return nil, nil
		}
		err = c.carryOut(ctx, have, steps, want, names)
		switch {
		case err == nil:
			c.have.state.recognise(want)
			return steps, nil
		case errors.Is(err, unix.ERESTART):
			continue // somebody was faster
		case unsupported(err), ctx.Err() != nil, anew, len(have.Tables) == 0:
			return steps, err
		}
		plan, anew = rebuild, true
	}
	return nil, netkit.ErrInterrupted
}

// carryOut sends steps and checks that the kernel holds what they were to bring about.
func (c *Conn) carryOut(ctx context.Context, have *State, steps Steps, want []*Table, names []string) error {
	gen := c.have.gen
	c.have = held{}
	if err := c.commit(ctx, steps, gen); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx) // what was sent is looked at, whoever waits
	if after, err := c.generation(ctx); err != nil {
		return err
	} else if after == following(gen) {
		failed := c.verify(ctx, steps)
		if failed == nil {
			c.have = held{after, have.after(steps)}
			return nil
		}
		if now, err := c.generation(ctx); err != nil || now == after {
			return failed
		}
	}
	// Somebody else has changed something since.
	now, err := c.current(ctx)
	if err != nil {
		return err
	}
	if rest := Plan(now, want, names...); len(rest) > 0 {
		return fmt.Errorf("%w: %v", ErrUnverified, rest[0])
	}
	return nil
}

// following is the number of the ruleset after the next change. The kernel leaves 0 out.
func following(gen uint32) uint32 {
	if gen++; gen == 0 {
		gen = 1
	}
	return gen
}

// commit sends steps as one transaction: all of them or, also if the ruleset is not the one of that number any more, none.
func (c *Conn) commit(ctx context.Context, steps Steps, gen uint32) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	nft, err := c.writer()
	if err != nil {
		return err
	}
	for _, s := range steps {
		if err := s.send(nft); err != nil {
			return fmt.Errorf("%v: %w", s, err)
		}
	}
	return nft.FlushWithGenID(gen)
}

// verify reads the chains and sets back that steps have filled.
func (c *Conn) verify(ctx context.Context, steps Steps) error {
	nft, err := c.reader()
	if err != nil {
		return err
	}
	defer nft.CloseLasting()
	if err := c.verifyRules(steps); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, s := range steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		t := &nftables.Table{Name: s.Table.Name, Family: s.Table.family()}
		switch {
		case !s.Set.fills(s.Change):
		case len(s.Elements) > sampleAbove || len(s.Set.Elements) > sampleAbove:
			if err := sample(nft, t, s); err != nil {
				return err
			}
		case !seen[s.Table.Name+" "+s.Set.Name]:
			seen[s.Table.Name+" "+s.Set.Name] = true
			set, err := s.Set.kernel(t)
			if err != nil {
				return err
			}
			have, err := readSet(nft, t, set)
			if err != nil {
				return err
			}
			if len(planElements(have.Elements, s.Table, s.Set)) > 0 {
				return fmt.Errorf("%w: %v", ErrUnverified, s)
			}
		}
	}
	return nil
}

// wholeTable is how many chains make it cheaper to read all rules of a table.
const wholeTable = 8

// verifyRules reads the rules back that steps have set.
func (c *Conn) verifyRules(steps Steps) error {
	chains := map[string]int{}
	for _, s := range steps {
		if s.Change == SetRules {
			chains[s.Table.Name]++
		}
	}
	whole := map[string]map[string][]string{}
	for _, s := range steps {
		if s.Change != SetRules || len(s.Chain.Rules) == 0 {
			continue
		}
		tags := whole[s.Table.Name]
		if tags == nil {
			only := s.Chain.Name
			if chains[s.Table.Name] > wholeTable {
				only = ""
			}
			var err error
			if tags, err = c.ruleTags(s.Table.family(), s.Table.Name, only); err != nil {
				return err
			}
			if only == "" {
				whole[s.Table.Name] = tags
			}
		}
		if !slices.Equal(tags[s.Chain.Name], s.Chain.tags()) {
			return fmt.Errorf("%w: %v", ErrUnverified, s)
		}
	}
	return nil
}

// fills tells whether a step of a kind changes the elements of s that read back.
func (s *Set) fills(c Change) bool {
	return s != nil && !s.Meter && (c == AddSet || c == AddElements || c == DeleteElements)
}

// Of a large set the kernel is asked for some elements, since a list of all takes it as long as the change. What could be lost
// on the way is messages: each holds up to 64 KiB, far more elements than lie between two samples.
const (
	sampleAbove = 4096
	sampleEvery = 256
)

// sample looks whether elements of a step are in the set, or not any more.
func sample(nft *nftables.Conn, t *nftables.Table, s Step) error {
	set, err := s.Set.kernel(t)
	if err != nil {
		return err
	}
	for i := 0; i < len(s.Elements); i += sampleEvery {
		e := s.Elements[min(i, len(s.Elements)-1)]
		if i+sampleEvery >= len(s.Elements) {
			e = s.Elements[len(s.Elements)-1]
		}
		want, wanted := s.Set.at(e.Key)
		if s.Change != DeleteElements {
			want, wanted = e, true
		}
		there, err := holds(nft, set, s.Set, e, want.Verdict)
		if err != nil {
			return err
		}
		if there != wanted {
			return fmt.Errorf("%w: %v", ErrUnverified, s)
		}
	}
	return nil
}

// at is the wanted element that the kernel would name when it is asked for one with a key. Of a range of one field it knows
// the begin.
func (s *Set) at(key []Span) (Element, bool) {
	i, ok := slices.BinarySearchFunc(s.Elements, key, func(e Element, key []Span) int {
		if s.Interval && len(key) == 1 {
			return strings.Compare(e.Key[0].Lo, key[0].Lo)
		}
		return compareKeys(e.Key, key)
	})
	if !ok {
		return Element{}, false
	}
	return s.Elements[i], true
}

// holds asks for one element, with its verdict if it is one of a map.
func holds(nft *nftables.Conn, set *nftables.Set, s *Set, e Element, v Verdict) (bool, error) {
	want := nftables.SetElement{Key: s.padded(e.Key, false)}
	if s.Interval && len(s.Key) > 1 {
		want.KeyEnd = s.padded(e.Key, true)
	}
	bare := *set
	bare.IsMap, bare.DataType = false, nftables.SetDatatype{}
	got, err := nft.FindSetElements(&bare, []nftables.SetElement{want})
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	return slices.ContainsFunc(got, func(g nftables.SetElement) bool {
		return bytes.Equal(g.Key, want.Key) && !g.IntervalEnd && (want.KeyEnd == nil || bytes.Equal(g.KeyEnd, want.KeyEnd)) && s.verdictOf(g) == v
	}), err
}
