package realm

import (
	"maps"
	"slices"
	"sync"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// valueKind says how the API shows an option.
type valueKind uint8

const (
	plain valueKind = iota
	boolean
	integer
)

// option is an option of realms: the types that have it, and those that need it.
type option struct {
	kind  valueKind
	types []string
	needs []string
	fixed bool // set when the realm is made and never changed
}

func (o option) has(realmType string) bool      { return slices.Contains(o.types, realmType) }
func (o option) required(realmType string) bool { return slices.Contains(o.needs, realmType) }

// options are all options by name. What values they take is the schema's business.
var options = sync.OnceValue(func() map[string]option {
	every := []string{PAM, PVE, LDAP, AD, OpenID}
	directory := []string{LDAP, AD}
	openID := []string{OpenID}
	m := map[string]option{
		"comment":        {types: every},
		"default":        {types: every, kind: boolean},
		"tfa":            {types: []string{PAM, PVE, LDAP, AD}},
		"server1":        {types: directory, needs: directory},
		"base_dn":        {types: directory, needs: []string{LDAP}},
		"user_attr":      {types: directory, needs: []string{LDAP}},
		"domain":         {types: []string{AD}, needs: []string{AD}},
		"issuer-url":     {types: openID, needs: openID},
		"client-id":      {types: openID, needs: openID},
		"username-claim": {types: openID, fixed: true},
		"port":           {types: directory, kind: integer},
	}
	for _, key := range []string{"secure", "verify", "case-sensitive"} {
		m[key] = option{types: directory, kind: boolean}
	}
	for _, key := range []string{
		"server2", "bind_dn", "mode", "sslversion", "capath", "cert", "certkey", "filter", "sync_attributes", "user_classes",
		"group_dn", "group_name_attr", "group_filter", "group_classes", "sync-defaults-options",
	} {
		m[key] = option{types: directory}
	}
	for _, key := range []string{"autocreate", "query-userinfo", "groups-autocreate", "groups-overwrite"} {
		m[key] = option{types: openID, kind: boolean}
	}
	for _, key := range []string{"client-key", "prompt", "scopes", "acr-values", "audiences", "groups-claim"} {
		m[key] = option{types: openID}
	}
	return m
})

// check refuses an option that the realm's type does not have, or the lack of one that it needs.
func (r *Realm) check() error {
	for _, key := range slices.Sorted(maps.Keys(r.Options)) {
		if o, known := options()[key]; !known || !o.has(r.Type) {
			return call.Errorf("unexpected property '%s'", key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(options())) {
		if o := options()[key]; o.required(r.Type) && r.Options[key] == "" {
			return call.Errorf("missing value for required option '%s'", key)
		}
	}
	return nil
}
