package volume

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/access"
	"github.com/turtacn/go-proxmox/internal/pveconf"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/storage"
)

// GetStorage lists the configured storages that the caller may see.
func (s *Service) GetStorage(ctx context.Context, req *schema.GetStorage) ([]map[string]any, error) {
	configs, digest, err := s.Storages(ctx)
	if err != nil {
		return nil, err
	}
	rows := []map[string]any{}
	for _, c := range configs {
		if req.Type != nil && c.Type != *req.Type {
			continue
		}
		if s.access.CheckAny(ctx, storagePath(c.ID), seeStorage[:]...) == nil {
			rows = append(rows, c.row(digest))
		}
	}
	return rows, nil
}

// GetStorageStorage answers the configuration of one storage.
func (s *Service) GetStorageStorage(ctx context.Context, req *schema.GetStorageStorage) (map[string]any, error) {
	c, err := s.Storage(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	_, digest, err := s.Storages(ctx)
	return c.row(digest), err
}

// row is a storage as the API shows it: numbers as numbers, lists as text.
func (c *Config) row(digest string) map[string]any {
	row := map[string]any{"storage": c.ID, "type": c.Type, "digest": digest, "shared": schema.Bool(c.Shared)}
	for k, v := range c.Options {
		p := property(k)
		switch {
		case p == nil || k == "shared":
		case p.Type == "boolean":
			row[k] = schema.Bool(v == "1")
		case p.Type == "integer" || p.Type == "number":
			row[k] = v
			if n, err := strconv.ParseInt(v, 10, 64); err == nil {
				row[k] = n
			}
		case k == "content-dirs":
			dirs := map[string]string{}
			for _, pair := range splitList(v) {
				content, dir, _ := strings.Cut(pair, "=")
				dirs[content] = dir
			}
			row[k] = dirs
		default:
			row[k] = v
		}
	}
	return row
}

// maxAttempts bounds how often a change of the configuration is tried against other writers.
const maxAttempts = 50

// change makes a change of the configuration: fn gets it fresh, and what it makes of it is committed if nobody else wrote
// meanwhile. fn may return further parts of the transaction, and may run several times.
func (s *Service) change(ctx context.Context, fn func(f *configFile) ([]cluster.Part, error)) error {
	var err error
	for range maxAttempts {
		var kv cluster.KV
		kv, err = s.store.Get(ctx, Key)
		if err != nil && !errors.Is(err, cluster.ErrNotFound) {
			return err
		}
		f, _ := parseConfig(string(kv.Value), s.opts.LocalPath)
		var parts []cluster.Part
		if parts, err = fn(f); err != nil {
			return err
		}
		parts = append(parts, cluster.If(cluster.ModRev(Key, kv.ModRev)), cluster.Put(Key, []byte(f.sections.String())))
		if _, err = s.store.Txn(ctx, parts...); !errors.Is(err, cluster.ErrConflict) {
			return err
		}
	}
	return err
}

// prefixed puts what was being done before a text that is for the user.
func prefixed(prefix string, err error) error {
	if e, ok := errors.AsType[*call.Error](err); ok && e.Status == 500 {
		return public(err, "%s%s", prefix, e.Text)
	}
	return err
}

// PostStorage adds a storage, after it was activated on this node if it is enabled here.
func (s *Service) PostStorage(ctx context.Context, req *schema.PostStorage) (schema.PostStorageReply, error) {
	id, typ := req.Params.String("storage"), req.Params.String("type")
	reply := schema.PostStorageReply{Storage: id, Type: typ}
	t := storageTypes[typ]
	if t == nil {
		return reply, call.Errorf("unsupported type '%s'", typ)
	}
	sec := &pveconf.Section{Type: typ, ID: id, Values: map[string]string{}}
	for k, v := range req.Params {
		if k != "storage" && k != "type" && (k != "nodes" || optionText(v) != "") {
			sec.Values[k] = optionText(v)
		}
	}
	if slices.Contains([]string{"nfs", "cifs", "cephfs"}, typ) && sec.Values["path"] == "" {
		sec.Values["path"] = "/mnt/pve/" + id
	}
	if err := t.checkCreate(sec.Values); err != nil {
		return reply, err
	}
	hidden, err := takeSecrets(t, sec)
	if err != nil {
		return reply, err
	}
	if err := decode(sec, s.warn(id)); err != nil {
		return reply, public(err, "%v", err)
	}
	err = s.change(ctx, func(f *configFile) ([]cluster.Part, error) {
		if f.byID[id] != nil {
			return nil, public(storage.ErrExists, "storage ID '%s' already defined", id)
		}
		if err := s.tryOut(ctx, sec); err != nil {
			return nil, err
		}
		return hidden, store(f, sec)
	})
	return reply, prefixed("create storage failed: ", err)
}

func (s *Service) warn(id string) func(string, ...any) {
	return func(format string, args ...any) {
		s.log.Warn("storage configuration", "storage", id, "warning", fmt.Sprintf(format, args...))
	}
}

// checkCreate tests which options are given.
func (t *storageType) checkCreate(options map[string]string) error {
	for _, k := range slices.Sorted(maps.Keys(options)) {
		if !t.has(k) {
			return call.Errorf("unexpected property '%s'", k)
		}
	}
	for _, k := range t.required {
		if options[k] == "" {
			return call.Errorf("missing value for required option '%s'", k)
		}
	}
	if t.name == "esxi" && options["password"] == "" {
		return call.Errorf("missing password")
	}
	if options["master-pubkey"] != "" && options["encryption-key"] == "" {
		return call.Errorf("'master-pubkey' can only be used together with 'encryption-key'")
	}
	return nil
}

// store puts a section into the file, unless its values could not be read back, such as those with a line feed.
func store(f *configFile, sec *pveconf.Section) error {
	if err := f.sections.Set(sec); err != nil {
		return public(err, "%v", err)
	}
	return nil
}

// tryOut opens and activates a storage that is about to be configured. A type without a driver passes: it is configuration
// for other nodes, or for a later version.
func (s *Service) tryOut(ctx context.Context, sec *pveconf.Section) error {
	c := newConfig(sec.Type, sec.ID, maps.Clone(sec.Values))
	if !c.EnabledOn(s.opts.Node) {
		return nil
	}
	d, err := s.reg.Open(storage.Config{ID: c.ID, Type: c.Type, Options: c.Options})
	if errors.Is(err, storage.ErrUnknownType) {
		return nil
	}
	if err != nil {
		return public(err, "storage '%s': %v", c.ID, cause(err))
	}
	a, ok := storage.As[storage.Activator](d)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.opts.ProbeTimeout)
	defer cancel()
	_, err = within(ctx, s, func() (struct{}, error) { return struct{}{}, a.Activate(ctx) })
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return public(err, "storage '%s' is not online", c.ID)
	case errors.Is(err, storage.ErrUnavailable):
		return public(err, "unable to activate storage '%s' - directory '%s' does not exist or is unreachable", c.ID, c.Path())
	case err != nil:
		return public(err, "unable to activate storage '%s' - %v", c.ID, cause(err))
	}
	return nil
}

// PutStorageStorage changes a storage.
func (s *Service) PutStorageStorage(ctx context.Context, req *schema.PutStorageStorage) (schema.PutStorageStorageReply, error) {
	reply := schema.PutStorageStorageReply{Storage: req.Storage}
	p := req.Params.Without("delete", "digest")
	remove := req.Params.Strings("delete")
	err := s.change(ctx, func(f *configFile) ([]cluster.Part, error) {
		if d := req.Params.String("digest"); d != "" && d != f.digest {
			return nil, call.Errorf("detected modified configuration - file changed by other user? Try again.")
		}
		c := f.byID[req.Storage]
		if c == nil {
			return nil, public(storage.ErrNotFound, "storage '%s' does not exist", req.Storage)
		}
		reply.Type = c.Type
		sec := f.sections.Get(req.Storage)
		if sec == nil || sec.Type != c.Type { // local, which is there without being configured
			sec = &pveconf.Section{Type: c.Type, ID: c.ID, Values: maps.Clone(c.Options)}
		}
		parts, err := update(sec, p, remove, s.warn(c.ID))
		if err != nil {
			return nil, err
		}
		return parts, store(f, sec)
	})
	return reply, prefixed("update storage failed: ", err)
}

// update applies a change to a section and returns the parts that store its secrets.
func update(sec *pveconf.Section, p schema.Params, remove []string, warn func(string, ...any)) ([]cluster.Part, error) {
	t := storageTypes[sec.Type]
	for _, k := range slices.Sorted(maps.Keys(p)) {
		switch {
		case !t.has(k):
			return nil, call.Errorf("unexpected property '%s'", k)
		case slices.Contains(t.fixed, k):
			return nil, call.Errorf("can't change value of fixed parameter '%s'", k)
		}
	}
	var parts []cluster.Part
	for _, k := range remove {
		switch {
		case !t.has(k):
			return nil, call.Errorf("no such option '%s'", k)
		case slices.Contains(t.required, k):
			return nil, call.Errorf("unable to delete required option '%s'", k)
		case slices.Contains(t.fixed, k):
			return nil, call.Errorf("unable to delete fixed option '%s'", k)
		case p.Has(k):
			return nil, call.Errorf("cannot set and delete property '%s' at the same time!", k)
		}
		delete(sec.Values, k)
		if slices.Contains(t.secrets, k) {
			parts = append(parts, cluster.Delete(secretKey(sec.ID, k)))
		}
	}
	for k, v := range p {
		sec.Values[k] = optionText(v)
	}
	hidden, err := takeSecrets(t, sec)
	if err != nil {
		return nil, err
	}
	if err := decode(sec, warn); err != nil {
		return nil, public(err, "%v", err)
	}
	return append(parts, hidden...), nil
}

// DeleteStorageStorage removes a storage from the configuration, and the permissions on it. Its volumes stay.
func (s *Service) DeleteStorageStorage(ctx context.Context, req *schema.DeleteStorageStorage) (any, error) {
	err := s.change(ctx, func(f *configFile) ([]cluster.Part, error) {
		c := f.byID[req.Storage]
		if c == nil {
			return nil, public(storage.ErrNotFound, "storage '%s' does not exist", req.Storage)
		}
		for _, other := range f.storages {
			if base, _, _ := strings.Cut(other.Options["base"], ":"); base == c.ID {
				return nil, public(storage.ErrInUse, "can't remove storage - storage is used as base of another storage")
			}
		}
		f.sections.Delete(c.ID)
		parts, err := s.access.Parts(ctx, func(cfg *access.UserConfig) error {
			cfg.ACL.Prune(storagePath(c.ID))
			return nil
		})
		for _, k := range storageTypes[c.Type].secrets {
			parts = append(parts, cluster.Delete(secretKey(c.ID, k)))
		}
		return parts, err
	})
	return nil, prefixed("delete storage failed: ", err)
}

// secretKey is where a secret option of a storage lies in the store.
func secretKey(id, option string) string { return "/pve/priv/storage/" + id + "." + option }

var encryptionKey = regexp.MustCompile(`(?s)^\s*\{.*"data"\s*:.*\}\s*$`)

// takeSecrets takes the secret options out of a section, leaving what Proxmox VE shows in their place, and returns the parts
// of the transaction that store them.
func takeSecrets(t *storageType, sec *pveconf.Section) ([]cluster.Part, error) {
	var parts []cluster.Part
	for _, k := range t.secrets {
		v := sec.Values[k]
		if v == "" || v == "1" && k != "password" { // not given, or the mark of one that is stored
			continue
		}
		switch k {
		case "encryption-key":
			if v == "autogen" {
				return nil, call.Param(k, "this version makes no keys: pass one")
			}
			if !encryptionKey.MatchString(v) {
				return nil, call.Errorf("Value does not seems like a valid, JSON formatted encryption key!")
			}
			sec.Values[k] = "1"
		case "master-pubkey":
			sec.Values[k] = "1"
		default:
			delete(sec.Values, k)
		}
		parts = append(parts, cluster.Put(secretKey(sec.ID, k), []byte(v)))
	}
	return parts, nil
}
