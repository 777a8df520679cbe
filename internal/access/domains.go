package access

import (
	"context"
	"errors"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/access/realm"
	"github.com/turtacn/go-proxmox/internal/pveconf"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// DomainRow is a row of GET /access/domains.
type DomainRow struct {
	schema.GetAccessDomainsRow
	Default *schema.Bool `json:"default,omitempty"`
}

// GetAccessDomains lists the realms; it is open to the world, for login forms.
func (s *Service) GetAccessDomains(ctx context.Context, _ *schema.GetAccessDomains) (any, error) {
	domains, err := s.domains.get(ctx)
	if err != nil {
		return nil, err
	}
	rows := []DomainRow{}
	for _, r := range domains.All() {
		row := DomainRow{GetAccessDomainsRow: schema.GetAccessDomainsRow{Realm: r.ID, Type: r.Type, Comment: text(r.Options["comment"]), Tfa: text(r.TFA())}}
		if r.Options["default"] == "1" {
			row.Default = new(schema.Bool(true))
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func noSuchDomain(id string) error { return call.Errorf("domain '%s' does not exist", id) }

// GetAccessDomainsRealm shows the configuration of a realm, its password aside.
func (s *Service) GetAccessDomainsRealm(ctx context.Context, req *schema.GetAccessDomainsRealm) (map[string]any, error) {
	v, err := s.domains.version(ctx)
	if err != nil {
		return nil, err
	}
	r := v.value.Get(req.Realm)
	if r == nil {
		return nil, noSuchDomain(req.Realm)
	}
	out := r.Typed()
	out["digest"] = pveconf.Digest(v.text)
	return out, nil
}

// options splits the parameters of a realm from what is not stored in its section.
func options(p schema.Params) (opts map[string]string, password *string, err error) {
	if p.Bool("check-connection") {
		return nil, nil, errNoConnection
	}
	if p.Has("password") {
		password = new(p.String("password"))
	}
	opts = map[string]string{}
	rest := p.Without("realm", "type", "password", "check-connection", "delete", "digest")
	for name := range rest {
		opts[name] = rest.String(name)
	}
	return opts, password, nil
}

var errNoConnection = errors.New("check of the connection")

// directoryOnly refuses check-connection for realms without a directory, and, where there is one, says that it cannot
// be asked.
func directoryOnly(kind string) error {
	if kind != realm.LDAP && kind != realm.AD {
		return call.Errorf("'check-connection' parameter can only be set for realms of type 'ldap' or 'ad'")
	}
	return call.Errorf("connections to directory servers are not supported")
}

// putRealmPassword adds the bind password of a realm to a change; nil leaves it, empty removes it.
func (c *change) putRealmPassword(id string, password *string) {
	key := realmDir + id + ".pw"
	switch {
	case password == nil:
	case *password == "":
		c.extra = append(c.extra, cluster.Delete(key))
	default:
		c.extra = append(c.extra, cluster.Put(key, []byte(*password+"\n")))
	}
}

// PostAccessDomains adds a realm.
func (s *Service) PostAccessDomains(ctx context.Context, req *schema.PostAccessDomains) (any, error) {
	id, kind := req.Params.String("realm"), req.Params.String("type")
	return nil, prefixed("add auth server failed", s.apply(ctx, func(c *change) error {
		domains, err := c.domains()
		if err != nil {
			return err
		}
		switch {
		case id == realm.PAM || id == realm.PVE:
			return call.Errorf("unable to use reserved name '%s'", id)
		case domains.Get(id) != nil:
			return call.Errorf("domain '%s' already exists", id)
		case kind == realm.PAM || kind == realm.PVE:
			return call.Errorf("unable to create builtin type '%s'", kind)
		}
		opts, password, err := options(req.Params)
		if errors.Is(err, errNoConnection) {
			return directoryOnly(kind)
		}
		if err != nil {
			return err
		}
		if err := domains.Add(kind, id, opts); err != nil {
			return err
		}
		c.putRealmPassword(id, password)
		return nil
	}))
}

// PutAccessDomainsRealm changes a realm.
func (s *Service) PutAccessDomainsRealm(ctx context.Context, req *schema.PutAccessDomainsRealm) (any, error) {
	return nil, prefixed("update auth server failed", s.apply(ctx, func(c *change) error {
		domains, err := c.domains()
		if err != nil {
			return err
		}
		if digest := req.Params.String("digest"); digest != "" && digest != pveconf.Digest(c.files[domainsKey].text) {
			return call.Errorf("detected modified configuration - file changed by other user? Try again.")
		}
		r := domains.Get(req.Realm)
		if r == nil {
			return noSuchDomain(req.Realm)
		}
		opts, password, err := options(req.Params)
		if errors.Is(err, errNoConnection) {
			return directoryOnly(r.Type)
		}
		if err != nil {
			return err
		}
		remove := req.Params.Strings("delete")
		if len(opts) == 0 && len(remove) == 0 && password == nil {
			return call.Errorf("no options specified")
		}
		for i := len(remove) - 1; i >= 0; i-- {
			if remove[i] == "password" {
				password = new("")
				remove = append(remove[:i], remove[i+1:]...)
			}
		}
		if err := domains.Update(req.Realm, opts, remove); err != nil {
			return err
		}
		c.putRealmPassword(req.Realm, password)
		return nil
	}))
}

// DeleteAccessDomainsRealm removes a realm; its users stay. The built-in ones come back with their defaults.
func (s *Service) DeleteAccessDomainsRealm(ctx context.Context, req *schema.DeleteAccessDomainsRealm) (any, error) {
	return nil, prefixed("delete auth server failed", s.apply(ctx, func(c *change) error {
		domains, err := c.domains()
		if err != nil {
			return err
		}
		if !domains.Delete(req.Realm) {
			return call.Errorf("authentication domain '%s' does not exist", req.Realm)
		}
		c.putRealmPassword(req.Realm, new(""))
		return nil
	}))
}
