package proxmoxapi

import (
	"context"

	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// Disks is the subtree /nodes/{node}/disks. Methods that return a string start a task and return its UPID.
type Disks interface {
	GetNodesDisks(context.Context, *schema.GetNodesDisks) (any, error)
	GetNodesDisksList(context.Context, *schema.GetNodesDisksList) (any, error)
	GetNodesDisksSmart(context.Context, *schema.GetNodesDisksSmart) (any, error)
	PostNodesDisksInitgpt(context.Context, *schema.PostNodesDisksInitgpt) (string, error)
	PutNodesDisksWipedisk(context.Context, *schema.PutNodesDisksWipedisk) (string, error)

	GetNodesDisksDirectory(context.Context, *schema.GetNodesDisksDirectory) ([]schema.GetNodesDisksDirectoryRow, error)
	PostNodesDisksDirectory(context.Context, *schema.PostNodesDisksDirectory) (string, error)
	DeleteNodesDisksDirectoryName(context.Context, *schema.DeleteNodesDisksDirectoryName) (string, error)

	GetNodesDisksLvm(context.Context, *schema.GetNodesDisksLvm) (any, error)
	PostNodesDisksLvm(context.Context, *schema.PostNodesDisksLvm) (string, error)
	DeleteNodesDisksLvmName(context.Context, *schema.DeleteNodesDisksLvmName) (string, error)

	GetNodesDisksLvmthin(context.Context, *schema.GetNodesDisksLvmthin) (any, error)
	PostNodesDisksLvmthin(context.Context, *schema.PostNodesDisksLvmthin) (string, error)
	DeleteNodesDisksLvmthinName(context.Context, *schema.DeleteNodesDisksLvmthinName) (string, error)

	GetNodesDisksZfs(context.Context, *schema.GetNodesDisksZfs) ([]schema.GetNodesDisksZfsRow, error)
	PostNodesDisksZfs(context.Context, *schema.PostNodesDisksZfs) (string, error)
	GetNodesDisksZfsName(context.Context, *schema.GetNodesDisksZfsName) (any, error)
	DeleteNodesDisksZfsName(context.Context, *schema.DeleteNodesDisksZfsName) (string, error)
}

// RegisterDisks registers the methods of d.
func RegisterDisks(r *Registry, d Disks) {
	Handle(r, d.GetNodesDisks)
	Handle(r, d.GetNodesDisksList)
	Handle(r, d.GetNodesDisksSmart)
	Handle(r, d.PostNodesDisksInitgpt)
	Handle(r, d.PutNodesDisksWipedisk)
	Handle(r, d.GetNodesDisksDirectory)
	Handle(r, d.PostNodesDisksDirectory)
	Handle(r, d.DeleteNodesDisksDirectoryName)
	Handle(r, d.GetNodesDisksLvm)
	Handle(r, d.PostNodesDisksLvm)
	Handle(r, d.DeleteNodesDisksLvmName)
	Handle(r, d.GetNodesDisksLvmthin)
	Handle(r, d.PostNodesDisksLvmthin)
	Handle(r, d.DeleteNodesDisksLvmthinName)
	Handle(r, d.GetNodesDisksZfs)
	Handle(r, d.PostNodesDisksZfs)
	Handle(r, d.GetNodesDisksZfsName)
	Handle(r, d.DeleteNodesDisksZfsName)
}
