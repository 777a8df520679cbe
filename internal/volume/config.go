package volume

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/pveconf"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// Key is where the storage configuration lies in the store.
const Key = "/pve/storage.cfg"

// Config is a storage as it is configured, with what is implied filled in. It is shared: read only.
type Config struct {
	ID, Type string
	Options  map[string]string // as in storage.cfg; booleans 1 or 0, path and content always set where the type has them
	Contents []string          // sorted; empty for none
	Nodes    []string          // sorted; empty: all
	Disabled bool
	Shared   bool
}

func (c *Config) storage() volid.Storage {
	return volid.Storage{ID: c.ID, Type: c.Type, Options: c.Options}
}

// OnNode reports whether the storage is configured for a node, enabled or not.
func (c *Config) OnNode(node string) bool { return len(c.Nodes) == 0 || slices.Contains(c.Nodes, node) }

// EnabledOn reports whether the storage can be used on a node.
func (c *Config) EnabledOn(node string) bool { return !c.Disabled && c.OnNode(node) }

// Holds reports whether the storage may hold a kind of content.
func (c *Config) Holds(content string) bool { return slices.Contains(c.Contents, content) }

// Formats returns the formats of guest images, the storage's default first.
func (c *Config) Formats() []string {
	k, _ := volid.KindOf(c.Type)
	formats := slices.Clone(k.Formats)
	if c.Type == "lvm" && c.Options["snapshot-as-volume-chain"] == "1" {
		formats = []string{"qcow2", "raw"}
	}
	if i := slices.Index(formats, c.Options["format"]); i > 0 {
		formats = slices.Insert(slices.Delete(formats, i, i+1), 0, c.Options["format"])
	}
	return formats
}

// Path returns the storage's folder, empty if its type has none.
func (c *Config) Path() string {
	st := c.storage()
	return st.Path()
}

// Volid returns the storage as package volid knows it, for locating volumes without touching them.
func (c *Config) Volid() volid.Storage { return c.storage() }

// configFile is storage.cfg at one revision.
type configFile struct {
	rev      int64
	digest   string
	storages []Config // in the order of the file; local first if it is implied
	byID     map[string]*Config
	sections *pveconf.SectionFile
}

// load returns the present configuration, parsed once for each revision.
func (s *Service) load(ctx context.Context) (*configFile, error) {
	kv, err := s.store.Get(ctx, Key)
	if err != nil && !errors.Is(err, cluster.ErrNotFound) {
		return nil, err
	}
	s.mu.Lock()
	f := s.config
	s.mu.Unlock()
	if f != nil && f.rev == kv.ModRev {
		return f, nil
	}
	f, warnings := parseConfig(string(kv.Value), s.opts.LocalPath)
	f.rev = kv.ModRev
	for _, w := range warnings {
		s.log.Warn("storage configuration", "warning", w)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.config == nil || s.config.rev < f.rev {
		s.config = f
	}
	return f, nil
}

// Storages returns all configured storages in the order of the file, and the digest of its text.
func (s *Service) Storages(ctx context.Context) ([]Config, string, error) {
	f, err := s.load(ctx)
	if err != nil {
		return nil, "", err
	}
	return f.storages, f.digest, nil
}

// Storage returns a configured storage, whether it can be used here or not. Its error is public.
func (s *Service) Storage(ctx context.Context, id string) (Config, error) {
	if id == "" {
		return Config{}, call.Errorf("no storage ID specified")
	}
	f, err := s.load(ctx)
	if err != nil {
		return Config{}, err
	}
	c := f.byID[id]
	if c == nil {
		return Config{}, public(storage.ErrNotFound, "storage '%s' does not exist", id)
	}
	return *c, nil
}

// Available returns a configured storage that is enabled for this node. Its error is public.
func (s *Service) Available(ctx context.Context, id string) (Config, error) {
	return s.AvailableOn(ctx, id, s.opts.Node)
}

// AvailableOn returns a configured storage that is enabled for a node. Its error is public.
func (s *Service) AvailableOn(ctx context.Context, id, node string) (Config, error) {
	c, err := s.Storage(ctx, id)
	switch {
	case err != nil:
		return c, err
	case c.Disabled:
		return c, call.Errorf("storage '%s' is disabled", id)
	case !c.OnNode(node):
		return c, call.Errorf("storage '%s' is not available on node '%s'", id, node)
	}
	return c, nil
}

// newConfig fills in what a section implies.
func newConfig(typ, id string, options map[string]string) Config {
	c := Config{ID: id, Type: typ, Options: options}
	k, _ := volid.KindOf(typ)
	if k.Path {
		p := options["path"]
		if p == "" && k.Mounted {
			p = "/mnt/pve/" + id
		}
		if p != "" {
			options["path"] = path.Clean(p)
		}
	}
	for _, content := range c.storage().Contents() {
		c.Contents = append(c.Contents, string(content))
	}
	slices.Sort(c.Contents)
	if options["content"] = strings.Join(c.Contents, ","); len(c.Contents) == 0 {
		options["content"] = "none"
	}
	c.Nodes = slices.Sorted(slices.Values(splitList(options["nodes"])))
	c.Disabled = options["disable"] == "1"
	c.Shared = options["shared"] == "1" || slices.Contains(alwaysShared[:], typ)
	return c
}

// alwaysShared are the types whose volumes every node sees.
var alwaysShared = [...]string{"nfs", "cifs", "rbd", "cephfs", "iscsi", "iscsidirect", "zfs", "pbs"}

func splitList(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ';' || r == ' ' })
}
