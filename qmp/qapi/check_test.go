package qapi

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/qmp/qapi/internal/facts"
)

// checker tells whether a JSON value is of a type of the schema: what the generated code writes is held against the facts,
// not against itself. Both releases count.
type checker struct{ schemas []*facts.Schema }

func newChecker(t testing.TB) *checker {
	t.Helper()
	c := &checker{}
	for _, release := range []string{facts.New, facts.Old} {
		s, err := facts.Load(release)
		require.NoError(t, err)
		c.schemas = append(c.schemas, s)
	}
	return c
}

// typed finds the type of a Go name: where a command has the name of a type the generator adds Args.
func (c *checker) typed(name string) (facts.Type, bool) {
	for _, n := range []string{name, strings.TrimSuffix(name, "Args")} {
		for _, s := range c.schemas {
			if t, ok := s.Types[n]; ok {
				return t, true
			}
		}
	}
	return facts.Type{}, false
}

// members are those of both releases; what one has not, or has as optional, is optional.
func (c *checker) members(name string) map[string]facts.Member {
	all, count, releases := map[string]facts.Member{}, map[string]int{}, 0
	for _, s := range c.schemas {
		list := s.All(name)
		if _, ok := s.Types[name]; !ok {
			list = s.All(strings.TrimSuffix(name, "Args"))
		}
		if len(list) > 0 {
			releases++
		}
		for _, m := range list {
			before, ok := all[m.Name]
			if ok {
				before.Optional = before.Optional || m.Optional
				m = before
			}
			all[m.Name] = m
			count[m.Name]++
		}
	}
	for n, m := range all {
		m.Optional = m.Optional || count[n] < releases
		all[n] = m
	}
	return all
}

func (c *checker) check(r facts.Ref, v any) error {
	if r.List {
		list, ok := v.([]any)
		if !ok {
			return fmt.Errorf("%v is no list", v)
		}
		for i, e := range list {
			if err := c.check(facts.Ref{Name: r.Name}, e); err != nil {
				return fmt.Errorf("[%d]: %w", i, err)
			}
		}
		return nil
	}
	t, ok := c.typed(r.Name)
	if !ok {
		return checkBuiltin(r.Name, v)
	}
	switch t.Kind {
	case facts.Enum:
		_, ok := v.(string)
		return mustBe(ok, r.Name, v)
	case facts.Alternate:
		for _, b := range t.Branches {
			if c.check(b.Type, v) == nil {
				return nil
			}
		}
		return mustBe(false, r.Name, v)
	}
	object, ok := v.(map[string]any)
	if !ok {
		return mustBe(false, r.Name, v)
	}
	rest, err := c.object(r.Name, t, object)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%s: unknown members %v", r.Name, rest)
	}
	return err
}

// object checks the members of a struct or union and returns those that are not among them.
func (c *checker) object(name string, t facts.Type, object map[string]any) (map[string]any, error) {
	members, rest := c.members(name), map[string]any{}
	branch, own := "", map[string]facts.Member{}
	for _, b := range t.Branches {
		if object[t.Discriminator] == b.Name {
			branch, own = b.Type.Name, c.members(b.Type.Name)
		}
	}
	for n, v := range object {
		m, ok := members[n]
		if _, moved := own[n]; !ok || moved {
			rest[n] = v
			continue
		}
		if err := c.check(m.Type, v); err != nil {
			return nil, fmt.Errorf("%s.%s: %w", name, n, err)
		}
	}
	for n, m := range members {
		if _, ok := object[n]; !ok && !m.Optional {
			return nil, fmt.Errorf("%s: no member %s", name, n)
		}
	}
	if branch == "" {
		return rest, nil
	}
	inner, ok := c.typed(branch)
	if !ok {
		return nil, fmt.Errorf("%s: no type %s", name, branch)
	}
	return c.object(branch, inner, rest)
}

func checkBuiltin(name string, v any) error {
	ok := true
	switch name {
	case "any":
	case "null":
		ok = v == nil
	case "str":
		_, ok = v.(string)
	case "bool":
		_, ok = v.(bool)
	case "number":
		_, ok = v.(json.Number)
	default: // the integers
		var n json.Number
		if n, ok = v.(json.Number); ok {
			ok = !strings.ContainsAny(n.String(), ".eE")
		}
	}
	return mustBe(ok, name, v)
}

func mustBe(ok bool, name string, v any) error {
	if ok {
		return nil
	}
	return fmt.Errorf("%v is no %s", v, name)
}
