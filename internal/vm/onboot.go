package vm

import (
	"context"

	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

// defaultPause follows the start of a guest whose option says nothing else.
const defaultPause = 3 // seconds

// startup reads a guest's option startup; one that cannot be read says nothing.
func startup(text string) vmconfig.Startup {
	if st, err := vmconfig.ParseStartup(text); err == nil {
		return st
	}
	return vmconfig.Startup{}
}

// StartOnBoot submits the task that starts the guests with onboot=1 in their order, after what a backup has left behind is
// removed. It is for the start of the node, not for every start of the daemon. Once it is submitted it survives the daemon.
func (s *Service) StartOnBoot(ctx context.Context) error {
	_, err := s.o.Tasks.Submit(ctx, task.Spec{Type: opStartAll, User: call.Root, Queue: bulkQueue, Params: bulkParams{Boot: true}})
	return err
}
