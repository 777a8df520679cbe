package guestfw

import (
	"context"
	"slices"
	"strings"

	"github.com/turtacn/go-proxmox/netkit/firewall"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

func aliasRow(a firewall.Alias, digest string) object {
	row := shown(a.Members(), "ipversion")
	row["digest"] = digest
	return row
}

func (s *Service) listAliases(ctx context.Context, p place) ([]object, error) {
	f, err := s.load(ctx, p)
	if err != nil {
		return nil, err
	}
	rows, digest := []object{}, firewall.AliasesDigest(f.config.Aliases)
	for _, a := range sorted(f.config.Aliases, func(a firewall.Alias) string { return lower(a.Name) }) {
		rows = append(rows, aliasRow(a, digest))
	}
	return rows, nil
}

func findAlias(c *firewall.Config, name string) (int, error) {
	i := slices.IndexFunc(c.Aliases, func(a firewall.Alias) bool { return strings.EqualFold(a.Name, name) })
	if i < 0 {
		return i, call.Param("name", "no such alias")
	}
	return i, nil
}

func (s *Service) getAlias(ctx context.Context, p place, name string) (object, error) {
	f, err := s.load(ctx, p)
	if err != nil {
		return nil, err
	}
	i, err := findAlias(f.config, name)
	if err != nil {
		return nil, err
	}
	return aliasRow(f.config.Aliases[i], firewall.AliasesDigest(f.config.Aliases)), nil
}

func (s *Service) addAlias(ctx context.Context, p place, a firewall.Alias) (any, error) {
	if err := checkComment(&a.Comment); err != nil {
		return nil, err
	}
	return nil, s.change(ctx, p, func(c *firewall.Config, _ *firewall.Scope) error {
		if _, exists := c.Alias(a.Name); exists {
			return call.Param("name", "alias '%s' already exists", a.Name)
		}
		c.Aliases = append(c.Aliases, a)
		return nil
	})
}

// putAlias replaces an alias, perhaps under another name. What names it is left alone.
func (s *Service) putAlias(ctx context.Context, p place, name string, to firewall.Alias, digest *string) (any, error) {
	if err := checkComment(&to.Comment); err != nil {
		return nil, err
	}
	return nil, s.change(ctx, p, func(c *firewall.Config, _ *firewall.Scope) error {
		if err := checkDigest(schema.Value(digest, ""), firewall.AliasesDigest(c.Aliases)); err != nil {
			return err
		}
		i, err := findAlias(c, name)
		if err != nil {
			return err
		}
		made := to
		if made.Name == "" {
			made.Name = c.Aliases[i].Name
		} else if j, err := findAlias(c, made.Name); err == nil && j != i {
			return call.Param("name", "alias '%s' already exists", made.Name)
		}
		c.Aliases[i] = made
		return nil
	})
}

// deleteAlias takes an alias away; one that is not there is fine.
func (s *Service) deleteAlias(ctx context.Context, p place, name string, digest *string) (any, error) {
	return nil, s.change(ctx, p, func(c *firewall.Config, _ *firewall.Scope) error {
		if err := checkDigest(schema.Value(digest, ""), firewall.AliasesDigest(c.Aliases)); err != nil {
			return err
		}
		c.Aliases = slices.DeleteFunc(c.Aliases, func(a firewall.Alias) bool { return strings.EqualFold(a.Name, name) })
		return nil
	})
}
