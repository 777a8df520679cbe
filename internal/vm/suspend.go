package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/qmp/machine"
	"github.com/turtacn/go-proxmox/storage"
)

// runningKeys are the options that say what a suspended VM was running as, beside its saved state.
var runningKeys = []string{"runningmachine", "runningcpu", "running-nets-host-mtu"}

// suspended reports whether the VM goes on from saved state when it is started.
func (v *VM) suspended() bool { return v.Config.Main.Has("vmstate") }

// suspendParams are the parameters of the operation qmsuspend.
type suspendParams struct {
	ID       int
	Storage  string // of the state
	SkipLock bool   `json:",omitempty"`
}

// suspension is the step of a suspension: a volume for the state, noted in the configuration, and a guest that stands still.
type suspension struct {
	ID     int
	Volume string
	Paused bool `json:",omitempty"` // the guest stood still before
}

// runSuspend saves the guest's memory and the state of its devices, and ends its process. Until the state is complete the
// suspension can be undone; then the VM is locked as suspended, and what is left is to end the process.
func (s *Service) runSuspend(ctx context.Context, op *task.Op) error {
	var p suspendParams
	if err := op.Decode(&p); err != nil {
		return err
	}
	done, _, err := progressOf(op)
	if err != nil {
		return err
	}
	v, err := s.Load(ctx, p.ID)
	if err != nil {
		return err
	}
	g, err := s.find(ctx, p.ID)
	if err != nil {
		return err
	}
	if !done.Saved {
		if v.Config.Main["lock"] == lockSuspending && v.suspended() {
			return task.ErrInterrupted // by a restart, while the state was written
		}
		if err := s.checkSuspend(v, g, p.SkipLock); err != nil {
			return err
		}
		if err := s.saveGuest(ctx, op, v, g, p.Storage); err != nil {
			return err
		}
	}
	// What is saved must not run on, whoever cancels.
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
	defer cancel()
	return s.endSaved(ending, op, p.ID, g)
}

// endSaved ends the process of a suspended VM, or cleans up behind it.
func (s *Service) endSaved(ctx context.Context, op *task.Op, id int, g *guest) error {
	if g == nil {
		return s.cleanUp(ctx, op, id)
	}
	return s.end(ctx, op, g, func(ctx context.Context) error {
		return g.proc.Stop(ctx, &machine.LadderOptions{OnRung: rungs(op)})
	})
}

func (s *Service) checkSuspend(v *VM, g *guest, skipLock bool) error {
	if v.Config.Main["lock"] == lockBackup {
		return call.Errorf("cannot suspend to disk during backup")
	}
	if !skipLock {
		if err := v.checkLock(); err != nil {
			return err
		}
	}
	if g == nil {
		return call.Errorf("VM %d not running", v.ID)
	}
	return checkSavable(v.Config.Main)
}

// checkSavable refuses devices whose state QEMU cannot save.
func checkSavable(main vmconfig.Section) error {
	found := map[string]bool{}
	for key := range main {
		switch {
		case key == "amd-sev", key == "intel-tdx":
			found[key] = true
		case strings.HasPrefix(key, "virtiofs"):
			found["virtiofs"] = true
		case strings.HasPrefix(key, "hostpci"):
			return call.Errorf("cannot suspend VM to disk due to passed-through PCI device(s), which lack the possibility to save/restore their internal state")
		}
	}
	var names []string
	for _, name := range []string{"amd-sev", "intel-tdx", "virtiofs"} {
		if found[name] {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		return call.Errorf("Cannot live-migrate, snapshot (with RAM), or hibernate a VM with: %s", strings.Join(names, ", "))
	}
	return nil
}

// saveGuest writes the guest's state into a new volume and locks the VM as suspended.
func (s *Service) saveGuest(ctx context.Context, op *task.Op, v *VM, g *guest, storageID string) error {
	cfg, err := s.o.Volumes.Available(ctx, storageID)
	if err != nil {
		return err
	}
	st := cfg.Volid()
	volume := storageID + ":" + st.StateName(v.ID, "suspend-"+s.o.Clock().Format(time.DateOnly))
	if _, err := s.o.Volumes.Stat(ctx, volume); err == nil { // it would be removed with a failure
		return call.Errorf("volume '%s' already exists", volume)
	}
	c, err := g.proc.Client(ctx)
	if err != nil {
		return err
	}
	typ, err := machineType(ctx, c)
	if err != nil {
		return err
	}
	h, main := g.holds(), v.Config.Main
	main["vmstate"], main["lock"] = volume, lockSuspending
	main["runningmachine"], main["runningcpu"] = typ, h.CPU
	if h.MTUs != "" {
		main["running-nets-host-mtu"] = h.MTUs
	}
	step := suspension{ID: v.ID, Volume: volume, Paused: askState(ctx, c, "running") != "running"}
	if err := op.Step(ctx, stepSuspend, step, v.Parts()...); err != nil {
		return err
	}
	if err := s.o.Volumes.Create(ctx, volume, stateSize(main)); err != nil {
		return err
	}
	f, err := s.openState(ctx, volume, true)
	if err != nil {
		return err
	}
	if err := errors.Join(g.saveState(ctx, op, f), f.Sync(), f.Close()); err != nil {
		return err
	}
	s.o.FailPoint("saved")
	op.Logf("State saved, quitting")
	if v, err = s.Load(ctx, v.ID); err != nil {
		return err
	}
	v.Config.Main["lock"] = lockSuspended
	return save(ctx, op, func(p *progress) { p.Saved = true }, v.Parts()...) // from here on it is only completed
}

// stateSize is the room for a guest's state in bytes: twice its memory and half a gigabyte for its devices.
func stateSize(main vmconfig.Section) int64 {
	memory := vmconfig.DefaultMemoryMiB
	if m, err := vmconfig.ParseMemory(main["memory"]); err == nil && main.Has("memory") {
		memory = m.CurrentMiB
	}
	return int64(2*memory+500) << 20
}

// undoSuspend lets the guest of a suspension that was broken off go on and frees the state. The lock stays, as a sign that
// something went wrong. One whose state is complete cannot be undone: its process is ended.
func (s *Service) undoSuspend(ctx context.Context, op *task.Op, data json.RawMessage) error {
	var step suspension
	if err := json.Unmarshal(data, &step); err != nil {
		return err
	}
	v, err := s.Load(ctx, step.ID)
	if err != nil {
		return err
	}
	g, err := s.find(ctx, step.ID)
	if err != nil {
		return err
	}
	if v.Config.Main["vmstate"] == step.Volume {
		if v.Config.Main["lock"] == lockSuspended {
			return s.endSaved(ctx, op, step.ID, g)
		}
		if g != nil {
			if err := g.cancelSave(ctx, !step.Paused); err != nil {
				op.Logf("WARN: let the guest go on: %v", err)
			}
		}
		for _, key := range append([]string{"vmstate"}, runningKeys...) {
			delete(v.Config.Main, key)
		}
		if err := op.Commit(ctx, v.Parts()...); err != nil {
			return err
		}
	}
	if err := s.o.Volumes.Free(ctx, step.Volume); !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	return nil
}

// stateStorage picks the storage for a VM's saved state: the given one, the one that is configured, one that the VM has disks
// on (a shared one first, then one with folders), else the storage local.
func (s *Service) stateStorage(ctx context.Context, v *VM, given string) (string, error) {
	if given != "" {
		return given, nil
	}
	if id := v.Config.Main["vmstatestorage"]; id != "" {
		return id, nil
	}
	best, rank := "local", 0
	for _, d := range v.Config.Main.Drives() {
		id, _, ok := vmconfig.SplitVolumeID(d.File)
		if !ok || d.IsCDROM() {
			continue
		}
		cfg, err := s.o.Volumes.Storage(ctx, id)
		if err != nil || !slices.Contains(cfg.Contents, "images") {
			continue
		}
		n := 1
		switch {
		case cfg.Shared:
			n = 3
		case cfg.Path() != "":
			n = 2
		}
		if n > rank {
			best, rank = id, n
		}
	}
	if _, err := s.o.Volumes.Storage(ctx, best); err != nil {
		return "", fmt.Errorf("storage for the state: %w", err)
	}
	return best, nil
}
