package jobs

import (
	"context"

	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/qapi"
)

// Mirror starts to copy a node to another one and to keep them equal: end it with Complete, Finish or Cancel. JobID must
// be given; AutoDismiss is set here. The args are not changed. See qapi/block-core.json: blockdev-mirror.
func Mirror(ctx context.Context, c *qmp.Client, args *qapi.BlockdevMirrorArgs) (*Job, error) {
	a := *args
	a.AutoDismiss = new(false)
	return begin(ctx, c, a.JobID, func() error { return qapi.BlockdevMirror(ctx, c, &a) })
}

// Backup starts to copy a node as it is at this moment. As Mirror otherwise. See qapi/block-core.json: blockdev-backup.
func Backup(ctx context.Context, c *qmp.Client, args *qapi.BlockdevBackupArgs) (*Job, error) {
	a := *args
	a.AutoDismiss = new(false)
	return begin(ctx, c, a.JobID, func() error { return qapi.BlockdevBackup(ctx, c, &a) })
}

// Commit starts to write layers of a chain into the one below. That of the active layer becomes ready and is ended by
// Complete. As Mirror otherwise. See qapi/block-core.json: block-commit.
func Commit(ctx context.Context, c *qmp.Client, args *qapi.BlockCommitArgs) (*Job, error) {
	a := *args
	a.AutoDismiss = new(false)
	return begin(ctx, c, a.JobID, func() error { return qapi.BlockCommit(ctx, c, &a) })
}

// Stream starts to copy what lies below a layer into it. As Mirror otherwise. See qapi/block-core.json: block-stream.
func Stream(ctx context.Context, c *qmp.Client, args *qapi.BlockStreamArgs) (*Job, error) {
	a := *args
	a.AutoDismiss = new(false)
	return begin(ctx, c, a.JobID, func() error { return qapi.BlockStream(ctx, c, &a) })
}

// Create starts to write an empty image onto a node, or an image at a place of the driver. See qapi/block-core.json:
// blockdev-create.
func Create(ctx context.Context, c *qmp.Client, id string, o *qapi.BlockdevCreateOptions) (*Job, error) {
	return begin(ctx, c, &id, func() error { return qapi.BlockdevCreate(ctx, c, id, *o) })
}

// SaveSnapshot starts to save the machine and its disks as an internal snapshot; the guest stands still meanwhile. Such jobs
// cannot be cancelled once they write. See qapi/migration.json: snapshot-save. Since QEMU 6.0.
func SaveSnapshot(ctx context.Context, c *qmp.Client, args *qapi.SnapshotSaveArgs) (*Job, error) {
	return begin(ctx, c, &args.JobID, func() error { return qapi.SnapshotSave(ctx, c, args) })
}

// LoadSnapshot starts to bring the machine and its disks back. The machine must be stopped before, and is afterwards. See
// qapi/migration.json: snapshot-load.
func LoadSnapshot(ctx context.Context, c *qmp.Client, id, tag, vmstate string, devices []string) (*Job, error) {
	return begin(ctx, c, &id, func() error {
		return qapi.SnapshotLoad(ctx, c, &qapi.SnapshotLoadArgs{JobID: id, Tag: tag, Vmstate: vmstate, Devices: devices})
	})
}

// DeleteSnapshot starts to delete an internal snapshot. Of one that is not there QEMU 7.2 says nothing. See
// qapi/migration.json: snapshot-delete.
func DeleteSnapshot(ctx context.Context, c *qmp.Client, id, tag string, devices []string) (*Job, error) {
	return begin(ctx, c, &id, func() error { return qapi.SnapshotDelete(ctx, c, id, tag, devices) })
}

func begin(ctx context.Context, c *qmp.Client, id *string, start func() error) (*Job, error) {
	if id == nil {
		id = new("")
	}
	return follow(ctx, c, *id, func() (qapi.JobStatus, error) { return "", start() })
}
