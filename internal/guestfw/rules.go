package guestfw

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/internal/pveconf"
	"github.com/turtacn/go-proxmox/netkit/firewall"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// ruleList is a list of rules: a file's own, or that of a security group in it.
type ruleList struct {
	place
	group string // lower case
}

func groupRules(name string) ruleList { return ruleList{place: clusterPlace(), group: lower(name)} }

// of finds the list in its file.
func (l ruleList) of(c *firewall.Config) (*[]*firewall.Rule, error) {
	if l.group == "" {
		return &c.Rules, nil
	}
	g, ok := c.Group(l.group)
	if !ok {
		return nil, noGroup(l.group)
	}
	return &g.Rules, nil
}

func noGroup(name string) error { return call.Errorf("no such security group '%s'", name) }

func noRule(pos int) error { return call.Errorf("no rule at position %d", pos) }

// ruleFields are the values of a rule by the names of the API.
func ruleFields(r *firewall.Rule) map[string]*string {
	return map[string]*string{
		"type": &r.Type, "action": &r.Action, "macro": &r.Macro, "iface": &r.Iface, "source": &r.Source, "dest": &r.Dest,
		"proto": &r.Proto, "dport": &r.Dport, "sport": &r.Sport, "icmp-type": &r.ICMPType, "log": &r.Log, "comment": &r.Comment,
	}
}

// setRule takes values over into a rule. An empty one and "-" take away what is there.
func setRule(r *firewall.Rule, v values) error {
	for key, field := range ruleFields(r) {
		value, given := v[key]
		if !given {
			continue
		}
		if value == "-" {
			value = ""
		}
		if strings.ContainsAny(value, "\n\r") {
			return call.Param(key, "value must not contain line breaks")
		}
		*field = value
	}
	r.Type = lower(r.Type)
	if enable, given := v["enable"]; given {
		r.Enable = enable != "0" && enable != "" && enable != "-"
	}
	return nil
}

// checkRule refuses a rule with the first thing that is wrong with it.
func (l ruleList) checkRule(c *firewall.Config, scope *firewall.Scope, r *firewall.Rule) error {
	if f := firewall.CheckRule(c, scope, r, l.group != ""); f != nil {
		return call.Param(f.Key, "%s", f.Text)
	}
	return nil
}

// ruleRow is a rule as lists show it.
func ruleRow(r *firewall.Rule, pos int, digest string) object {
	row := shown(r.Members(), "enable", "ipversion")
	row["pos"], row["digest"] = pos, digest
	if len(r.Faults) > 0 {
		row["errors"] = maps.Clone(r.Faults)
	}
	return row
}

// rules are those of a list as it is stored, to be read only.
func (s *Service) rules(ctx context.Context, l ruleList) ([]*firewall.Rule, error) {
	f, err := s.load(ctx, l.place)
	if err != nil {
		return nil, err
	}
	rules, err := l.of(f.config)
	if err != nil {
		return nil, err
	}
	return *rules, nil
}

func (s *Service) listRules(ctx context.Context, l ruleList) ([]object, error) {
	rules, err := s.rules(ctx, l)
	if err != nil {
		return nil, err
	}
	rows, digest := []object{}, firewall.RulesDigest(rules)
	for pos, r := range rules {
		rows = append(rows, ruleRow(r, pos, digest))
	}
	return rows, nil
}

// getRule answers one rule. Its position comes back as it was sent, as text.
func (s *Service) getRule(ctx context.Context, l ruleList, at *int64) (object, error) {
	rules, err := s.rules(ctx, l)
	if err != nil {
		return nil, err
	}
	pos := int(schema.Value(at, -1))
	if pos < 0 || pos >= len(rules) {
		return nil, noRule(pos)
	}
	row := ruleRow(rules[pos], pos, firewall.RulesDigest(rules))
	row["pos"] = strconv.Itoa(pos)
	return row, nil
}

// addRule puts a new rule at the head of a list.
func (s *Service) addRule(ctx context.Context, l ruleList, req schema.Request) (any, error) {
	v, err := valuesOf(req)
	if err != nil {
		return nil, err
	}
	return nil, s.change(ctx, l.place, func(c *firewall.Config, scope *firewall.Scope) error {
		rules, err := l.of(c)
		if err != nil {
			return err
		}
		r := &firewall.Rule{}
		if err := setRule(r, v); err != nil {
			return err
		}
		if err := l.checkRule(c, scope, r); err != nil {
			return err
		}
		*rules = firewall.InsertRule(*rules, r)
		return nil
	})
}

// putRule changes a rule, or only moves it.
func (s *Service) putRule(ctx context.Context, l ruleList, req schema.Request) (any, error) {
	v, err := valuesOf(req)
	if err != nil {
		return nil, err
	}
	return nil, s.change(ctx, l.place, func(c *firewall.Config, scope *firewall.Scope) error {
		rules, err := l.of(c)
		if err != nil {
			return err
		}
		if err := checkDigest(v["digest"], firewall.RulesDigest(*rules)); err != nil {
			return err
		}
		pos, given := v.number("pos")
		if !given || pos < 0 || pos >= len(*rules) {
			return noRule(pos)
		}
		if to, given := v.number("moveto"); given && to != pos {
			*rules, err = firewall.MoveRule(*rules, pos, to)
			return err
		}
		r := (*rules)[pos] // of the copy that change made
		if err := setRule(r, v); err != nil {
			return err
		}
		if err := unsetRule(r, v["delete"]); err != nil {
			return err
		}
		return l.checkRule(c, scope, r)
	})
}

// unsetRule takes values away by their names.
func unsetRule(r *firewall.Rule, list string) error {
	fields := ruleFields(r)
	for _, key := range pveconf.SplitList(list) {
		switch field := fields[key]; {
		case key == "type" || key == "action":
			return call.Param("delete", "unable to delete required property '%s'", key)
		case key == "enable":
			r.Enable = false
		case field == nil:
			return call.Param("delete", "no such property ('%s')", key)
		default:
			*field = ""
		}
	}
	return nil
}

func (s *Service) deleteRule(ctx context.Context, l ruleList, at *int64, digest *string) (any, error) {
	return nil, s.change(ctx, l.place, func(c *firewall.Config, _ *firewall.Scope) error {
		rules, err := l.of(c)
		if err != nil {
			return err
		}
		if err := checkDigest(schema.Value(digest, ""), firewall.RulesDigest(*rules)); err != nil {
			return err
		}
		pos := int(schema.Value(at, -1))
		if *rules, err = firewall.DeleteRule(*rules, pos); err != nil {
			return noRule(pos)
		}
		return nil
	})
}

// sorted returns the keys of named things in order.
func sorted[T any](list []T, name func(T) string) []T {
	return slices.SortedFunc(slices.Values(list), func(a, b T) int { return strings.Compare(name(a), name(b)) })
}
