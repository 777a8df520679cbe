package lvmgroup

import (
	"context"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/internal/lvmcmd"
)

// Fill lets fill write the content of a new volume that nobody sees yet, brings it to the disk and takes the device away.
// The caller has the volume's lock.
func (g *Group) Fill(ctx context.Context, v *lvmcmd.Volume, fill func(context.Context, *storage.Image) error) error {
	img, err := g.Open(ctx, v, true)
	if err != nil {
		return err
	}
	err = fill(ctx, img)
	if err == nil {
		err = img.File.Sync()
	}
	if e := img.Close(); err == nil {
		err = e
	}
	if err == nil && ctx.Err() != nil { // the work did not notice
		err = context.Cause(ctx)
	}
	if err != nil {
		return noSpace(err)
	}
	return g.Deactivate(ctx, v.Name)
}
