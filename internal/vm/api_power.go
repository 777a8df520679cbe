package vm

import (
	"context"
	"strconv"

	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

func intOf(p *int64) int {
	if p == nil {
		return 0
	}
	return int(*p)
}

// PostNodesQemuStatusStart answers POST …/status/start. That the VM exists, is unlocked and does not run is for the task.
func (s *Service) PostNodesQemuStatusStart(ctx context.Context, req *schema.PostNodesQemuStatusStart) (string, error) {
	err := rootOnly(ctx, map[string]bool{
		"stateuri": req.Stateuri != nil, "skiplock": isTrue(req.Skiplock), "migratedfrom": req.Migratedfrom != nil,
		"migration_type": req.MigrationType != nil, "migration_network": req.MigrationNetwork != nil, "targetstorage": req.Targetstorage != nil,
		"force-cpu": req.ForceCpu != nil, "with-conntrack-state": isTrue(req.WithConntrackState), "nets-host-mtu": req.NetsHostMtu != nil,
	})
	if err != nil {
		return "", err
	}
	if req.Stateuri != nil || req.Migratedfrom != nil {
		return "", call.Status(501, "starting for an incoming migration is not available yet")
	}
	p := startParams{ID: int(req.Vmid), SkipLock: isTrue(req.Skiplock), Timeout: intOf(req.Timeout)}
	return s.submit(ctx, spec(ctx, opStart, p.ID, p))
}

// power submits an operation that ends, pauses or resets a guest. Whether the VM is locked is for the task.
func (s *Service) power(ctx context.Context, typ string, p powerParams) (string, error) {
	if err := rootOnly(ctx, map[string]bool{"skiplock": p.SkipLock}); err != nil {
		return "", err
	}
	return s.submit(ctx, spec(ctx, typ, p.ID, p))
}

// mustRun refuses a VM that does not run; one that is not there is told by the other text.
func (s *Service) mustRun(ctx context.Context, id int) (*guest, error) {
	if _, err := s.Load(ctx, id); err != nil {
		return nil, s.notFoundIf(err, id)
	}
	g := s.guest(id)
	if g == nil {
		return nil, call.Errorf("VM %d not running", id)
	}
	return g, nil
}

// PostNodesQemuStatusStop answers POST …/status/stop.
func (s *Service) PostNodesQemuStatusStop(ctx context.Context, req *schema.PostNodesQemuStatusStop) (string, error) {
	if err := rootOnly(ctx, map[string]bool{"keepActive": isTrue(req.KeepActive), "migratedfrom": req.Migratedfrom != nil}); err != nil {
		return "", err
	}
	p := powerParams{ID: int(req.Vmid), SkipLock: isTrue(req.Skiplock), Timeout: intOf(req.Timeout)}
	if err := rootOnly(ctx, map[string]bool{"skiplock": p.SkipLock}); err != nil {
		return "", err
	}
	if isTrue(req.OverruleShutdown) {
		p.Overruled = s.overrule(ctx, p.ID)
	}
	return s.power(ctx, opStop, p)
}

// overrule aborts the shutdowns of the VM that are under way and that the caller may abort, and returns them.
func (s *Service) overrule(ctx context.Context, id int) (aborted []string) {
	rows, _ := s.o.Tasks.List(task.Filter{Active: true, Type: opShutdown, ID: strconv.Itoa(id), Limit: -1})
	for _, r := range rows {
		if r.UPID.User != caller(ctx) && !s.o.Access.Can(ctx, "/nodes/"+s.node, "Sys.Modify") {
			continue
		}
		if err := s.o.Tasks.Cancel(ctx, r.UPID); err != nil {
			s.o.Logger.Warn("overrule a shutdown", "vmid", id, "err", err)
			continue
		}
		aborted = append(aborted, r.UPID.String())
	}
	return aborted
}

// PostNodesQemuStatusShutdown answers POST …/status/shutdown.
func (s *Service) PostNodesQemuStatusShutdown(ctx context.Context, req *schema.PostNodesQemuStatusShutdown) (string, error) {
	if err := rootOnly(ctx, map[string]bool{"keepActive": isTrue(req.KeepActive)}); err != nil {
		return "", err
	}
	p := powerParams{ID: int(req.Vmid), SkipLock: isTrue(req.Skiplock), Timeout: intOf(req.Timeout), ForceStop: isTrue(req.ForceStop)}
	if g := s.guest(p.ID); g != nil && g.asleep(ctx) {
		if !p.ForceStop {
			return "", call.Errorf("VM is paused - cannot shutdown")
		}
		p.Asleep = true
	}
	return s.power(ctx, opShutdown, p)
}

// PostNodesQemuStatusReset answers POST …/status/reset.
func (s *Service) PostNodesQemuStatusReset(ctx context.Context, req *schema.PostNodesQemuStatusReset) (string, error) {
	if _, err := s.mustRun(ctx, int(req.Vmid)); err != nil {
		return "", err
	}
	return s.power(ctx, opReset, powerParams{ID: int(req.Vmid), SkipLock: isTrue(req.Skiplock)})
}

// PostNodesQemuStatusReboot answers POST …/status/reboot.
func (s *Service) PostNodesQemuStatusReboot(ctx context.Context, req *schema.PostNodesQemuStatusReboot) (string, error) {
	g, err := s.mustRun(ctx, int(req.Vmid))
	if err != nil {
		return "", err
	}
	if g.asleep(ctx) {
		return "", call.Errorf("VM is paused - cannot shutdown")
	}
	return s.power(ctx, opReboot, powerParams{ID: g.id, Timeout: intOf(req.Timeout)})
}

// PostNodesQemuStatusSuspend answers POST …/status/suspend: a pause, or with todisk a suspension.
func (s *Service) PostNodesQemuStatusSuspend(ctx context.Context, req *schema.PostNodesQemuStatusSuspend) (string, error) {
	g, err := s.mustRun(ctx, int(req.Vmid))
	if err != nil {
		return "", err
	}
	skip := isTrue(req.Skiplock)
	if !isTrue(req.Todisk) {
		return s.power(ctx, opPause, powerParams{ID: g.id, SkipLock: skip})
	}
	if err := rootOnly(ctx, map[string]bool{"skiplock": skip}); err != nil {
		return "", err
	}
	v, err := s.Load(ctx, g.id)
	if err != nil {
		return "", err
	}
	if err := s.o.Access.CheckVM(ctx, v.ID, "", "VM.Config.Disk"); err != nil {
		return "", err
	}
	if err := checkSavable(v.Config.Main); err != nil {
		return "", err
	}
	storageID, err := s.stateStorage(ctx, v, text(req.Statestorage))
	if err != nil {
		return "", err
	}
	if err := s.checkAllocate(ctx, storageID, "statestorage"); err != nil {
		return "", err
	}
	return s.submit(ctx, spec(ctx, opSuspend, v.ID, suspendParams{ID: v.ID, Storage: storageID, SkipLock: skip}))
}

// PostNodesQemuStatusResume answers POST …/status/resume: of a paused guest, or of one that is suspended to disk.
func (s *Service) PostNodesQemuStatusResume(ctx context.Context, req *schema.PostNodesQemuStatusResume) (string, error) {
	if err := rootOnly(ctx, map[string]bool{"nocheck": isTrue(req.Nocheck)}); err != nil {
		return "", err
	}
	id := int(req.Vmid)
	v, err := s.Load(ctx, id)
	if err != nil {
		return "", s.notFoundIf(err, id)
	}
	if v.Config.Main["lock"] != lockSuspended {
		if _, err := s.mustRun(ctx, id); err != nil {
			return "", err
		}
	}
	return s.power(ctx, opResume, powerParams{ID: id, SkipLock: isTrue(req.Skiplock)})
}
