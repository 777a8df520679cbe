package volume

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
	secrets, err := takeSecrets(t, sec)
	if err != nil {
		return reply, err
	}
	if err := decode(sec, s.warn(id)); err != nil {
		return reply, public(err, "%v", err)
	}
	tried := false
	err = s.change(ctx, func(f *configFile) ([]cluster.Part, error) {
		if f.byID[id] != nil {
			return nil, public(storage.ErrExists, "storage ID '%s' already defined", id)
		}
		if err := s.checkBase(f, sec); err != nil {
			return nil, err
		}
		if !tried { // another writer's change makes this run again, but the storage is the same
			if err := s.tryOut(ctx, sec, secrets); err != nil {
				return nil, err
			}
			tried = true
		}
		return secretParts(id, secrets), store(f, sec)
	})
	if err != nil && tried {
		err = errors.Join(err, s.placeSecrets(context.WithoutCancel(ctx), typ, id, nil))
	}
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

// checkBase checks what an LVM storage says it stands on.
func (s *Service) checkBase(f *configFile, sec *pveconf.Section) error {
	base := sec.Values["base"]
	if base == "" {
		return nil
	}
	id, err := split(base)
	if err != nil {
		return err
	}
	switch c := f.byID[id.Storage]; {
	case c == nil:
		return call.Errorf("base storage ID '%s' does not exist", id.Storage)
	case c.Type != "iscsi":
		return call.Errorf("unsupported base type '%s'", c.Type)
	}
	return nil
}

// checkChain refuses to switch chains of qcow2 volumes off on LVM while there is such a volume.
func (s *Service) checkChain(ctx context.Context, before *Config, sec *pveconf.Section) error {
	const option = "snapshot-as-volume-chain"
	if before.Type != "lvm" || before.Options[option] != "1" || sec.Values[option] == "1" || !before.EnabledOn(s.opts.Node) {
		return nil
	}
	m, err := s.enter(ctx, before.ID)
	if err != nil {
		return err
	}
	volumes, err := s.list(ctx, m, storage.Filter{Content: storage.Images})
	if err != nil {
		return err
	}
	if slices.ContainsFunc(volumes, func(v storage.Volume) bool { return v.Format == storage.QCOW2 }) {
		return call.Errorf("%s - cannot disable '%s' while a qcow2 image exists", before.ID, option)
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
func (s *Service) tryOut(ctx context.Context, sec *pveconf.Section, secrets map[string]string) (err error) {
	c := newConfig(sec.Type, sec.ID, maps.Clone(sec.Values))
	if !c.EnabledOn(s.opts.Node) {
		return nil
	}
	if err := s.placeSecrets(ctx, c.Type, c.ID, secrets); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.placeSecrets(context.WithoutCancel(ctx), c.Type, c.ID, nil))
		}
	}()
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
	var left *Config // a storage that this node had and will not have any more
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
		before := *c
		parts, err := update(sec, p, remove, s.warn(c.ID))
		if err != nil {
			return nil, err
		}
		if err := s.checkChain(ctx, &before, sec); err != nil {
			return nil, err
		}
		after := newConfig(sec.Type, sec.ID, maps.Clone(sec.Values))
		if left = nil; before.EnabledOn(s.opts.Node) && !after.EnabledOn(s.opts.Node) {
			left = &before
		}
		return parts, store(f, sec)
	})
	switch {
	case err != nil:
	case left != nil:
		s.leave(ctx, left)
	default:
		err = s.placeSecrets(ctx, reply.Type, req.Storage, nil)
		s.mu.Lock()
		delete(s.drivers, req.Storage) // the next use opens it with what holds now, a new key too
		s.mu.Unlock()
	}
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
	dropped := map[string]bool{}
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
		if slices.Contains(t.secrets, k) && !dropped[k] {
			dropped[k] = true
			parts = append(parts, cluster.Delete(secretKey(sec.ID, k)))
		}
	}
	for k, v := range p {
		sec.Values[k] = optionText(v)
	}
	secrets, err := takeSecrets(t, sec)
	if err != nil {
		return nil, err
	}
	if err := decode(sec, warn); err != nil {
		return nil, public(err, "%v", err)
	}
	return append(parts, secretParts(sec.ID, secrets)...), nil
}

// DeleteStorageStorage removes a storage from the configuration, and the permissions on it. Its volumes stay.
func (s *Service) DeleteStorageStorage(ctx context.Context, req *schema.DeleteStorageStorage) (any, error) {
	var removed Config
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
		removed = *c
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
	if err == nil {
		s.leave(ctx, &removed)
	}
	return nil, prefixed("delete storage failed: ", err)
}

// leave takes back, as far as that goes, what made a storage usable on this node: its mount or session, and the files of its
// secrets. A guest that still uses it keeps it.
func (s *Service) leave(ctx context.Context, c *Config) {
	s.mu.Lock()
	m := s.drivers[c.ID]
	delete(s.drivers, c.ID)
	s.mu.Unlock()
	if m != nil {
		if d, ok := storage.As[storage.Deactivator](m.driver); ok {
			leaving, cancel := context.WithTimeout(ctx, s.opts.ProbeTimeout)
			defer cancel()
			_, err := within(leaving, s, func() (struct{}, error) { return struct{}{}, d.Deactivate(leaving) })
			if err != nil && !errors.Is(err, storage.ErrInUse) {
				s.log.Warn("storage was not deactivated", "storage", c.ID, "err", err)
			}
		}
	}
	if err := s.placeSecrets(ctx, c.Type, c.ID, nil); err != nil {
		s.log.Warn("secrets of a storage", "storage", c.ID, "err", err)
	}
}
