package realm

import (
	"fmt"
	"maps"
	"sync"

	"github.com/turtacn/go-proxmox/internal/pveconf"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// sectionRules are the rules of domains.cfg: per type the options of the table, with the values that the API allows.
var sectionRules = sync.OnceValue(func() *pveconf.SectionRules {
	params := schema.Find("POST", "/access/domains").Params
	rules := &pveconf.SectionRules{
		Formats: schema.Formats(),
		CheckID: func(id string) error { return pveconf.CheckFormat("pve-realm", id) },
	}
	for _, kind := range []string{PAM, PVE, LDAP, AD, OpenID} {
		t := &pveconf.SectionType{Name: kind, Properties: map[string]*pveconf.Property{}}
		for key, o := range options() {
			if !o.has(kind) {
				continue
			}
			p := *params.Property(key)
			if key == "comment" {
				p.MaxLength = 0 // of the text, which is encoded here
			}
			p.Optional = !o.required(kind)
			t.Properties[key] = &p
			if o.fixed {
				t.Fixed = append(t.Fixed, key)
			}
		}
		rules.Types = append(rules.Types, t)
	}
	return rules
})

func readSections(text string) (realms []*Realm, warnings []string) {
	f, ignored := pveconf.ParseSections(text, sectionRules())
	for _, w := range ignored {
		warnings = append(warnings, fmt.Sprintf("line %d: %s", w.Line, w.Text))
	}
	for _, s := range f.Sections() {
		r := &Realm{ID: s.ID, Type: s.Type, Options: s.Values}
		if _, builtin := defaultComments[r.ID]; builtin {
			r.Type = r.ID
			maps.DeleteFunc(r.Options, func(key, _ string) bool { return !options()[key].has(r.Type) })
		}
		if c, ok := r.Options["comment"]; ok {
			r.Options["comment"] = pveconf.DecodeText(c)
		}
		realms = append(realms, r)
	}
	return realms, warnings
}

func writeSections(realms []*Realm) (string, error) {
	f := pveconf.NewSectionFile(sectionRules())
	for _, r := range realms {
		s := &pveconf.Section{Type: r.Type, ID: r.ID, Values: maps.Clone(r.Options)}
		if c, ok := s.Values["comment"]; ok {
			s.Values["comment"] = pveconf.EncodeText(c)
		}
		maps.DeleteFunc(s.Values, func(_, v string) bool { return v == "" })
		if err := f.Set(s); err != nil {
			return "", fmt.Errorf("realm: %w", err)
		}
	}
	return f.String(), nil
}
