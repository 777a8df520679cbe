package qimg

import (
	"context"
	"errors"
	"fmt"

	"github.com/turtacn/go-proxmox/storage"
)

// checkLeaks is qemu-img's exit status for an image that is sound and wastes space.
const checkLeaks = 3

// Check has QEMU walk the tables of an image: an image that was cut off or tampered with is ErrUnsafe. Space that is lost in
// it is no fault. Raw images have nothing to check.
func (t *Tool) Check(ctx context.Context, img *storage.Image) error {
	if img.Format == storage.Raw {
		return nil
	}
	var files fileSet
	name, err := files.source(img, false)
	if err != nil {
		return err
	}
	_, err = t.run(ctx, command{args: []string{"check", "-q", name}, files: files, limits: untrustedLimits})
	if e, ok := errors.AsType[*Error](err); ok {
		switch {
		case e.Exit == checkLeaks:
			return nil
		case e.Exit > 0:
			return fmt.Errorf("%w: %w", storage.ErrUnsafe, err)
		}
	}
	return err
}
