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

// power makes the checks that the methods below share and submits the operation.
func (s *Service) power(ctx context.Context, typ string, p powerParams, harmless ...string) (string, error) {
	if err := rootOnly(ctx, map[string]bool{"skiplock": p.SkipLock}); err != nil {
		return "", err
	}
	v, err := s.Load(ctx, p.ID)
	if err != nil {
		return "", err
	}
	if !p.SkipLock {
		if err := v.checkLock(harmless...); err != nil {
			return "", err
		}
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

// asleep reports whether a guest is in a state in which it cannot shut down.
func (g *guest) asleep() bool {
	switch g.runState() {
	case "paused", "prelaunch", "suspended":
		return true
	}
	return false
}

// PostNodesQemuStatusStop answers POST …/status/stop.
func (s *Service) PostNodesQemuStatusStop(ctx context.Context, req *schema.PostNodesQemuStatusStop) (string, error) {
	if err := rootOnly(ctx, map[string]bool{"keepActive": isTrue(req.KeepActive), "migratedfrom": req.Migratedfrom != nil}); err != nil {
		return "", err
	}
	id := int(req.Vmid)
	if isTrue(req.OverruleShutdown) {
		s.overrule(ctx, id)
	}
	return s.power(ctx, opStop, powerParams{ID: id, SkipLock: isTrue(req.Skiplock), Timeout: intOf(req.Timeout)})
}

// overrule aborts shutdowns of the VM that are under way and that the caller may abort.
func (s *Service) overrule(ctx context.Context, id int) {
	rows, _ := s.o.Tasks.List(task.Filter{Active: true, Type: opShutdown, ID: strconv.Itoa(id), Limit: -1})
	for _, r := range rows {
		if r.UPID.User == caller(ctx) || s.o.Access.Can(ctx, "/nodes/"+s.node, "Sys.Modify") {
			if err := s.o.Tasks.Cancel(ctx, r.UPID); err != nil {
				s.o.Logger.Warn("overrule a shutdown", "vmid", id, "err", err)
			}
		}
	}
}

// PostNodesQemuStatusShutdown answers POST …/status/shutdown.
func (s *Service) PostNodesQemuStatusShutdown(ctx context.Context, req *schema.PostNodesQemuStatusShutdown) (string, error) {
	if err := rootOnly(ctx, map[string]bool{"keepActive": isTrue(req.KeepActive)}); err != nil {
		return "", err
	}
	p := powerParams{ID: int(req.Vmid), SkipLock: isTrue(req.Skiplock), Timeout: intOf(req.Timeout), ForceStop: isTrue(req.ForceStop)}
	if g := s.guest(p.ID); g != nil && g.asleep() {
		if !p.ForceStop {
			return "", call.Errorf("VM is paused - cannot shutdown")
		}
		return s.power(ctx, opStop, p)
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
	if g.asleep() {
		return "", call.Errorf("VM is paused - cannot shutdown")
	}
	return s.power(ctx, opReboot, powerParams{ID: g.id, Timeout: intOf(req.Timeout)})
}

// PostNodesQemuStatusSuspend answers POST …/status/suspend.
func (s *Service) PostNodesQemuStatusSuspend(ctx context.Context, req *schema.PostNodesQemuStatusSuspend) (string, error) {
	g, err := s.mustRun(ctx, int(req.Vmid))
	if err != nil {
		return "", err
	}
	if isTrue(req.Todisk) {
		return "", call.Status(501, "suspending to disk is not available yet")
	}
	return s.power(ctx, opPause, powerParams{ID: g.id, SkipLock: isTrue(req.Skiplock)}, lockBackup)
}

// PostNodesQemuStatusResume answers POST …/status/resume.
func (s *Service) PostNodesQemuStatusResume(ctx context.Context, req *schema.PostNodesQemuStatusResume) (string, error) {
	if err := rootOnly(ctx, map[string]bool{"nocheck": isTrue(req.Nocheck)}); err != nil {
		return "", err
	}
	g, err := s.mustRun(ctx, int(req.Vmid))
	if err != nil {
		return "", err
	}
	return s.power(ctx, opResume, powerParams{ID: g.id, SkipLock: isTrue(req.Skiplock)}, lockBackup)
}
