package volume

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/storage"
)

// seeStorage are the privileges of which one lets a user see a storage.
var seeStorage = [...]string{"Datastore.Audit", "Datastore.AllocateSpace"}

// GetNodesStorage answers the storages of this node with their state. A storage that cannot be used is in the list with
// active 0.
func (s *Service) GetNodesStorage(ctx context.Context, req *schema.GetNodesStorage) ([]schema.GetNodesStorageRow, error) {
	configs, _, err := s.Storages(ctx)
	if err != nil {
		return nil, err
	}
	var wanted []Config
	found := req.Storage == nil
	for _, c := range configs {
		if req.Storage != nil && c.ID != *req.Storage {
			continue
		}
		found = true
		if s.selected(&c, req) && s.access.CheckAny(ctx, storagePath(c.ID), seeStorage[:]...) == nil {
			wanted = append(wanted, c)
		}
	}
	if !found {
		return nil, call.Param("storage", "No such storage.")
	}
	rows := make([]schema.GetNodesStorageRow, len(wanted))
	var wg sync.WaitGroup // each asks its probe, which may take a while for those that do not answer
	for i := range wanted {
		wg.Go(func() { rows[i] = s.statusRow(ctx, &wanted[i], req.Format != nil && *req.Format) })
	}
	wg.Wait()
	slices.SortFunc(rows, func(a, b schema.GetNodesStorageRow) int { return strings.Compare(a.Storage, b.Storage) })
	return rows, nil
}

// selected applies the filters of the request.
func (s *Service) selected(c *Config, req *schema.GetNodesStorage) bool {
	if req.Content != nil {
		holds := slices.ContainsFunc(splitList(*req.Content), c.Holds)
		if !holds || !c.EnabledOn(s.opts.Node) {
			return false
		}
	}
	if req.Enabled != nil && *req.Enabled && c.Disabled {
		return false
	}
	if req.Target != nil && *req.Target != s.opts.Node {
		return c.Shared && c.EnabledOn(s.opts.Node) && c.EnabledOn(*req.Target)
	}
	return true
}

func (s *Service) statusRow(ctx context.Context, c *Config, formats bool) schema.GetNodesStorageRow {
	usage, active := s.Usage(ctx, c)
	row := schema.GetNodesStorageRow{
		Storage: c.ID, Type: c.Type, Content: c.Options["content"],
		Active: bit(active), Enabled: bit(c.EnabledOn(s.opts.Node)), Shared: bit(c.Shared),
		Total: &usage.TotalBytes, Used: &usage.UsedBytes, Avail: &usage.AvailBytes,
	}
	if usage.TotalBytes > 0 {
		f := float64(usage.UsedBytes) / float64(usage.TotalBytes)
		row.UsedFraction = &f
	}
	if list := c.Formats(); formats && len(list) > 0 {
		row.Formats = &schema.GetNodesStorageRowFormats{Default: list[0], Supported: slices.Sorted(slices.Values(list))}
		if c.Type == "iscsi" || c.Type == "iscsidirect" {
			row.SelectExisting = bit(true)
		}
	}
	return row
}

// Usage returns the space of a storage and whether it is active on this node. It waits no longer than a probe may take, and
// only for the first answer.
func (s *Service) Usage(ctx context.Context, c *Config) (storage.Usage, bool) {
	if !c.EnabledOn(s.opts.Node) {
		return storage.Usage{}, false
	}
	m, err := s.mount(ctx, c.ID)
	if err != nil {
		return storage.Usage{}, false
	}
	u, err := s.known(ctx, m)
	if err != nil {
		return storage.Usage{}, false
	}
	return u, true
}

func bit(b bool) *schema.Bool {
	v := schema.Bool(b)
	return &v
}

// GetNodesStorageStorage answers the index of a storage.
func (s *Service) GetNodesStorageStorage(ctx context.Context, req *schema.GetNodesStorageStorage) ([]schema.GetNodesStorageStorageRow, error) {
	var rows []schema.GetNodesStorageStorageRow
	for _, name := range []string{
		"content", "download-url", "file-restore", "identity", "import-metadata", "oci-registry-pull", "prunebackups", "rrd", "rrddata", "status", "upload",
	} {
		rows = append(rows, schema.GetNodesStorageStorageRow{Subdir: name})
	}
	return rows, nil
}

// GetNodesStorageStatus answers the state of one storage.
func (s *Service) GetNodesStorageStatus(ctx context.Context, req *schema.GetNodesStorageStatus) (schema.GetNodesStorageStatusReply, error) {
	f, err := s.load(ctx)
	if err != nil {
		return schema.GetNodesStorageStatusReply{}, err
	}
	c := f.byID[req.Storage]
	if c == nil {
		return schema.GetNodesStorageStatusReply{}, call.Param("storage", "No such storage.")
	}
	row := s.statusRow(ctx, c, false)
	return schema.GetNodesStorageStatusReply{
		Type: row.Type, Content: row.Content, Active: row.Active, Enabled: row.Enabled, Shared: row.Shared,
		Total: row.Total, Used: row.Used, Avail: row.Avail,
	}, nil
}
