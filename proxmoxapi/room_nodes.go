package proxmoxapi

import (
	"context"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/proxmoxapi/upid"
)

// Nodes is what concerns a node itself, and /version.
type Nodes interface {
	GetVersion(context.Context, *schema.GetVersion) (any, error)
	GetNodes(context.Context, *schema.GetNodes) (any, error)
	GetNodesStatus(context.Context, *schema.GetNodesStatus) (any, error)
	PostNodesStatus(context.Context, *schema.PostNodesStatus) (any, error)
	GetNodesVersion(context.Context, *schema.GetNodesVersion) (any, error)
	GetNodesTime(context.Context, *schema.GetNodesTime) (*schema.GetNodesTimeReply, error)
	PutNodesTime(context.Context, *schema.PutNodesTime) (any, error)
	GetNodesDns(context.Context, *schema.GetNodesDns) (*schema.GetNodesDnsReply, error)
	PutNodesDns(context.Context, *schema.PutNodesDns) (any, error)
}

// RegisterNodes registers the methods of n.
func RegisterNodes(r *Registry, n Nodes) {
	Handle(r, n.GetVersion)
	Handle(r, n.GetNodes)
	Handle(r, n.GetNodesStatus)
	Handle(r, n.PostNodesStatus)
	Handle(r, n.GetNodesVersion)
	Handle(r, n.GetNodesTime)
	Handle(r, n.PutNodesTime)
	Handle(r, n.GetNodesDns)
	Handle(r, n.PutNodesDns)
}

// HostNetwork is /nodes/{node}/network.
type HostNetwork interface {
	GetNodesNetwork(context.Context, *schema.GetNodesNetwork) (call.Changes, error)
	PostNodesNetwork(context.Context, *schema.PostNodesNetwork) (any, error)
	PutNodesNetwork(context.Context, *schema.PutNodesNetwork) (upid.UPID, error)
	DeleteNodesNetwork(context.Context, *schema.DeleteNodesNetwork) (any, error)
	GetNodesNetworkIface(context.Context, *schema.GetNodesNetworkIface) (any, error)
	PutNodesNetworkIface(context.Context, *schema.PutNodesNetworkIface) (any, error)
	DeleteNodesNetworkIface(context.Context, *schema.DeleteNodesNetworkIface) (any, error)
}

// RegisterHostNetwork registers the methods of n.
func RegisterHostNetwork(r *Registry, n HostNetwork) {
	Handle(r, n.GetNodesNetwork)
	Handle(r, n.PostNodesNetwork)
	Handle(r, n.PutNodesNetwork)
	Handle(r, n.DeleteNodesNetwork)
	Handle(r, n.GetNodesNetworkIface)
	Handle(r, n.PutNodesNetworkIface)
	Handle(r, n.DeleteNodesNetworkIface)
}

// Datacenter is what concerns the cluster as a whole, and /pools.
type Datacenter interface {
	GetClusterResources(context.Context, *schema.GetClusterResources) (any, error)
	GetClusterNextid(context.Context, *schema.GetClusterNextid) (string, error)
	GetClusterStatus(context.Context, *schema.GetClusterStatus) ([]schema.GetClusterStatusRow, error)
	GetClusterLog(context.Context, *schema.GetClusterLog) (any, error)
	GetClusterOptions(context.Context, *schema.GetClusterOptions) (map[string]any, error)
	PutClusterOptions(context.Context, *schema.PutClusterOptions) (any, error)

	GetPools(context.Context, *schema.GetPools) (any, error)
	PostPools(context.Context, *schema.PostPools) (any, error)
	PutPools(context.Context, *schema.PutPools) (any, error)
	DeletePools(context.Context, *schema.DeletePools) (any, error)
	GetPoolsPoolid(context.Context, *schema.GetPoolsPoolid) (any, error)
	PutPoolsPoolid(context.Context, *schema.PutPoolsPoolid) (any, error)
	DeletePoolsPoolid(context.Context, *schema.DeletePoolsPoolid) (any, error)
}

// RegisterDatacenter registers the methods of d.
func RegisterDatacenter(r *Registry, d Datacenter) {
	Handle(r, d.GetClusterResources)
	Handle(r, d.GetClusterNextid)
	Handle(r, d.GetClusterStatus)
	Handle(r, d.GetClusterLog)
	Handle(r, d.GetClusterOptions)
	Handle(r, d.PutClusterOptions)
	Handle(r, d.GetPools)
	Handle(r, d.PostPools)
	Handle(r, d.PutPools)
	Handle(r, d.DeletePools)
	Handle(r, d.GetPoolsPoolid)
	Handle(r, d.PutPoolsPoolid)
	Handle(r, d.DeletePoolsPoolid)
}
