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
	// Volume must be there when the update is made: it was given to this VM by an operation that a restart may have undone
	// in the meantime.
	Volume string `json:",omitempty"`
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

// updateState is what an update saves. That of a running VM, once it is stored as pending, goes on with it after a restart.
type updateState struct {
	Staged bool     `json:",omitempty"` // false: volumes are being made, nothing is stored
	Named  []string `json:",omitempty"` // options that it is about
	Doomed []string `json:",omitempty"` // volumes that the stored configuration has let go
}

// runConfig changes a VM's configuration: all changes go to the pending section first, with the volumes they ask for made
// at once; then what can take effect does. A change that is refused refuses all; one that cannot take effect stays pending.
//
// After a restart, one that was not stored is undone. One of a running VM that was stored goes on: some of it may have
// taken effect on the machine already.
func (s *Service) runConfig(ctx context.Context, op *task.Op) error {
	var p updateParams
	if err := op.Decode(&p); err != nil {
		return err
	}
	v, err := s.Load(ctx, p.ID)
	if err != nil {
		return err
	}
	var state updateState
	begun, err := op.Load(&state)
	switch {
	case err != nil:
		return err
	case state.Staged:
		v.resumed, v.update, v.doomed = true, &state, state.Doomed
		return s.settle(ctx, op, v, state.Named)
	case begun:
		return task.ErrInterrupted
	}
	if p.Volume != "" {
		if _, err := s.o.Volumes.Stat(ctx, p.Volume); err != nil {
			return err
		}
	}
	named, err := s.stageAll(ctx, op, v, &p)
	if err != nil {
		return err
	}
	if s.guest(v.ID) != nil {
		v.update = &updateState{Staged: true, Named: named}
		if err := s.commit(ctx, op, v); err != nil {
			return err
		}
		s.o.FailPoint("staged")
	}
	return s.settle(ctx, op, v, named)
}

// stageAll puts all changes into the pending section and returns the options that they are about.
func (s *Service) stageAll(ctx context.Context, op *task.Op, v *VM, p *updateParams) (named []string, err error) {
	u := &p.Update
	op.Logf("update VM %d: %s", p.ID, u.Line())
	if err := s.authorize(ctx, v, *u); err != nil { // it may have been taken away meanwhile
		return nil, err
	}
	if err := p.checkState(v); err != nil {
		return nil, err
	}
	u.Resolve(v.Config)
	log, err := u.Prepare(v.Config, s.defaults(ctx))
	if err != nil {
		return nil, err
	}
	for _, line := range log {
		op.Logf("%s", line)
	}
	changes := u.Changes(v.Config)
	if slices.ContainsFunc(changes, concernsVolume) {
		if err := op.Save(ctx, updateState{}); err != nil {
			return nil, err
		}
	}
	for _, ch := range changes {
		named = append(named, ch.Key)
		if err := s.stage(ctx, op, v, ch); err != nil {
			return nil, err
		}
	}
	if slices.Contains(named, "balloon") || slices.Contains(named, "memory") {
		if err := checkBalloon(v.Config); err != nil {
			return nil, err
		}
	}
	v.Config.CleanPending()
	return named, nil
}

// concernsVolume reports whether a change may make or free a volume.
func concernsVolume(ch vmconfig.Change) bool {
	return vmconfig.IsDrive(ch.Key) || vmconfig.IsUnused(ch.Key) || ch.Key == "vmstate"
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
func (s *Service) settle(ctx context.Context, op *task.Op, v *VM, named []string) error {
	problems := call.ParamErrors{}
	if g := s.guest(v.ID); g != nil {
		if err := s.applyRunning(ctx, op, v, g, named, problems); err != nil {
			return err
		}
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
	if v.update != nil {
		v.update.Doomed = v.doomed
		err = op.Save(ctx, v.update, parts...)
	} else {
		err = op.Commit(ctx, parts...)
	}
	if err != nil {
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
