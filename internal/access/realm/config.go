package realm

import (
	"slices"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/internal/access/usercfg"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// Types of realms.
const (
	PAM    = "pam"
	PVE    = "pve"
	LDAP   = "ldap"
	AD     = "ad"
	OpenID = "openid"
)

// defaultComments are those of the realms that always exist, whose type is their name.
var defaultComments = map[string]string{
	PAM: "Linux PAM standard authentication",
	PVE: "Proxmox VE authentication server",
}

// Realm is one section of domains.cfg. Options are text as in the file, comments decoded, booleans 0 or 1.
type Realm struct {
	ID, Type string
	Options  map[string]string
}

// TFA returns the kind of second factor that the realm demands ("oath" or "yubico"), "" if none.
func (r *Realm) TFA() string {
	for part := range strings.SplitSeq(r.Options["tfa"], ",") {
		if kind, ok := strings.CutPrefix(part, "type="); ok {
			return kind
		}
	}
	return ""
}

// Typed returns the options as the API shows them, numbers and booleans as numbers, with the realm's type.
func (r *Realm) Typed() map[string]any {
	out := map[string]any{"type": r.Type}
	for key, v := range r.Options {
		p := options()[key]
		if n, err := strconv.ParseInt(v, 10, 64); err == nil && (p.kind == boolean || p.kind == integer) {
			out[key] = n
			continue
		}
		out[key] = v
	}
	return out
}

// Config is the content of domains.cfg. The realms pam and pve always exist.
type Config struct {
	realms []*Realm // in the order of the file
}

// Parse reads domains.cfg. The warnings say what was left out.
func Parse(text string) (*Config, []string) {
	sections, warnings := readSections(text)
	c := &Config{}
	hasDefault := false
	for _, s := range sections {
		if hasDefault && s.Options["default"] == "1" {
			delete(s.Options, "default")
		}
		hasDefault = hasDefault || s.Options["default"] == "1"
		c.realms = append(c.realms, s)
	}
	for _, id := range []string{PVE, PAM} {
		c.ensure(id)
	}
	return c, warnings
}

// ensure adds a realm that always exists, and its comment.
func (c *Config) ensure(id string) {
	r := c.Get(id)
	if r == nil {
		r = &Realm{ID: id, Type: id, Options: map[string]string{}}
		c.realms = append(c.realms, r)
	}
	if r.Options["comment"] == "" {
		r.Options["comment"] = defaultComments[id]
	}
}

// Format returns the text of domains.cfg.
func (c *Config) Format() (string, error) { return writeSections(c.realms) }

// Get returns a realm, nil if there is none.
func (c *Config) Get(id string) *Realm {
	for _, r := range c.realms {
		if r.ID == id {
			return r
		}
	}
	return nil
}

// All returns the realms, sorted. The slice is the caller's, the realms are shared.
func (c *Config) All() []*Realm {
	all := slices.Clone(c.realms)
	slices.SortFunc(all, func(a, b *Realm) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// of returns the realm of a user, nil if there is none.
func (c *Config) of(userID string) *Realm {
	_, id, _ := usercfg.SplitUserID(userID)
	return c.Get(id)
}

// TFA returns the kind of second factor that the realm of the user demands, "" if none.
func (c *Config) TFA(userID string) string {
	if r := c.of(userID); r != nil {
		return r.TFA()
	}
	return ""
}

// FoldsCase reports whether the realm of the user does not tell upper from lower case in names.
func (c *Config) FoldsCase(userID string) bool {
	r := c.of(userID)
	return r != nil && r.Options["case-sensitive"] == "0"
}

// KeepsPasswords reports whether the passwords of the realm are kept with its users, to be removed with them.
func (c *Config) KeepsPasswords(id string) bool {
	r := c.Get(id)
	return r != nil && r.Type == PVE
}

// Add makes a realm. The error is a *call.Error about an option that its type does not have, or needs.
func (c *Config) Add(kind, id string, opts map[string]string) error {
	r := &Realm{ID: id, Type: kind, Options: opts}
	if err := r.check(); err != nil {
		return err
	}
	c.realms = append(c.realms, r)
	c.oneDefault(r)
	return nil
}

// Update sets options of a realm and removes others.
func (c *Config) Update(id string, opts map[string]string, remove []string) error {
	r := c.Get(id)
	if r == nil {
		return call.Errorf("domain '%s' does not exist", id)
	}
	for _, key := range remove {
		o, known := options()[key]
		switch {
		case !known || !o.has(r.Type):
			return call.Param("delete", "unknown option '%s'", key)
		case o.fixed || o.required(r.Type):
			return call.Errorf("unable to delete required option '%s'", key)
		case hasKey(opts, key):
			return call.Param("delete", "you can't use '-%s' and -delete %s at the same time", key, key)
		}
		delete(r.Options, key)
	}
	for key, v := range opts {
		if o := options()[key]; o.fixed && r.Options[key] != v {
			return call.Errorf("can't change value of fixed parameter '%s'", key)
		}
		r.Options[key] = v
	}
	if err := r.check(); err != nil {
		return err
	}
	c.oneDefault(r)
	if _, builtin := defaultComments[id]; builtin {
		c.ensure(id)
	}
	return nil
}

func hasKey(m map[string]string, key string) bool { _, ok := m[key]; return ok }

// oneDefault takes the flag from all other realms if r has it.
func (c *Config) oneDefault(r *Realm) {
	if r.Options["default"] != "1" {
		return
	}
	for _, other := range c.realms {
		if other != r {
			delete(other.Options, "default")
		}
	}
}

// Delete removes a realm and reports whether there was one. Those that always exist get their defaults back.
func (c *Config) Delete(id string) bool {
	n := len(c.realms)
	c.realms = slices.DeleteFunc(c.realms, func(r *Realm) bool { return r.ID == id })
	found := len(c.realms) < n
	if _, builtin := defaultComments[id]; builtin && found {
		c.ensure(id)
	}
	return found
}
