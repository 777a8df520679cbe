package proxmoxapi

import (
	"context"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// Tasks is the subtree /nodes/{node}/tasks, and the list of the cluster's tasks.
type Tasks interface {
	GetNodesTasks(ctx context.Context, req *schema.GetNodesTasks) (call.List, error)
	GetNodesTasksUpid(ctx context.Context, req *schema.GetNodesTasksUpid) ([]map[string]string, error)
	// DeleteNodesTasksUpid stops a task; its answer is null.
	DeleteNodesTasksUpid(ctx context.Context, req *schema.DeleteNodesTasksUpid) (any, error)
	// GetNodesTasksLog answers a call.List of lines, or a *call.Download.
	GetNodesTasksLog(ctx context.Context, req *schema.GetNodesTasksLog) (any, error)
	GetNodesTasksStatus(ctx context.Context, req *schema.GetNodesTasksStatus) (map[string]any, error)
	// GetClusterTasks answers a list of rows.
	GetClusterTasks(ctx context.Context, req *schema.GetClusterTasks) (any, error)
}

// RegisterTasks makes t answer its methods.
func RegisterTasks(r *Registry, t Tasks) {
	Handle(r, t.GetNodesTasks)
	Handle(r, t.GetNodesTasksUpid)
	Handle(r, t.DeleteNodesTasksUpid)
	Handle(r, t.GetNodesTasksLog)
	Handle(r, t.GetNodesTasksStatus)
	Handle(r, t.GetClusterTasks)
}
