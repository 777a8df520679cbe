package vm

import (
	"context"
	"errors"
	"fmt"

	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/internal/vm/machineconf"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// startParams are the parameters of the operation qmstart.
type startParams struct {
	ID       int
	SkipLock bool `json:",omitempty"`
	Timeout  int  `json:",omitempty"` // seconds; 0: by the VM's size
}

// runStart starts a VM's process. Everything that is taken for it is noted first, and given back if anything fails. After a
// restart of the daemon in between it goes on: a process that came up in the meantime is adopted.
func (s *Service) runStart(ctx context.Context, op *task.Op) error {
	var p startParams
	if err := op.Decode(&p); err != nil {
		return err
	}
	return s.start(ctx, op, p)
}

func (s *Service) start(ctx context.Context, op *task.Op, p startParams) error {
	v, err := s.Load(ctx, p.ID)
	if err != nil {
		return err
	}
	if err := s.freeDoomed(ctx, op, v); err != nil {
		return err
	}
	g, err := s.find(ctx, p.ID)
	if err != nil {
		return err
	}
	if g != nil && g.holds().Start == op.UPID().String() { // it came up before the restart
		if !v.suspended() {
			return s.goOn(ctx, op, v, g)
		}
		g = nil // how much of its memory was loaded nobody knows: it is started anew
	}
	if g != nil && v.Config.Main["lock"] == lockBackup {
		return g.command(ctx, "cont", nil) // started by the backup, and stopped until now
	}
	if err := s.checkStart(v, g, p.SkipLock); err != nil {
		return err
	}
	if err := s.clearLeftovers(ctx, op, v); err != nil {
		return err
	}
	if err := s.prepareConfig(ctx, op, v); err != nil {
		return err
	}
	if err := s.hook(ctx, op, v, phasePreStart); err != nil {
		return err
	}
	s.o.FailPoint("pre-start")
	result, err := s.translate(ctx, v)
	if err != nil {
		return err
	}
	for _, w := range result.Warnings {
		op.Logf("WARN: %s", w)
	}
	h, err := s.take(ctx, op, v, result)
	if err != nil {
		return err
	}
	s.o.FailPoint("taken")
	proc, err := s.launch(ctx, op, v, h, result, p.Timeout)
	if err != nil {
		return err
	}
	s.o.FailPoint("launched")
	up := *h
	up.Started = s.o.Clock().Unix()
	g = s.adopt(&up, proc, "running")
	s.limitCPU(op, v, g)
	if v.suspended() {
		if err := s.resumeState(ctx, op, v, g, result.State); err != nil {
			return err
		}
	}
	return s.started(ctx, op, v, g, result)
}

func (s *Service) checkStart(v *VM, g *guest, skipLock bool) error {
	if v.Config.Main.Bool("template", false) {
		return call.Errorf("you can't start a vm if it's a template")
	}
	if !skipLock {
		if err := v.checkLock(lockSuspended); err != nil {
			return err
		}
	}
	if g != nil {
		return call.Errorf("VM %d already running", v.ID)
	}
	return nil
}

// clearLeftovers lets go what an earlier process held whose clean-up has not come to its end.
func (s *Service) clearLeftovers(ctx context.Context, op *task.Op, v *VM) error {
	h, err := s.hold(ctx, v.ID)
	if err != nil || h == nil {
		return err
	}
	if err := s.letGo(ctx, h); err != nil {
		return err
	}
	parts, err := s.drop(ctx, v.ID, h.Start)
	if err != nil {
		return err
	}
	return op.Commit(ctx, parts...)
}

// prepareConfig brings the configuration into the state that is started: pending changes applied, unless a suspended VM
// goes on as what it was, and the cloud-init medium made.
func (s *Service) prepareConfig(ctx context.Context, op *task.Op, v *VM) error {
	if v.suspended() {
		op.Logf("Resuming suspended VM")
	} else if err := s.applyBeforeStart(ctx, op, v); err != nil {
		return err
	}
	if v.Config.Main.HasCloudInit() {
		op.Logf("generating cloud-init ISO")
		return s.makeMedium(ctx, op, v)
	}
	return nil
}

func (s *Service) applyBeforeStart(ctx context.Context, op *task.Op, v *VM) error {
	left := false
	for _, key := range runningKeys {
		if v.Config.Main.Has(key) {
			op.Logf("No VM state set, removing left-over option '%s'", key)
			delete(v.Config.Main, key)
			left = true
		}
	}
	if !left && !v.Config.HasPending() {
		return nil
	}
	problems, err := s.applyPending(ctx, op, v)
	if err == nil && len(problems) > 0 {
		return problems
	}
	return err
}

// translate turns the configuration into a machine for this host. A suspended one stays the machine that it was.
func (s *Service) translate(ctx context.Context, v *VM) (*machineconf.Result, error) {
	storages, err := s.vols.locations(ctx)
	if err != nil {
		return nil, err
	}
	in := &machineconf.Input{
		VMID: v.ID, Config: v.Config.Main, Host: s.o.Host.Facts(), Storages: storages, Profile: machineconf.Launch, RunDir: s.runDir(v.ID),
		MACPrefix: s.o.Settings.MACPrefix(ctx), Random: s.o.Random,
	}
	if v.suspended() {
		in.Forced = machineconf.ForcedOf(v.Config.Main)
	}
	result, err := machineconf.Translate(in)
	if err != nil {
		return nil, publicError(err)
	}
	switch {
	case len(result.Folders) > 0:
		return nil, call.Errorf("folders of the host cannot be shared on this node yet")
	case len(result.PCI) > 0:
		return nil, call.Errorf("PCI devices cannot be passed through on this node yet")
	}
	return result, nil
}

// publicError marks an error of the configuration as one for the user's eyes.
func publicError(err error) error {
	if _, ok := errors.AsType[*call.Error](err); ok {
		return err
	}
	return &call.Error{Status: 500, Text: err.Error(), Err: err}
}

// goOn ends a start whose process came up before the daemon ended, at whatever point that was.
func (s *Service) goOn(ctx context.Context, op *task.Op, v *VM, g *guest) error {
	result, err := s.translate(ctx, v)
	if err != nil {
		return err
	}
	s.limitCPU(op, v, g)
	c, err := g.proc.Client(ctx)
	if err != nil {
		return err
	}
	if askState(ctx, c, "running") == "paused" { // its saved state was loaded, and it was about to go on
		if err := g.command(ctx, "cont", nil); err != nil {
			return err
		}
	}
	return s.started(ctx, op, v, g, result)
}

// statsInterval is how often, in seconds, the balloon driver reports what the guest makes of its memory.
const statsInterval = 10

// started does what is left when QEMU answers, and ends the operation.
func (s *Service) started(ctx context.Context, op *task.Op, v *VM, g *guest, r *machineconf.Result) error {
	for _, nic := range r.LinkDown {
		if err := g.do(ctx, "set_link", map[string]any{"name": nic, "up": false}, nil); err != nil {
			return fmt.Errorf("switch the link of %s off: %w", nic, err)
		}
	}
	if r.BalloonMiB > 0 {
		if err := g.do(ctx, "balloon", map[string]any{"value": int64(r.BalloonMiB) << 20}, nil); err != nil {
			op.Logf("WARN: balloon: %v", err)
		}
	}
	if _, ok := r.Machine.Find(balloonDevice); ok {
		args := map[string]any{"path": balloonPath, "property": "guest-stats-polling-interval", "value": statsInterval}
		if err := g.do(ctx, "qom-set", args, nil); err != nil {
			op.Logf("WARN: figures of the balloon: %v", err)
		}
	}
	s.tryHook(ctx, op, v, phasePostStart)
	return op.Finish(ctx, g.holds().part(&s.Repository))
}
