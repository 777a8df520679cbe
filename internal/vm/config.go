package vm

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/storage"
)

// updateParams are the parameters of the operations qmconfig and qmset.
type updateParams struct {
	ID       int
	Update   vmconfig.Update
	Digest   string `json:",omitempty"`
	SkipLock bool   `json:",omitempty"`
}

// checkDigest refuses a change of a configuration that is not the one the caller has seen.
func (v *VM) checkDigest(digest string) error {
	if digest != "" && digest != v.Config.Digest {
		return call.Errorf("checksum mismatch (file change by other user?)")
	}
	return nil
}

// checkState makes the checks of a change that depend on what the VM is now: they are done before it is accepted, and again
// in its turn.
func (p *updateParams) checkState(v *VM) error {
	if err := v.checkDigest(p.Digest); err != nil {
		return err
	}
	if p.SkipLock {
		return nil
	}
	if slices.Contains(p.Update.Delete, "vmstate") { // gives up what the guest was suspended to
		return v.checkLock(lockSuspended)
	}
	return v.checkLock()
}

// runConfig changes a VM's configuration: all changes go to the pending section first, with the volumes they ask for made
// at once; then what can take effect does. A change that is refused refuses all; one that cannot take effect stays pending.
func (s *Service) runConfig(ctx context.Context, op *task.Op) error {
	var p updateParams
	if err := op.Decode(&p); err != nil {
		return err
	}
	v, err := s.Load(ctx, p.ID)
	if err != nil {
		return err
	}
	u := &p.Update
	op.Logf("update VM %d: %s", p.ID, u.Line())
	if err := s.authorize(ctx, v, *u); err != nil { // it may have been taken away meanwhile
		return err
	}
	if err := p.checkState(v); err != nil {
		return err
	}
	u.Resolve(v.Config)
	log, err := u.Prepare(v.Config, s.defaults(ctx))
	if err != nil {
		return err
	}
	for _, line := range log {
		op.Logf("%s", line)
	}
	named := map[string]bool{}
	for _, ch := range u.Changes(v.Config) {
		named[ch.Key] = true
		if err := s.stage(ctx, op, v, ch); err != nil {
			return err
		}
	}
	if named["balloon"] || named["memory"] {
		if err := checkBalloon(v.Config); err != nil {
			return err
		}
	}
	v.Config.CleanPending()
	return s.settle(ctx, op, v, func(key string) bool { return named[key] })
}

// checkBalloon checks that the balloon leaves no more than the memory that the VM will have.
func checkBalloon(c *vmconfig.Config) error {
	coming := func(key, def string) string {
		if value, ok := c.Pending[key]; ok {
			return value
		}
		if _, goes := c.Deletes()[key]; goes {
			return def
		}
		return c.Main.Text(key, def)
	}
	return vmconfig.CheckBalloon(coming("balloon", "0"), coming("memory", strconv.Itoa(vmconfig.DefaultMemoryMiB)))
}

// settle lets pending changes take effect as far as they can: all of a stopped VM's, of a running one those that are
// named, and stores the result. Changes that fail stay pending; their errors come together, by option.
func (s *Service) settle(ctx context.Context, op *task.Op, v *VM, named func(string) bool) error {
	problems := call.ParamErrors{}
	if g := s.guest(v.ID); g != nil {
		s.applyRunning(ctx, op, v, g, named, problems)
	} else {
		s.applyStopped(ctx, op, v, problems)
	}
	if err := s.commit(ctx, op, v); err != nil {
		return err
	}
	if len(problems) > 0 {
		return problems // the configuration is stored as it says: undoVolume spares what it refers to
	}
	return nil
}

// commit stores the configuration in the running operation, reads its new revision, and frees what it does not need now.
func (s *Service) commit(ctx context.Context, op *task.Op, v *VM) error {
	parts, err := v.Write()
	if err != nil {
		return err
	}
	if err := op.Commit(ctx, parts...); err != nil {
		return err
	}
	stored, err := s.Load(ctx, v.ID)
	if err != nil {
		return err
	}
	v.Rev, v.Config.Digest = stored.Rev, stored.Config.Digest
	for _, volid := range v.doomed {
		if err := s.o.Volumes.Free(ctx, volid); err != nil && !errors.Is(err, storage.ErrNotFound) {
			op.Warnf("Could not remove disk '%s', check manually: %v", volid, err)
		}
	}
	v.doomed = nil
	return nil
}
