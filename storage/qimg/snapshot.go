package qimg

import (
	"context"

	"github.com/turtacn/go-proxmox/storage"
)

// Snapshot takes an internal snapshot of a qcow2 image that nobody has open. ErrInUse.
func (t *Tool) Snapshot(ctx context.Context, img *storage.Image, name string) error {
	return t.snapshot(ctx, img, "-c", name)
}

// Rollback makes an internal snapshot the current state.
func (t *Tool) Rollback(ctx context.Context, img *storage.Image, name string) error {
	return t.snapshot(ctx, img, "-a", name)
}

// DeleteSnapshot removes an internal snapshot.
func (t *Tool) DeleteSnapshot(ctx context.Context, img *storage.Image, name string) error {
	return t.snapshot(ctx, img, "-d", name)
}

func (t *Tool) snapshot(ctx context.Context, img *storage.Image, action, name string) error {
	var files fileSet
	file, err := files.source(img, true)
	if err != nil {
		return err
	}
	_, err = t.run(ctx, command{args: []string{"snapshot", "-q", action, name, file}, files: files})
	return err
}
