package volume

import (
	"context"
	"net/http"
	"path"
	"strconv"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// CheckAccess reports whether the caller may use a volume, for the guest vmid (0: for none). want is the content that it
// must have, empty for any. The first rule that matches decides; the error is public, 403 for a missing privilege.
func (s *Service) CheckAccess(ctx context.Context, volume string, vmid int, want string) error {
	if !volid.IsID(volume) {
		if call.From(ctx).IsRoot() {
			return nil
		}
		return call.Status(http.StatusForbidden, "Only root can pass arbitrary filesystem paths.")
	}
	id, err := split(volume)
	if err != nil {
		return err
	}
	c, err := s.Storage(ctx, id.Storage)
	if err != nil {
		return err
	}
	v, err := c.storage().Parse(id.Name)
	if err != nil {
		return public(err, "%v", err)
	}
	if want != "" && want != string(v.Content) && (want != string(volid.Rootdir) || v.Content != volid.Images) {
		return call.Errorf("unable to use volume %s - content type needs to be '%s'", volume, want)
	}
	if s.mayUse(ctx, id.Storage, v, vmid) {
		return nil
	}
	return call.Status(http.StatusForbidden, "missing privileges to access %s", volume)
}

func (s *Service) mayUse(ctx context.Context, storageID string, v volid.Volume, vmid int) bool {
	onStorage := func(priv string) bool { return s.access.Has(ctx, storagePath(storageID), priv) }
	onOwner := func(priv string) bool { return s.access.Has(ctx, "/vms/"+strconv.Itoa(v.VMID), priv) }
	switch {
	case onStorage("Datastore.Allocate"):
		return true
	case v.Content == volid.ISO, v.Content == volid.VZTmpl, v.Content == volid.Import:
		return onStorage("Datastore.AllocateSpace") || onStorage("Datastore.Audit")
	case v.VMID == 0:
		return false
	case v.VMID == vmid:
		return true
	case v.Content == volid.Backup:
		return onStorage("Datastore.AllocateSpace") && onOwner("VM.Backup")
	case v.Content == volid.Images:
		return onStorage("Datastore.Audit") && onOwner("VM.Config.Disk")
	}
	return false
}

func storagePath(id string) string { return path.Join("/storage", id) }
