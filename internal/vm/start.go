package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/internal/vm/machineconf"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/qmp/machine"
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
	v, err := s.Load(ctx, p.ID)
	if err != nil {
		return err
	}
	if g := s.guest(p.ID); g != nil && g.holds().Start == op.UPID().String() {
		return s.started(ctx, op, g, nil) // it came up before the restart
	}
	if err := s.checkStart(v, p.SkipLock); err != nil {
		return err
	}
	if v.Config.HasPending() {
		problems := call.ParamErrors{}
		s.applyStopped(ctx, op, v, problems)
		if err := s.commit(ctx, op, v); err != nil {
			return err
		}
		if len(problems) > 0 {
			return problems
		}
	}
	if v.Config.Main.HasCloudInit() {
		op.Logf("generating cloud-init ISO")
		if err := s.makeMedium(ctx, op, v); err != nil {
			return err
		}
	}
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
	proc, err := s.launch(ctx, op, v, h, result, p.Timeout)
	if err != nil {
		return err
	}
	up := *h
	up.Started = s.o.Clock().Unix()
	return s.started(ctx, op, s.adopt(&up, proc, "running"), result)
}

func (s *Service) checkStart(v *VM, skipLock bool) error {
	if v.Config.Main.Bool("template", false) {
		return call.Errorf("you can't start a vm if it's a template")
	}
	if !skipLock {
		if err := v.checkLock(lockSuspended); err != nil {
			return err
		}
	}
	if s.guest(v.ID) != nil {
		return call.Errorf("VM %d already running", v.ID)
	}
	return nil
}

// translate turns the configuration into a machine for this host.
func (s *Service) translate(ctx context.Context, v *VM) (*machineconf.Result, error) {
	storages, err := s.vols.locations(ctx)
	if err != nil {
		return nil, err
	}
	result, err := machineconf.Translate(&machineconf.Input{
		VMID: v.ID, Config: v.Config.Main, Host: s.o.Host.Facts(), Storages: storages, Profile: machineconf.Launch, RunDir: s.guestDir(v.ID),
		MACPrefix: s.o.Settings.MACPrefix(ctx), Random: s.o.Random,
	})
	if err != nil {
		return nil, publicError(err)
	}
	switch {
	case result.TPM != nil:
		return nil, call.Errorf("a TPM cannot be emulated on this node yet")
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

// take notes what the process will hold, then takes it: volumes for its user, ports on their bridges.
func (s *Service) take(ctx context.Context, op *task.Op, v *VM, r *machineconf.Result) (*Hold, error) {
	uid, err := s.pickUID(ctx, v.ID)
	if err != nil {
		return nil, err
	}
	h := &Hold{Version: 1, ID: v.ID, Start: op.UPID().String(), UID: uid, Machine: r.Machine.Board.Type}
	for _, p := range r.Ports {
		h.Ports = append(h.Ports, p.Name)
	}
	for _, u := range r.Volumes {
		if isVolume(u.ID) {
			h.Volumes = append(h.Volumes, u.ID)
		}
	}
	if err := op.Step(ctx, stepHold, h, h.part(&s.Repository)); err != nil {
		return nil, err
	}
	if err := s.makeRunDir(h); err != nil {
		return nil, err
	}
	for _, u := range r.Volumes {
		if !slices.Contains(h.Volumes, u.ID) {
			continue
		}
		if _, err := s.o.Volumes.Attach(ctx, u.ID, uid, u.ReadOnly || u.CDROM); err != nil {
			return nil, fmt.Errorf("%s: %w", u.Key, err)
		}
	}
	for _, p := range r.Ports {
		if err := s.o.Network.CreatePort(ctx, port(p, uid)); err != nil {
			return nil, err
		}
	}
	for _, c := range r.Copies {
		if err := copyFile(c.From, c.To, uid); err != nil {
			return nil, err
		}
	}
	return h, nil
}

func (s *Service) makeRunDir(h *Hold) error {
	if err := os.MkdirAll(s.o.RunDir, 0o711); err != nil {
		return err
	}
	if err := os.MkdirAll(s.runDir(h.ID), 0o711); err != nil {
		return err
	}
	dir := s.guestDir(h.ID)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.Chown(dir, h.UID, -1)
}

func copyFile(from, to string, uid int) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Chown(uid, -1), dst.Close())
}

// undoHold gives back what a start has taken that did not come to its end.
func (s *Service) undoHold(ctx context.Context, op *task.Op, data json.RawMessage) error {
	var h Hold
	if err := json.Unmarshal(data, &h); err != nil {
		return err
	}
	if g := s.guest(h.ID); g != nil && g.holds().Start == h.Start {
		g.setQuiet(true) // this is its clean-up
	}
	if err := s.letGo(ctx, &h); err != nil {
		return err
	}
	return op.Commit(ctx, cluster.Delete(s.holdKey(h.ID)))
}

// launch starts QEMU and waits until it answers.
func (s *Service) launch(ctx context.Context, op *task.Op, v *VM, h *Hold, r *machineconf.Result, timeout int) (*machine.Process, error) {
	limit := startTimeout(v.Config.Main, len(r.Ports))
	if timeout > 0 {
		limit = time.Duration(timeout) * time.Second
	}
	files, err := s.openTaps(ctx, r, h.UID, machine.FirstFile)
	if err != nil {
		return nil, err
	}
	defer closeAll(files)
	proc, err := machine.Start(ctx, &machine.StartOptions{
		Files:  files,
		Binary: r.Program, Args: r.Machine.Args(), RunDir: s.runDir(v.ID), Name: "vm-" + fmt.Sprint(v.ID), UID: h.UID, GID: h.UID,
		Groups: s.o.Host.Groups(r.KVM), Cgroup: filepath.Join("gpve", fmt.Sprintf("%d.scope", v.ID)), Sandbox: true,
		ReadyTimeout: limit, Logger: s.o.Logger,
	})
	if err == nil {
		return proc, nil
	}
	if e, ok := errors.AsType[*machine.StartError](err); ok {
		for line := range strings.Lines(e.Stderr) {
			op.Logf("QEMU: %s", strings.TrimSpace(line))
		}
		if e.Err == nil {
			return nil, call.Errorf("start failed: QEMU exited with code %d", e.ExitCode)
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, call.Errorf("start failed: QEMU did not answer within %v: got timeout", limit)
	}
	return nil, fmt.Errorf("start failed: %w", err)
}

// startTimeout is how long a start may take: guests with much memory or hugepages need longer.
func startTimeout(main vmconfig.Section, nics int) time.Duration {
	seconds := 30
	if m, err := vmconfig.ParseMemory(main["memory"]); err == nil && m.CurrentMiB > 30720 {
		seconds = m.CurrentMiB / 1024
	}
	if main.Has("hugepages") {
		seconds = max(seconds, 150)
	}
	return time.Duration(seconds+5*nics) * time.Second
}

// started does what is left when QEMU answers, and ends the operation.
func (s *Service) started(ctx context.Context, op *task.Op, g *guest, r *machineconf.Result) error {
	if r != nil {
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
	}
	return op.Finish(ctx, g.holds().part(&s.Repository))
}
