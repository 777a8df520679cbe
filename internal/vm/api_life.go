package vm

import (
	"context"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/inventory"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

// PostNodesQemu answers POST /nodes/{node}/qemu: creates a VM.
func (s *Service) PostNodesQemu(ctx context.Context, req *schema.PostNodesQemu) (string, error) {
	params := texts(req.Params)
	if _, ok := params["archive"]; ok {
		return "", call.Status(501, "restoring from an archive is not available yet")
	}
	if req.Params.Bool("live-restore") {
		return "", call.Status(501, "starting a guest while its disks are imported is not available yet")
	}
	p := createParams{
		ID: int(req.Params.Int("vmid")), Options: vmconfig.Options(params), Storage: params["storage"], Pool: params["pool"],
		Start: req.Params.Bool("start"), HA: req.Params.Bool("ha-managed"),
	}
	if keys, ok := p.Options["sshkeys"]; ok {
		if err := vmconfig.CheckSSHKeys(keys); err != nil {
			return "", err
		}
	}
	if err := s.checkCreate(ctx, p); err != nil {
		return "", err
	}
	upid, err := s.beginCreate(ctx, p)
	if cluster.ConflictOn(err, inventory.Key(p.ID)) {
		return "", errTaken("create", p.ID, s.node)
	}
	if err != nil {
		return "", err
	}
	return upid, s.seen(ctx)
}

// beginCreate makes the VM exist and submits the task that completes it, in one transaction.
func (s *Service) beginCreate(ctx context.Context, p createParams) (string, error) {
	undo, parts := s.begin(p.ID, lockCreate)
	sp := spec(ctx, opCreate, p.ID, p)
	sp.Undo = append(sp.Undo, undo)
	return s.submit(ctx, sp, parts...)
}

// seen waits until lists show what was just written.
func (s *Service) seen(ctx context.Context) error {
	_, rev, err := s.store.List(ctx, inventory.Prefix+"!")
	if err != nil {
		return err
	}
	return s.o.Inventory.Wait(ctx, rev)
}

// checkCreate makes the checks of a creation that are done before it is accepted, in Proxmox VE's order.
func (s *Service) checkCreate(ctx context.Context, p createParams) error {
	if p.Pool != "" {
		if err := s.poolExists(ctx, p.Pool); err != nil {
			return err
		}
	}
	if p.Storage != "" {
		if err := s.checkAllocate(ctx, p.Storage, "storage"); err != nil {
			return err
		}
	}
	if p.HA {
		if err := s.o.Access.Check(ctx, "/", "Sys.Console"); err != nil {
			return err
		}
	}
	if p.Start {
		if err := s.o.Access.CheckVM(ctx, p.ID, p.Pool, "VM.PowerMgmt"); err != nil {
			return err
		}
	}
	if err := s.o.Access.CheckVM(ctx, p.ID, p.Pool, "VM.Allocate"); err != nil {
		return err
	}
	if err := s.checkDrives(ctx, p.ID, p.Options, p.Storage); err != nil {
		return err
	}
	var changes []vmconfig.Change
	for _, key := range vmconfig.Section(p.Options).Keys() {
		changes = append(changes, vmconfig.Change{Key: key, New: p.Options[key]})
	}
	if err := s.checkChanges(ctx, p.ID, p.Pool, changes); err != nil {
		return err
	}
	if script, ok := p.Options["hookscript"]; ok {
		if err := s.checkHookscript(ctx, script); err != nil {
			return err
		}
	}
	if machine, ok := p.Options["machine"]; ok {
		if err := vmconfig.CheckMachine(machine); err != nil {
			return err
		}
	}
	return nil
}

// DeleteNodesQemuVmid answers DELETE /nodes/{node}/qemu/{vmid}.
func (s *Service) DeleteNodesQemuVmid(ctx context.Context, req *schema.DeleteNodesQemuVmid) (string, error) {
	p := destroyParams{ID: int(req.Vmid), Unreferenced: isTrue(req.DestroyUnreferencedDisks), Purge: isTrue(req.Purge), SkipLock: isTrue(req.Skiplock)}
	if err := rootOnly(ctx, map[string]bool{"skiplock": p.SkipLock}); err != nil {
		return "", err
	}
	v, err := s.Load(ctx, p.ID)
	if err != nil {
		return "", err
	}
	if err := s.checkDestroy(v); err != nil {
		return "", err
	}
	return s.submit(ctx, spec(ctx, opDestroy, p.ID, p))
}

// PutNodesQemuResize answers PUT /nodes/{node}/qemu/{vmid}/resize.
func (s *Service) PutNodesQemuResize(ctx context.Context, req *schema.PutNodesQemuResize) (string, error) {
	p := resizeParams{ID: int(req.Vmid), Disk: req.Disk, Size: req.Size, Digest: text(req.Digest), SkipLock: isTrue(req.Skiplock)}
	if err := rootOnly(ctx, map[string]bool{"skiplock": p.SkipLock}); err != nil {
		return "", err
	}
	v, err := s.Load(ctx, p.ID)
	if err != nil {
		return "", err
	}
	if err := s.checkResize(ctx, v, p.Disk); err != nil {
		return "", err
	}
	return s.submit(ctx, spec(ctx, opResize, p.ID, p))
}

// PostNodesQemuClone answers POST /nodes/{node}/qemu/{vmid}/clone.
func (s *Service) PostNodesQemuClone(ctx context.Context, req *schema.PostNodesQemuClone) (string, error) {
	if t := text(req.Target); t != "" && t != s.node {
		return "", call.Errorf("no such cluster node '%s'", t)
	}
	v, err := s.Load(ctx, int(req.Vmid))
	if err != nil {
		return "", s.notFoundIf(err, int(req.Vmid))
	}
	p := cloneParams{
		ID: v.ID, NewID: int(req.Newid), Full: !v.Config.Main.Bool("template", false), Storage: text(req.Storage), Format: text(req.Format),
		Snapshot: text(req.Snapname), Name: text(req.Name), Description: req.Description, Pool: text(req.Pool), Running: s.guest(v.ID) != nil,
	}
	if req.Full != nil {
		p.Full = *req.Full
	}
	if err := s.checkCloneCall(ctx, v, p); err != nil {
		return "", err
	}
	if p.BWLimit, err = s.o.Volumes.BWLimit(ctx, "clone", p.storages(v), req.Bwlimit); err != nil {
		return "", err
	}
	undo, parts := s.begin(p.NewID, lockClone)
	sp := spec(ctx, opClone, p.ID, p)
	sp.Undo = append(sp.Undo, undo)
	upid, err := s.submit(ctx, sp, parts...)
	if cluster.ConflictOn(err, inventory.Key(p.NewID)) {
		return "", call.Errorf("unable to create VM %d: config file already exists", p.NewID)
	}
	if err != nil {
		return "", err
	}
	return upid, s.seen(ctx)
}

// checkCloneCall makes all checks of a clone, in Proxmox VE's order.
func (s *Service) checkCloneCall(ctx context.Context, v *VM, p cloneParams) error {
	if p.Pool != "" {
		if err := s.poolExists(ctx, p.Pool); err != nil {
			return err
		}
	}
	if p.Storage != "" {
		if err := s.checkAllocate(ctx, p.Storage, "storage"); err != nil {
			return err
		}
	}
	if err := s.checkClone(ctx, v, p); err != nil {
		return err
	}
	return s.checkCloneRights(ctx, v, p)
}

// PostNodesQemuTemplate answers POST /nodes/{node}/qemu/{vmid}/template.
func (s *Service) PostNodesQemuTemplate(ctx context.Context, req *schema.PostNodesQemuTemplate) (string, error) {
	p := templateParams{ID: int(req.Vmid), Disk: text(req.Disk)}
	v, err := s.Load(ctx, p.ID)
	if err != nil {
		return "", err
	}
	if err := s.checkTemplate(v, p.Disk); err != nil {
		return "", err
	}
	return s.submit(ctx, spec(ctx, opTemplate, p.ID, p))
}
