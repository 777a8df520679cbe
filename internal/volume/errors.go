package volume

import (
	"context"
	"errors"
	"path"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/qimg"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// explain gives a driver's error on a volume the text that users know. unsupported is the text for what this volume cannot.
func (t *target) explain(err error, unsupported string) error {
	switch {
	case err == nil:
		return nil
	case isPublic(err):
		e, _ := errors.AsType[*call.Error](err)
		return public(err, "%s", e.Text) // without the names of the layers that it came through
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	if v, ok := errors.AsType[*volid.Error](err); ok {
		return public(err, "%s", v.Text)
	}
	if text := untrusted(err, path.Base(string(t.id))); text != "" {
		return public(err, "%s", text)
	}
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return public(err, "volume '%s' does not exist", t.text)
	case errors.Is(err, storage.ErrExists):
		return public(err, "disk image '%s' already exists", t.text)
	case errors.Is(err, storage.ErrInUse) && t.name.Base:
		return public(err, "base volume '%s' is still in use by linked clones", t.id)
	case errors.Is(err, storage.ErrInUse):
		return public(err, "volume '%s' is in use", t.text)
	case errors.Is(err, storage.ErrProtected):
		return public(err, "cannot remove protected volume '%s' on '%s'", t.id, t.ID)
	case errors.Is(err, storage.ErrNoSpace):
		return public(err, "no space left on storage '%s'", t.ID)
	case errors.Is(err, storage.ErrUnavailable):
		return public(err, "storage '%s' is not online", t.ID)
	case errors.Is(err, storage.ErrUnsafe), errors.Is(err, qimg.ErrCorrupt):
		return public(err, "volume '%s' is refused: it is not what its name says, or leads out of its storage", t.text)
	case errors.Is(err, qimg.ErrMissing):
		return public(err, "qemu-img is not installed on this node")
	case errors.Is(err, errors.ErrUnsupported):
		return public(err, "%s", unsupported)
	}
	if e, ok := errors.AsType[*qimg.Error](err); ok {
		return public(err, "qemu-img failed with exit code %d", e.Exit)
	}
	return err
}

func isPublic(err error) bool {
	_, ok := errors.AsType[*call.Error](err)
	return ok
}

// untrusted is the text of Proxmox VE for what an image from outside may not have, empty for other errors.
func untrusted(err error, file string) string {
	switch {
	case errors.Is(err, qimg.ErrBackingFile):
		return "backing file not allowed for untrusted image '" + file + "'!"
	case errors.Is(err, qimg.ErrDataFile):
		return file + ": 'data-file' references are not allowed!"
	case errors.Is(err, qimg.ErrExtents):
		return file + ": multiple children or extents are not allowed!"
	case errors.Is(err, qimg.ErrEncrypted):
		return file + ": encrypted images are not allowed!"
	case errors.Is(err, qimg.ErrTooLarge):
		return file + ": virtual size is too large!"
	}
	return ""
}
