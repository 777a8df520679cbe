package guestfw

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/turtacn/go-proxmox/internal/pveconf"
	"github.com/turtacn/go-proxmox/netkit/firewall"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

func setRows(c *firewall.Config) ([]object, string) {
	return named(c.Sets, "name", func(s *firewall.IPSet) string { return s.Name }, func(s *firewall.IPSet) string { return s.Comment })
}

func (s *Service) listSets(ctx context.Context, p place) ([]object, error) {
	f, err := s.load(ctx, p)
	if err != nil {
		return nil, err
	}
	rows, _ := setRows(f.config)
	return rows, nil
}

// newSet is what makes a set, or gives one that is there another name or comment.
type newSet struct {
	name    string
	comment *string
	rename  *string
	digest  *string
}

func (s *Service) addSet(ctx context.Context, p place, n newSet) (any, error) {
	name, old := lower(n.name), lower(schema.Value(n.rename, ""))
	if err := checkComment(n.comment); err != nil {
		return nil, err
	}
	return nil, s.change(ctx, p, func(c *firewall.Config, _ *firewall.Scope) error {
		_, exists := c.Set(name)
		if old == "" {
			if exists {
				return call.Param("name", "IPSet '%s' already exists", name)
			}
			c.Sets = append(c.Sets, &firewall.IPSet{Name: name, Comment: schema.Value(n.comment, "")})
			return nil
		}
		_, digest := setRows(c)
		if err := checkDigest(schema.Value(n.digest, ""), digest); err != nil {
			return err
		}
		set, ok := c.Set(old)
		switch {
		case !ok:
			return call.Errorf("IPSet '%s' does not exist", old)
		case exists && old != name:
			return call.Errorf("IPSet '%s' does already exist", name)
		}
		set.Name = name
		if n.comment != nil {
			set.Comment = *n.comment
		}
		return nil
	})
}

// findSet finds a set by its name in any case, as files keep it in lower case.
func findSet(c *firewall.Config, name string) (*firewall.IPSet, error) {
	set, ok := c.Set(lower(name))
	if !ok {
		return nil, call.Errorf("no such IPSet '%s'", name)
	}
	return set, nil
}

func entryRow(e firewall.Entry, digest string) object {
	row := shown(e.Members(), "nomatch")
	row["digest"] = digest
	if e.Fault != "" {
		row["errors"] = object{"cidr": e.Fault}
	}
	return row
}

// set is a set as it is stored, to be read only.
func (s *Service) set(ctx context.Context, p place, name string) (*firewall.IPSet, error) {
	f, err := s.load(ctx, p)
	if err != nil {
		return nil, err
	}
	return findSet(f.config, name)
}

func (s *Service) listEntries(ctx context.Context, p place, name string) ([]object, error) {
	set, err := s.set(ctx, p, name)
	if err != nil {
		return nil, err
	}
	rows, digest := []object{}, firewall.EntriesDigest(set.Entries)
	for _, e := range set.Entries {
		rows = append(rows, entryRow(e, digest))
	}
	return rows, nil
}

func (s *Service) deleteSet(ctx context.Context, p place, name string, force *bool) (any, error) {
	return nil, s.change(ctx, p, func(c *firewall.Config, _ *firewall.Scope) error {
		set, err := findSet(c, name)
		if err != nil {
			return err
		}
		if len(set.Entries) > 0 && !schema.Value(force, false) {
			return call.Errorf("IPSet '%s' is not empty", set.Name)
		}
		c.Sets = slices.DeleteFunc(c.Sets, func(s *firewall.IPSet) bool { return s == set })
		return nil
	})
}

func noEntry() error { return call.Param("cidr", "no such IP/Network") }

func findEntry(set *firewall.IPSet, cidr string) (int, error) {
	i := slices.IndexFunc(set.Entries, func(e firewall.Entry) bool { return e.CIDR == cidr })
	if i < 0 {
		return i, noEntry()
	}
	return i, nil
}

func (s *Service) getEntry(ctx context.Context, p place, name, cidr string) (object, error) {
	set, err := s.set(ctx, p, name)
	if err != nil {
		return nil, err
	}
	i, err := findEntry(set, cidr)
	if err != nil {
		return nil, err
	}
	return entryRow(set.Entries[i], firewall.EntriesDigest(set.Entries)), nil
}

// addEntry puts an address, a network or an alias at the head of a set.
func (s *Service) addEntry(ctx context.Context, p place, name, cidr string, comment *string, noMatch *bool) (any, error) {
	if err := checkComment(comment); err != nil {
		return nil, err
	}
	return nil, s.change(ctx, p, func(c *firewall.Config, scope *firewall.Scope) error {
		set, err := findSet(c, name)
		if err != nil {
			return err
		}
		cidr, err := entryCIDR(cidr, c, scope)
		if err != nil {
			return err
		}
		if _, err := findEntry(set, cidr); err == nil {
			return call.Param("cidr", "address '%s' already exists", cidr)
		}
		e := firewall.Entry{CIDR: cidr, Comment: schema.Value(comment, ""), NoMatch: schema.Value(noMatch, false)}
		set.Entries = slices.Insert(set.Entries, 0, e)
		return nil
	})
}

// entryCIDR is an entry as it is kept: networks without host bits, addresses without their length.
func entryCIDR(v string, c *firewall.Config, scope *firewall.Scope) (string, error) {
	p, err := netip.ParsePrefix(v)
	if a, aerr := netip.ParseAddr(v); aerr == nil && a.Zone() == "" {
		p, err = netip.PrefixFrom(a, a.BitLen()), nil
	}
	switch {
	case err != nil && aliasExists(v, c, scope):
		return v, nil
	case err != nil && pveconf.CheckFormat("IPorCIDR", v) != nil && !strings.ContainsAny(v, ".:"):
		return "", call.Errorf("no such alias '%s'", v)
	case err != nil:
		return "", call.Param("cidr", "%s", pveconf.CheckFormat("IPorCIDR", v))
	case p.Bits() == 0:
		return "", call.Param("cidr", "a zero prefix is not allowed in ipset entries")
	case p.IsSingleIP():
		return p.Addr().String(), nil
	}
	return p.Masked().String(), nil
}

// aliasExists tells whether `[dc/|guest/]NAME` is an alias that entries of c may name.
func aliasExists(v string, c *firewall.Config, scope *firewall.Scope) bool {
	name, where := v, ""
	for _, prefix := range [...]string{"dc/", "guest/"} {
		if rest, ok := strings.CutPrefix(v, prefix); ok {
			name, where = rest, prefix
		}
	}
	if where != "dc/" && c.Level == firewall.Guest {
		if _, ok := c.Alias(name); ok {
			return true
		}
	}
	if where == "guest/" {
		return false
	}
	_, ok := scope.Cluster.Alias(name)
	return ok
}

// putEntry replaces what is said of an entry.
func (s *Service) putEntry(ctx context.Context, p place, name, cidr string, comment *string, noMatch *bool, digest *string) (any, error) {
	if err := checkComment(comment); err != nil {
		return nil, err
	}
	return nil, s.change(ctx, p, func(c *firewall.Config, _ *firewall.Scope) error {
		set, err := findSet(c, name)
		if err != nil {
			return err
		}
		if err := checkDigest(schema.Value(digest, ""), firewall.EntriesDigest(set.Entries)); err != nil {
			return err
		}
		i, err := findEntry(set, cidr)
		if err != nil {
			return err
		}
		set.Entries[i].Comment, set.Entries[i].NoMatch = schema.Value(comment, ""), schema.Value(noMatch, false)
		return nil
	})
}

// deleteEntry takes an entry out; one that is not there is fine.
func (s *Service) deleteEntry(ctx context.Context, p place, name, cidr string, digest *string) (any, error) {
	return nil, s.change(ctx, p, func(c *firewall.Config, _ *firewall.Scope) error {
		set, err := findSet(c, name)
		if err != nil {
			return err
		}
		if err := checkDigest(schema.Value(digest, ""), firewall.EntriesDigest(set.Entries)); err != nil {
			return err
		}
		set.Entries = slices.DeleteFunc(set.Entries, func(e firewall.Entry) bool { return e.CIDR == cidr })
		return nil
	})
}

// checkComment refuses what would be another line of the file.
func checkComment(c *string) error {
	if c != nil && strings.ContainsAny(*c, "\n\r") {
		return call.Param("comment", "value must not contain line breaks")
	}
	return nil
}
