package volume

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/prune"
	"github.com/turtacn/go-proxmox/storage/volid"
)

const taskPrune = "prunebackups"

// pruneParams are those of the operation prunebackups.
type pruneParams struct {
	Storage string
	Keep    string
	Type    string `json:",omitempty"`
	VMID    int    `json:",omitempty"`
}

// keepOf returns the policy of a request: its own, else the storage's.
func keepOf(c *Config, given *string) (string, error) {
	text := c.Options["prune-backups"]
	if given != nil {
		text = *given
	}
	if text == "" {
		return "", call.Errorf("no prune-backups options configured for storage '%s'", c.ID)
	}
	if _, err := prune.ParseKeep(text); err != nil {
		return "", call.Param("prune-backups", "%v", err)
	}
	return text, nil
}

// prunable checks that a storage is here and holds backups.
func (s *Service) prunable(ctx context.Context, id string) (Config, error) {
	c, err := s.Available(ctx, id)
	if err == nil && !c.Holds("backup") {
		err = call.Errorf("storage '%s' does not support backups", id)
	}
	return c, err
}

// GetNodesStoragePrunebackups answers what pruning would do to each backup.
func (s *Service) GetNodesStoragePrunebackups(ctx context.Context, req *schema.GetNodesStoragePrunebackups) ([]schema.GetNodesStoragePrunebackupsRow, error) {
	c, err := s.prunable(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	p := pruneParams{Storage: c.ID, Type: deref(req.Type), VMID: int(deref(req.Vmid))}
	if p.Keep, err = keepOf(&c, req.PruneBackups); err != nil {
		return nil, err
	}
	return s.prunePlan(ctx, &p)
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// prunePlan lists the backups that a policy is about, each with its mark, sorted by volume id.
func (s *Service) prunePlan(ctx context.Context, p *pruneParams) ([]schema.GetNodesStoragePrunebackupsRow, error) {
	keep, err := prune.ParseKeep(p.Keep)
	if err != nil {
		return nil, public(err, "%v", err)
	}
	m, err := s.enter(ctx, p.Storage)
	if err != nil {
		return nil, err
	}
	volumes, err := s.list(ctx, m, storage.Filter{Content: storage.Backup, Owner: p.VMID})
	if err != nil {
		return nil, err
	}
	rows := []schema.GetNodesStoragePrunebackupsRow{}
	var backups []prune.Backup
	for _, v := range volumes {
		name, err := m.storage().Parse(string(v.ID))
		if err != nil {
			continue
		}
		row := schema.GetNodesStoragePrunebackupsRow{Volid: m.ID + ":" + string(v.ID), Type: name.BackupGuest(), Ctime: v.Created.Unix()}
		if p.Type != "" && row.Type != p.Type {
			continue
		}
		if v.Owner != 0 {
			owner := int64(v.Owner)
			row.Vmid = &owner
		}
		rows = append(rows, row)
		backups = append(backups, prune.Backup{Volume: row.Volid, Protected: v.Protected})
	}
	for i, mark := range prune.Plan(backups, keep, time.Local) {
		rows[i].Mark = string(mark)
	}
	slices.SortFunc(rows, func(a, b schema.GetNodesStoragePrunebackupsRow) int { return strings.Compare(a.Volid, b.Volid) })
	return rows, nil
}

// DeleteNodesStoragePrunebackups prunes in a task.
func (s *Service) DeleteNodesStoragePrunebackups(ctx context.Context, req *schema.DeleteNodesStoragePrunebackups) (string, error) {
	p := pruneParams{Storage: req.Storage, Type: deref(req.Type), VMID: int(deref(req.Vmid))}
	if err := s.mayPrune(ctx, &p); err != nil {
		return "", err
	}
	c, err := s.prunable(ctx, req.Storage)
	if err != nil {
		return "", err
	}
	if p.Keep, err = keepOf(&c, req.PruneBackups); err != nil {
		return "", err
	}
	id := c.ID
	if p.VMID != 0 {
		id = strconv.Itoa(p.VMID) + "@" + c.ID
	}
	upid, err := s.tasks.Submit(ctx, task.Spec{Type: taskPrune, ID: id, User: call.From(ctx).AuthID, Params: p})
	return upid.String(), err
}

// mayPrune checks the caller's right to remove backups: of all guests, or of the one that is named.
func (s *Service) mayPrune(ctx context.Context, p *pruneParams) error {
	if p.VMID == 0 {
		return s.access.Check(ctx, storagePath(p.Storage), "Datastore.Allocate")
	}
	if err := s.access.Check(ctx, storagePath(p.Storage), "Datastore.AllocateSpace"); err != nil {
		return err
	}
	return s.access.Check(ctx, fmt.Sprintf("/vms/%d", p.VMID), "VM.Backup")
}

// runPrune removes what the policy marks. A repetition after a restart finds less.
func (s *Service) runPrune(ctx context.Context, op *task.Op) error {
	var p pruneParams
	if err := op.Decode(&p); err != nil {
		return err
	}
	if err := s.mayPrune(ctx, &p); err != nil { // it may have been taken away meanwhile
		return err
	}
	rows, err := s.prunePlan(ctx, &p)
	if err != nil {
		return err
	}
	failed := false
	for _, row := range rows {
		op.Logf("%s: %s", row.Volid, row.Mark)
		if row.Mark != string(prune.Removed) {
			continue
		}
		if err := s.Free(ctx, row.Volid); err != nil && !errors.Is(err, storage.ErrNotFound) {
			if ctx.Err() != nil {
				return err
			}
			op.Warnf("%v", err)
			failed = true
		}
	}
	if failed {
		return call.Errorf("error pruning backups - check log")
	}
	return nil
}

// onlyBackupServer is the refusal of what other storages than backup servers cannot do, and this version has no client for.
func (s *Service) onlyBackupServer(ctx context.Context, id, volume string) error {
	c, err := s.Available(ctx, id)
	if err != nil {
		return err
	}
	if c.Type != "pbs" {
		return call.Param("storage", "Only PBS storages supported for file-restore.")
	}
	if err := s.CheckAccess(ctx, c.ID+":"+strings.TrimPrefix(volume, c.ID+":"), 0, string(volid.Backup)); err != nil {
		return err
	}
	return public(errors.ErrUnsupported, "file-restore: this version has no client for Proxmox Backup Servers")
}

// GetNodesStorageFileRestoreList refuses.
func (s *Service) GetNodesStorageFileRestoreList(ctx context.Context, req *schema.GetNodesStorageFileRestoreList) (any, error) {
	return nil, s.onlyBackupServer(ctx, req.Storage, req.Volume)
}

// GetNodesStorageFileRestoreDownload refuses.
func (s *Service) GetNodesStorageFileRestoreDownload(ctx context.Context, req *schema.GetNodesStorageFileRestoreDownload) (any, error) {
	return nil, s.onlyBackupServer(ctx, req.Storage, req.Volume)
}

// GetNodesStorageIdentity refuses: only backup servers have an identity.
func (s *Service) GetNodesStorageIdentity(ctx context.Context, req *schema.GetNodesStorageIdentity) (any, error) {
	if _, err := s.Available(ctx, req.Storage); err != nil {
		return nil, err
	}
	return nil, public(errors.ErrUnsupported, "get_identity not implemented for this plugin")
}

// PostNodesStorageOciRegistryPull refuses: templates of containers have no use here.
func (s *Service) PostNodesStorageOciRegistryPull(ctx context.Context, req *schema.PostNodesStorageOciRegistryPull) (string, error) {
	c, err := s.Available(ctx, req.Storage)
	if err != nil {
		return "", err
	}
	if !c.Holds("vztmpl") {
		return "", call.Errorf("storage '%s' is not configured for content-type 'vztmpl'", c.ID)
	}
	return "", public(errors.ErrUnsupported, "Install 'skopeo' to pull OCI images from registries.")
}
