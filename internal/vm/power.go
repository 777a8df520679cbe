package vm

import (
	"context"

	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// runReset is the reset button.
func (s *Service) runReset(ctx context.Context, op *task.Op) error {
	return s.command(ctx, op, "system_reset")
}

// runPause stops the guest's processors.
func (s *Service) runPause(ctx context.Context, op *task.Op) error {
	return s.command(ctx, op, "stop", lockBackup)
}

// command sends a QMP command to a guest that must run.
func (s *Service) command(ctx context.Context, op *task.Op, name string, harmless ...string) error {
	v, g, p, err := s.runningGuest(ctx, op)
	if err != nil {
		return err
	}
	if !p.SkipLock {
		if err := v.checkLock(harmless...); err != nil {
			return err
		}
	}
	if g == nil {
		return call.Errorf("VM %d not running", p.ID)
	}
	return g.command(ctx, name, nil)
}

// runResume lets a paused guest go on, wakes a sleeping one, resets one that has shut down, and starts one that is
// suspended to disk.
func (s *Service) runResume(ctx context.Context, op *task.Op) error {
	v, g, p, err := s.runningGuest(ctx, op)
	switch {
	case err != nil:
		return err
	case v.Config.Main["lock"] == lockSuspended || g != nil && g.holds().Start == op.UPID().String():
		return s.start(ctx, op, startParams{ID: p.ID, SkipLock: p.SkipLock})
	case v.Config.Main.Bool("template", false):
		return call.Errorf("VM %d is a template and cannot be resumed!", p.ID)
	case g == nil:
		return call.Errorf("VM %d not running", p.ID)
	}
	c, err := g.proc.Client(ctx)
	if err != nil {
		return err
	}
	state := askState(ctx, c, g.runState())
	if state == "running" {
		return nil
	}
	if !p.SkipLock {
		if err := v.checkLock(lockBackup); err != nil {
			return err
		}
	}
	switch state {
	case "suspended":
		return g.command(ctx, "system_wakeup", nil)
	case "shutdown":
		if err := g.command(ctx, "system_reset", nil); err != nil {
			return err
		}
	}
	return g.command(ctx, "cont", nil)
}
