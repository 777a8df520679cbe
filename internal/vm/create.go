package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/access"
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
	HA      bool              `json:",omitempty"` // wanted as an HA resource
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
	v, err := s.Load(ctx, id)
	if errors.Is(err, cluster.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if lock := v.Config.Main["lock"]; lock != lockCreate && lock != lockClone {
		return nil // complete after all
	}
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
		if _, err := s.submit(ctx, spec(ctx, opStart, p.ID, startParams{ID: p.ID})); err != nil {
			s.o.Logger.Error("autostart of a new guest", "vmid", p.ID, "err", err)
		}
	}
	return nil
}

func (s *Service) create(ctx context.Context, op *task.Op, p createParams) error {
	if err := s.checkCreate(ctx, p); err != nil { // a privilege may have been taken away meanwhile
		return err
	}
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
	parts, err := v.Write()
	if err != nil {
		return err
	}
	if p.HA {
		op.Logf("WARN: Add as HA resource: this node has no HA manager")
	}
	if p.Start {
		op.Logf("Execute autostart")
	}
	return s.finishIn(ctx, op, p.Pool, p.ID, parts)
}

// finishIn ends an operation that has made a VM, and puts the VM into a pool in the same commit, if one is given.
func (s *Service) finishIn(ctx context.Context, op *task.Op, pool string, id int, parts []cluster.Part) error {
	if pool == "" {
		return op.Finish(ctx, parts...)
	}
	return s.finishWith(ctx, op, parts, func() ([]cluster.Part, error) { return s.o.Access.AddGuestParts(ctx, pool, id) })
}

// finishWith ends an operation with a change of user.cfg in the same commit. If others change it at the same time, it is
// tried again on what they made of it: one of all who try always gets through.
func (s *Service) finishWith(ctx context.Context, op *task.Op, parts []cluster.Part, users func() ([]cluster.Part, error)) error {
	for {
		more, err := users()
		if err != nil {
			return err
		}
		err = op.Finish(ctx, append(slices.Clone(parts), more...)...)
		if !cluster.ConflictOn(err, access.UserKey) || ctx.Err() != nil {
			return err
		}
	}
}
