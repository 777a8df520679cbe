package proxmoxapi

import (
	"context"

	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// Storage is the subtree /storage, and /nodes/{node}/storage without metrics, downloads, pruning and file restore. Answers
// that Proxmox VE's schema does not describe in full are maps or any.
type Storage interface {
	GetStorage(context.Context, *schema.GetStorage) ([]map[string]any, error)
	PostStorage(context.Context, *schema.PostStorage) (schema.PostStorageReply, error)
	GetStorageStorage(context.Context, *schema.GetStorageStorage) (map[string]any, error)
	PutStorageStorage(context.Context, *schema.PutStorageStorage) (schema.PutStorageStorageReply, error)
	DeleteStorageStorage(context.Context, *schema.DeleteStorageStorage) (any, error)

	GetNodesStorage(context.Context, *schema.GetNodesStorage) ([]schema.GetNodesStorageRow, error)
	GetNodesStorageStorage(context.Context, *schema.GetNodesStorageStorage) ([]schema.GetNodesStorageStorageRow, error)
	GetNodesStorageStatus(context.Context, *schema.GetNodesStorageStatus) (schema.GetNodesStorageStatusReply, error)

	GetNodesStorageContent(context.Context, *schema.GetNodesStorageContent) (any, error)
	PostNodesStorageContent(context.Context, *schema.PostNodesStorageContent) (string, error)
	GetNodesStorageContentVolume(context.Context, *schema.GetNodesStorageContentVolume) (schema.GetNodesStorageContentVolumeReply, error)
	PutNodesStorageContentVolume(context.Context, *schema.PutNodesStorageContentVolume) (any, error)
	// DeleteNodesStorageContentVolume answers the UPID of its task, or null if the task ended within the delay.
	DeleteNodesStorageContentVolume(context.Context, *schema.DeleteNodesStorageContentVolume) (any, error)
	// PostNodesStorageContentVolume and PostNodesStorageUpload answer the UPID of their task.
	PostNodesStorageContentVolume(context.Context, *schema.PostNodesStorageContentVolume) (string, error)
	// PostNodesStorageUpload reads the file from call.UploadFrom.
	PostNodesStorageUpload(context.Context, *schema.PostNodesStorageUpload) (string, error)
}

// RegisterStorage makes s answer its methods.
func RegisterStorage(r *Registry, s Storage) {
	Handle(r, s.GetStorage)
	Handle(r, s.PostStorage)
	Handle(r, s.GetStorageStorage)
	Handle(r, s.PutStorageStorage)
	Handle(r, s.DeleteStorageStorage)
	Handle(r, s.GetNodesStorage)
	Handle(r, s.GetNodesStorageStorage)
	Handle(r, s.GetNodesStorageStatus)
	Handle(r, s.GetNodesStorageContent)
	Handle(r, s.PostNodesStorageContent)
	Handle(r, s.GetNodesStorageContentVolume)
	Handle(r, s.PutNodesStorageContentVolume)
	Handle(r, s.DeleteNodesStorageContentVolume)
	Handle(r, s.PostNodesStorageContentVolume)
	Handle(r, s.PostNodesStorageUpload)
}
