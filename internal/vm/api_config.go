package vm

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

// texts are the validated parameters of a request as texts; lists of a request become comma lists.
func texts(p schema.Params) map[string]string {
	out := make(map[string]string, len(p))
	for k := range p {
		out[k] = p.String(k)
	}
	return out
}

// GetNodesQemuConfig answers GET /nodes/{node}/qemu/{vmid}/config.
func (s *Service) GetNodesQemuConfig(ctx context.Context, req *schema.GetNodesQemuConfig) (map[string]any, error) {
	if isTrue(req.Current) && req.Snapshot != nil {
		const text = "cannot use 'snapshot' parameter with 'current'"
		return nil, call.ParamErrors{"snapshot": text, "current": text}
	}
	v, err := s.Load(ctx, int(req.Vmid))
	if err != nil {
		return nil, err
	}
	if req.Snapshot == nil {
		return v.Config.View(!isTrue(req.Current)), nil
	}
	view, ok := v.Config.SnapshotView(*req.Snapshot)
	if !ok {
		return nil, call.Errorf("snapshot '%s' does not exist", *req.Snapshot)
	}
	return view, nil
}

// GetNodesQemuPending answers GET /nodes/{node}/qemu/{vmid}/pending.
func (s *Service) GetNodesQemuPending(ctx context.Context, req *schema.GetNodesQemuPending) ([]vmconfig.Row, error) {
	v, err := s.Load(ctx, int(req.Vmid))
	if err != nil {
		return nil, err
	}
	return v.Config.Rows(), nil
}

// PutNodesQemuConfig answers PUT /nodes/{node}/qemu/{vmid}/config: the change is made when it returns.
func (s *Service) PutNodesQemuConfig(ctx context.Context, req *schema.PutNodesQemuConfig) (any, error) {
	p, err := s.checkUpdate(ctx, int(req.Vmid), req.Params)
	if err != nil {
		return nil, err
	}
	return nil, s.setNow(ctx, p)
}

// setNow makes a change in the VM's queue and waits for it.
func (s *Service) setNow(ctx context.Context, p *updateParams) error {
	sp := spec(ctx, opSetSync, p.ID, p)
	sp.Hidden, sp.StartWithin = true, lockTimeout
	if _, err := s.o.Tasks.SubmitWait(ctx, sp); err != nil {
		return s.busy(p.ID, err)
	}
	return s.seen(ctx)
}

// PostNodesQemuConfig answers POST /nodes/{node}/qemu/{vmid}/config: a task, whose end is awaited for background_delay seconds.
func (s *Service) PostNodesQemuConfig(ctx context.Context, req *schema.PostNodesQemuConfig) (any, error) {
	p, err := s.checkUpdate(ctx, int(req.Vmid), req.Params)
	if err != nil {
		return nil, err
	}
	id, err := s.o.Tasks.Submit(ctx, spec(ctx, opConfig, p.ID, p))
	if err != nil {
		return nil, err
	}
	if delay := req.Params.Int("background_delay"); delay > 0 {
		waiting, cancel := context.WithTimeout(ctx, time.Duration(delay)*time.Second)
		defer cancel()
		st, err := s.o.Tasks.Wait(waiting, id)
		switch {
		case err != nil: // not yet
		case st.Exit == "OK":
			return nil, nil
		default:
			return nil, call.Errorf("failed to update VM %d: %s", p.ID, st.Exit)
		}
	}
	return id.String(), nil
}

// checkUpdate makes the checks of a change that are done before it is accepted.
func (s *Service) checkUpdate(ctx context.Context, id int, params schema.Params) (*updateParams, error) {
	skipLock := params.Bool("skiplock")
	if err := rootOnly(ctx, map[string]bool{"skiplock": skipLock}); err != nil {
		return nil, err
	}
	u, err := vmconfig.NewUpdate(texts(params))
	if err != nil {
		return nil, err
	}
	p := &updateParams{ID: id, Update: *u, Digest: params.String("digest"), SkipLock: skipLock}
	v, err := s.Load(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := s.authorize(ctx, v, *u); err != nil {
		return nil, err
	}
	if script, ok := u.Set["hookscript"]; ok { // whether it exists is told only to those who may set it
		if err := s.checkHookscript(ctx, script); err != nil {
			return nil, err
		}
	}
	return p, p.checkState(v)
}

// authorize checks the caller's privileges for a change of the VM as it is now.
func (s *Service) authorize(ctx context.Context, v *VM, u vmconfig.Update) error {
	now := v.Config.Clone()
	u.Set, u.Delete = vmconfig.Section(u.Set).Clone(), slices.Clone(u.Delete)
	fresh := vmconfig.Section(u.Set).Clone()
	u.Resolve(now)
	if err := s.checkChanges(ctx, v.ID, "", u.Changes(now)); err != nil {
		return err
	}
	return s.checkNewDrives(ctx, v, fresh)
}

// checkNewDrives checks the volumes of a change, but for those that the VM has in that slot anyway.
func (s *Service) checkNewDrives(ctx context.Context, v *VM, set map[string]string) error {
	fresh := map[string]string{}
	for key, value := range set {
		d, err := vmconfig.ParseDrive(key, value)
		if old, ok, oldErr := v.Config.Main.Drive(key); err == nil && ok && oldErr == nil && old.File == d.File {
			continue
		}
		fresh[key] = value
	}
	return s.checkDrives(ctx, v.ID, fresh, "")
}

// PutNodesQemuUnlink answers PUT /nodes/{node}/qemu/{vmid}/unlink.
func (s *Service) PutNodesQemuUnlink(ctx context.Context, req *schema.PutNodesQemuUnlink) (any, error) {
	params := schema.Params{"delete": req.Idlist}
	if isTrue(req.Force) {
		params["force"] = true
	}
	p, err := s.checkUpdate(ctx, int(req.Vmid), params)
	if err != nil {
		return nil, err
	}
	return nil, s.setNow(ctx, p)
}

// lockTimeout is how long a synchronous change waits for the operation before it, as Proxmox VE waits for its lock file.
const lockTimeout = 10 * time.Second

// busy gives a change that was not begun in time the text of Proxmox VE.
func (s *Service) busy(id int, err error) error {
	if errors.Is(err, task.ErrWithdrawn) {
		return call.Errorf("can't lock file '/var/lock/qemu-server/lock-%d.conf' - got timeout", id)
	}
	return err
}

// notFoundIf replaces the text of a missing VM by the other one.
func (s *Service) notFoundIf(err error, id int) error {
	if err.Error() == s.missing(id).Error() {
		return s.notFound(id)
	}
	return err
}

func isTrue(b *bool) bool { return b != nil && *b }

func text(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}
