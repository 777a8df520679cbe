package vm

import (
	"context"
	"errors"
	"strconv"

	"github.com/turtacn/go-proxmox/internal/pveconf"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// checkBulk checks the caller's privileges for an operation on many guests: on the root of all paths, or on each guest that
// is named.
func (s *Service) checkBulk(ctx context.Context, vms []int, privs ...string) error {
	each := len(vms) > 0
	for _, id := range vms {
		each = each && s.o.Access.CheckVM(ctx, id, "", "VM.PowerMgmt") == nil
	}
	if each {
		return nil
	}
	return s.o.Access.Check(ctx, "/", privs...)
}

// vmList reads the parameter vms; nil if it is not given.
func vmList(given *string) []int {
	if given == nil {
		return nil
	}
	ids := []int{}
	for _, text := range pveconf.SplitList(*given) {
		if id, err := strconv.Atoi(text); err == nil { // the format was checked
			ids = append(ids, id)
		}
	}
	return ids
}

func (s *Service) submitBulk(ctx context.Context, typ string, p bulkParams, privs ...string) (string, error) {
	if err := s.checkBulk(ctx, p.VMs, privs...); err != nil {
		return "", err
	}
	return s.submit(ctx, task.Spec{Type: typ, User: caller(ctx), Queue: bulkQueue, Params: p})
}

// PostNodesStartall answers POST /nodes/{node}/startall.
func (s *Service) PostNodesStartall(ctx context.Context, req *schema.PostNodesStartall) (string, error) {
	p := bulkParams{VMs: vmList(req.Vms), Force: isTrue(req.Force), Workers: intOf(req.MaxWorkers)}
	return s.submitBulk(ctx, opStartAll, p, "VM.PowerMgmt")
}

// PostNodesStopall answers POST /nodes/{node}/stopall.
func (s *Service) PostNodesStopall(ctx context.Context, req *schema.PostNodesStopall) (string, error) {
	p := bulkParams{
		VMs: vmList(req.Vms), Workers: intOf(req.MaxWorkers),
		ForceStop: req.ForceStop == nil || *req.ForceStop, Timeout: 180,
	}
	if req.Timeout != nil {
		p.Timeout = int(*req.Timeout)
	}
	return s.submitBulk(ctx, opStopAll, p, "VM.PowerMgmt")
}

// PostNodesSuspendall answers POST /nodes/{node}/suspendall.
func (s *Service) PostNodesSuspendall(ctx context.Context, req *schema.PostNodesSuspendall) (string, error) {
	p := bulkParams{VMs: vmList(req.Vms), Workers: intOf(req.MaxWorkers)}
	id, err := s.submitBulk(ctx, opSuspendAll, p, "VM.PowerMgmt", "VM.Config.Disk")
	if e, ok := errors.AsType[*call.Error](err); ok && e.Status == 403 {
		return "", call.Forbidden("/, VM.PowerMgmt && VM.Config.Disk")
	}
	return id, err
}
