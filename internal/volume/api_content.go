package volume

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// contentRow is a volume in a list. Proxmox VE's schema lacks two members that its answers have.
type contentRow struct {
	schema.GetNodesStorageContentRow
	Content string `json:"content"`
	Subtype string `json:"subtype,omitempty"`
}

// GetNodesStorageContent lists the volumes of a storage that the caller may use.
func (s *Service) GetNodesStorageContent(ctx context.Context, req *schema.GetNodesStorageContent) (any, error) {
	m, err := s.enter(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	rows := []contentRow{}
	for _, c := range m.Contents {
		if req.Content != nil && *req.Content != c || c == string(storage.RootDir) {
			continue // volumes of containers are listed with the images: there are no containers
		}
		filter := storage.Filter{Content: storage.Content(c)}
		if req.Vmid != nil {
			if c == "iso" || c == "vztmpl" {
				continue
			}
			if c == "images" || c == "backup" {
				filter.Owner = int(*req.Vmid)
			}
		}
		volumes, err := s.list(ctx, m, filter)
		if err != nil {
			return nil, err
		}
		for _, v := range volumes {
			name, err := m.storage().Parse(string(v.ID))
			if err == nil && s.mayUse(ctx, m.ID, name, 0) {
				rows = append(rows, m.contentRow(&v, name))
			}
		}
	}
	slices.SortFunc(rows, func(a, b contentRow) int { return strings.Compare(strings.ToLower(a.Volid), strings.ToLower(b.Volid)) })
	return rows, nil
}

func (m *mounted) contentRow(v *storage.Volume, name volid.Volume) contentRow {
	created := v.Created.Unix()
	row := contentRow{Content: string(v.Content)}
	row.Volid, row.Format, row.Size, row.Ctime = m.ID+":"+string(v.ID), string(v.Format), &v.SizeBytes, &created
	if v.Owner != 0 {
		owner := int64(v.Owner)
		row.Vmid = &owner
	}
	switch v.Content {
	case storage.Images:
		row.Used = &v.UsedBytes
		if v.Backing != "" {
			row.Parent = &v.Backing
		}
	case storage.ISO, storage.Template, storage.Snippets:
		row.Format = name.ListFormat()
	case storage.Backup:
		row.Format, row.Subtype = name.ListFormat(), name.BackupGuest()
		if v.Notes != "" {
			row.Notes = &v.Notes
		}
		if v.Protected {
			row.Protected = bit(true)
		}
	}
	return row
}

// volumeParam makes the volume id of a request: VOLNAME or the whole id.
func volumeParam(storageID *string, volume string) (string, error) {
	if !volid.IsID(volume) {
		if storageID == nil || *storageID == "" {
			return "", call.Param("volume", "no storage specified - incomplete volume ID")
		}
		return *storageID + ":" + volume, nil
	}
	id, err := split(volume)
	if err == nil && storageID != nil && *storageID != "" && *storageID != id.Storage {
		err = call.Param("volume", "storage ID mismatch (%s != %s)\n", *storageID, id.Storage)
	}
	return volume, err
}

var diskExt = regexp.MustCompile(`\.(raw|qcow2|vmdk)$`)

// PostNodesStorageContent allocates a disk image of a given name.
func (s *Service) PostNodesStorageContent(ctx context.Context, req *schema.PostNodesStorageContent) (string, error) {
	size, err := allocSize(req.Size)
	if err != nil {
		return "", err
	}
	if ext := diskExt.FindStringSubmatch(req.Filename); ext != nil && req.Format != nil && *req.Format != ext[1] {
		return "", call.Param("format", "different storage formats (%s != %s)", *req.Format, ext[1])
	}
	c, err := s.Available(ctx, req.Storage)
	if err != nil {
		return "", err
	}
	name := volid.Volume{Content: volid.Images, VMID: int(req.Vmid), Name: req.Filename}.VolumeName(c.Type)
	v, err := c.storage().Parse(name)
	switch {
	case err != nil:
		return "", public(err, "%v", err)
	case v.Linked() || v.Name != req.Filename || v.VMID != int(req.Vmid):
		return "", call.Errorf("illegal name '%s' - should be 'vm-%d-*'", req.Filename, req.Vmid)
	case req.Format != nil && v.Format != *req.Format:
		return "", call.Errorf("illegal name '%s' - wrong extension for format ('%s != '%s')", req.Filename, v.Format, *req.Format)
	}
	id := c.ID + ":" + name
	return id, s.Create(ctx, id, size)
}

// allocSize reads N (KiB), NM or NG as bytes.
func allocSize(text string) (int64, error) {
	digits, unit := text, int64(1<<10)
	switch text[max(len(text)-1, 0):] {
	case "M":
		digits, unit = text[:len(text)-1], 1<<20
	case "G":
		digits, unit = text[:len(text)-1], 1<<30
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > (1<<62)/unit {
		return 0, call.Param("size", "value '%s' is out of range", text)
	}
	return n * unit, nil
}

// GetNodesStorageContentVolume answers what is known of one volume.
func (s *Service) GetNodesStorageContentVolume(ctx context.Context, req *schema.GetNodesStorageContentVolume) (schema.GetNodesStorageContentVolumeReply, error) {
	var reply schema.GetNodesStorageContentVolumeReply
	id, err := s.accessible(ctx, req.Storage, req.Volume)
	if err != nil {
		return reply, err
	}
	t, err := s.open(ctx, id)
	if err != nil {
		return reply, err
	}
	v, err := within(ctx, s, func() (storage.Volume, error) { return t.driver.Stat(ctx, t.id) })
	if err != nil {
		if ctx.Err() != nil {
			return reply, err
		}
		return reply, public(err, "volume_size_info on '%s' failed - no format", id)
	}
	if v.SizeBytes == 0 && v.Format != storage.Subvol {
		return reply, call.Errorf("volume '%s' has size zero", id)
	}
	if reply.Path, err = s.Path(ctx, id); err != nil {
		return reply, err
	}
	reply.Size, reply.Used, reply.Format = v.SizeBytes, v.UsedBytes, string(v.Format)
	if v.Notes != "" {
		reply.Notes = &v.Notes
	}
	if v.Protected {
		reply.Protected = bit(true)
	}
	return reply, nil
}

// accessible returns the volume id of a request whose volume the caller may use.
func (s *Service) accessible(ctx context.Context, storageID *string, volume string) (string, error) {
	id, err := volumeParam(storageID, volume)
	if err != nil {
		return "", err
	}
	return id, s.CheckAccess(ctx, id, 0, "")
}

// PutNodesStorageContentVolume sets notes and protection of a backup.
func (s *Service) PutNodesStorageContentVolume(ctx context.Context, req *schema.PutNodesStorageContentVolume) (any, error) {
	id, err := s.accessible(ctx, req.Storage, req.Volume)
	if err != nil {
		return nil, err
	}
	t, err := s.open(ctx, id)
	if err != nil {
		return nil, err
	}
	a, ok := storage.As[storage.Annotator](t.driver)
	switch {
	case !ok && req.Notes != nil:
		return nil, call.Errorf("volume notes are not supported for %s", t.Type)
	case !ok:
		return nil, call.Errorf("attribute 'protected' is not supported for storage type '%s'", t.Type)
	case t.name.Content != volid.Backup && req.Notes != nil:
		return nil, call.Errorf("only backups can have notes")
	case t.name.Content != volid.Backup && req.Protected != nil:
		return nil, call.Errorf("only backups support attribute 'protected'")
	}
	if req.Notes != nil {
		if err := a.SetNotes(ctx, t.id, *req.Notes); err != nil {
			return nil, t.explain(err, "only backups can have notes")
		}
	}
	if req.Protected == nil {
		return nil, nil
	}
	if *req.Protected {
		if err := s.mayProtect(ctx, t); err != nil {
			return nil, err
		}
	}
	return nil, t.explain(a.SetProtected(ctx, t.id, *req.Protected), "only backups support attribute 'protected'")
}

// mayProtect applies the limit of protected backups per guest and kind.
func (s *Service) mayProtect(ctx context.Context, t *target) error {
	limit := 5
	if s.access.Has(ctx, storagePath(t.ID), "Datastore.Allocate") {
		limit = -1
	}
	if n, err := strconv.Atoi(t.Options["max-protected-backups"]); err == nil {
		limit = n
	}
	if limit < 0 || t.name.VMID == 0 {
		return nil
	}
	volumes, err := s.list(ctx, t.mounted, storage.Filter{Content: storage.Backup, Owner: t.name.VMID})
	if err != nil {
		return err
	}
	count := 0
	for _, v := range volumes {
		if v.ID == t.id && v.Protected {
			return nil
		}
		other, err := t.storage().Parse(string(v.ID))
		if err == nil && v.Protected && other.BackupGuest() == t.name.BackupGuest() {
			count++
		}
	}
	if count >= limit {
		return call.Errorf("The number of protected backups per guest is limited to %d on storage '%s'", limit, t.ID)
	}
	return nil
}

// mayDelete is who may remove a volume.
func (s *Service) mayDelete(ctx context.Context, t *target) error {
	if t.name.Content != volid.Backup || t.name.VMID == 0 {
		return s.access.Check(ctx, storagePath(t.ID), "Datastore.Allocate")
	}
	if err := s.access.Check(ctx, storagePath(t.ID), "Datastore.AllocateSpace"); err != nil {
		return err
	}
	return s.access.Check(ctx, fmt.Sprintf("/vms/%d", t.name.VMID), "VM.Backup")
}

// named takes the volume of a request apart without touching its storage.
func (s *Service) named(ctx context.Context, storageID *string, volume string) (*target, error) {
	text, err := volumeParam(storageID, volume)
	if err != nil {
		return nil, err
	}
	id, err := split(text)
	if err != nil {
		return nil, err
	}
	c, err := s.Available(ctx, id.Storage)
	if err != nil {
		return nil, err
	}
	v, err := c.storage().Parse(id.Name)
	if err != nil {
		return nil, public(err, "%v", err)
	}
	return &target{mounted: &mounted{Config: c}, id: storage.VolumeID(id.Name), text: text, name: v}, nil
}

// rootOnly is the refusal of methods that are root's alone.
func rootOnly(ctx context.Context) error {
	if call.From(ctx).IsRoot() {
		return nil
	}
	return call.Status(http.StatusForbidden, "Permission check failed (user != root@pam)")
}
