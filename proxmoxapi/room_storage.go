package proxmoxapi

import (
	"context"

	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// Storage is the subtrees /storage, /nodes/{node}/scan, and /nodes/{node}/storage without metrics, with the question about
// what an address holds. Answers that Proxmox VE's schema does not describe in full are maps or any.
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
	// PostNodesStorageDownloadUrl and PostNodesStorageOciRegistryPull answer the UPID of their task, as
	// DeleteNodesStoragePrunebackups does.
	PostNodesStorageDownloadUrl(context.Context, *schema.PostNodesStorageDownloadUrl) (string, error)
	PostNodesStorageOciRegistryPull(context.Context, *schema.PostNodesStorageOciRegistryPull) (string, error)
	GetNodesQueryUrlMetadata(context.Context, *schema.GetNodesQueryUrlMetadata) (schema.GetNodesQueryUrlMetadataReply, error)
	GetNodesStoragePrunebackups(context.Context, *schema.GetNodesStoragePrunebackups) ([]schema.GetNodesStoragePrunebackupsRow, error)
	DeleteNodesStoragePrunebackups(context.Context, *schema.DeleteNodesStoragePrunebackups) (string, error)
	GetNodesStorageImportMetadata(context.Context, *schema.GetNodesStorageImportMetadata) (schema.GetNodesStorageImportMetadataReply, error)
	GetNodesStorageIdentity(context.Context, *schema.GetNodesStorageIdentity) (any, error)
	GetNodesStorageFileRestoreList(context.Context, *schema.GetNodesStorageFileRestoreList) (any, error)
	GetNodesStorageFileRestoreDownload(context.Context, *schema.GetNodesStorageFileRestoreDownload) (any, error)

	GetNodesScan(context.Context, *schema.GetNodesScan) ([]schema.GetNodesScanRow, error)
	GetNodesScanCifs(context.Context, *schema.GetNodesScanCifs) ([]schema.GetNodesScanCifsRow, error)
	GetNodesScanIscsi(context.Context, *schema.GetNodesScanIscsi) ([]schema.GetNodesScanIscsiRow, error)
	GetNodesScanLvm(context.Context, *schema.GetNodesScanLvm) (any, error)
	GetNodesScanLvmthin(context.Context, *schema.GetNodesScanLvmthin) (any, error)
	GetNodesScanNfs(context.Context, *schema.GetNodesScanNfs) ([]schema.GetNodesScanNfsRow, error)
	GetNodesScanPbs(context.Context, *schema.GetNodesScanPbs) ([]schema.GetNodesScanPbsRow, error)
	GetNodesScanZfs(context.Context, *schema.GetNodesScanZfs) (any, error)
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
	Handle(r, s.PostNodesStorageDownloadUrl)
	Handle(r, s.PostNodesStorageOciRegistryPull)
	Handle(r, s.GetNodesQueryUrlMetadata)
	Handle(r, s.GetNodesStoragePrunebackups)
	Handle(r, s.DeleteNodesStoragePrunebackups)
	Handle(r, s.GetNodesStorageImportMetadata)
	Handle(r, s.GetNodesStorageIdentity)
	Handle(r, s.GetNodesStorageFileRestoreList)
	Handle(r, s.GetNodesStorageFileRestoreDownload)
	Handle(r, s.GetNodesScan)
	Handle(r, s.GetNodesScanCifs)
	Handle(r, s.GetNodesScanIscsi)
	Handle(r, s.GetNodesScanLvm)
	Handle(r, s.GetNodesScanLvmthin)
	Handle(r, s.GetNodesScanNfs)
	Handle(r, s.GetNodesScanPbs)
	Handle(r, s.GetNodesScanZfs)
}
