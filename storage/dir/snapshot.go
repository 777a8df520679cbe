package dir

import (
	"context"
	"errors"
	"fmt"

	"github.com/turtacn/go-proxmox/storage"
)

// OpenSnapshot implements storage.SnapshotOpener: the image with the name of its internal snapshot. An image that a guest has
// open is ErrInUse, since its tables change meanwhile.
func (d *Driver) OpenSnapshot(ctx context.Context, id storage.VolumeID, snapshot string) (*storage.Image, error) {
	img, err := d.openSnapshot(ctx, id, snapshot)
	return img, d.fail("open snapshot of", id, err)
}

func (d *Driver) openSnapshot(ctx context.Context, id storage.VolumeID, snapshot string) (*storage.Image, error) {
	img, err := d.openImage(ctx, id, false)
	if err != nil {
		return nil, err
	}
	switch has, infoErr := false, error(nil); {
	case !snapshotName.MatchString(snapshot):
		err = fmt.Errorf("snapshot name %q: %w", snapshot, storage.ErrBadID)
	case img.Format != storage.QCOW2 || d.opt.VolumeChain:
		err = fmt.Errorf("snapshots of this image: %w", errors.ErrUnsupported)
	default:
		if has, infoErr = d.hasSnapshot(ctx, img, snapshot); infoErr != nil {
			err = infoErr
		} else if !has {
			err = fmt.Errorf("snapshot %q: %w", snapshot, storage.ErrNotFound)
		}
	}
	if err != nil {
		return nil, errors.Join(err, img.Close())
	}
	img.Snapshot = snapshot
	return img, nil
}
