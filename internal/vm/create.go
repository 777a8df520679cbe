package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/inventory"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

// createParams are the parameters of the operation qmcreate.
type createParams struct {
	ID      int
	Options map[string]string // validated; drives still as requested
	Storage string            `json:",omitempty"` // default for new volumes
	Pool    string            `json:",omitempty"`
	Start   bool              `json:",omitempty"`
}

// errTaken is the refusal of an id that is in use.
func errTaken(what string, id int, node string) error {
	return call.Errorf("unable to %s VM %d - VM %d already exists on node '%s'", what, id, id, node)
}

// begin are the parts of a transaction that makes a VM exist, locked until the operation that is committed with them has
// made it complete, and the undo of that.
func (s *Service) begin(id int, lock string) (undo task.StepSpec, parts []cluster.Part) {
	cfg := vmconfig.New()
	cfg.Main["lock"] = lock
	return task.StepSpec{Kind: stepConfig, Data: id}, []cluster.Part{
		cluster.If(cluster.Absent(inventory.Key(id))),
		cluster.Put(inventory.Key(id), inventory.Encode(s.node, cfg.String())),
	}
}

// undoConfig removes a VM that an operation began and did not complete.
func (s *Service) undoConfig(ctx context.Context, op *task.Op, data json.RawMessage) error {
	var id int
	if err := json.Unmarshal(data, &id); err != nil {
		return err
	}
	kv, err := s.store.Get(ctx, inventory.Key(id))
	if errors.Is(err, cluster.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	v, err := s.Load(ctx, id)
	if err != nil {
		return err
	}
	if lock := v.Config.Main["lock"]; lock != lockCreate && lock != lockClone {
		return nil // complete after all
	}
	v.Rev = kv.ModRev
	return op.Commit(ctx, v.Remove()...)
}

// runCreate makes the volumes of a new VM and completes its configuration in one write.
func (s *Service) runCreate(ctx context.Context, op *task.Op) error {
	var p createParams
	if err := op.Decode(&p); err != nil {
		return err
	}
	if err := s.create(ctx, op, p); err != nil {
		return fmt.Errorf("unable to create VM %d - %w", p.ID, err)
	}
	if p.Start {
		op.Logf("Execute autostart")
		if _, err := s.submit(ctx, spec(ctx, opStart, p.ID, startParams{ID: p.ID})); err != nil {
			op.Warnf("autostart: %v", err)
		}
	}
	return nil
}

func (s *Service) create(ctx context.Context, op *task.Op, p createParams) error {
	v, err := s.Load(ctx, p.ID)
	if err != nil {
		return err
	}
	options := vmconfig.Section(p.Options).Clone()
	v.Config.Main = options // what the drives' volumes depend on: bios, arch
	for _, key := range slices.Sorted(slices.Values(vmconfig.DriveKeys())) {
		d, ok, err := options.Drive(key)
		if !ok {
			continue
		}
		if err != nil {
			return call.Param(key, "unable to parse drive options")
		}
		delete(options, key) // a request is no drive yet: it must not count as attached
		if d, err = s.makeDrive(ctx, op, v, d, p.Storage); err != nil {
			return err
		}
		options[key] = d.String()
	}
	main, log, err := vmconfig.NewMain(options, s.defaults(ctx))
	if err != nil {
		return err
	}
	for _, line := range log {
		op.Logf("%s", line)
	}
	v.Config.Main = main
	parts := v.Parts()
	if p.Pool != "" {
		more, err := s.o.Access.AddGuestParts(ctx, p.Pool, p.ID)
		if err != nil {
			return err
		}
		parts = append(parts, more...)
	}
	if main.Bool("template", false) {
		if err := op.Commit(ctx, parts...); err != nil {
			return err
		}
		return s.freeze(ctx, op, p.ID)
	}
	return op.Finish(ctx, parts...)
}
