package volume

import (
	"context"
	"io"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// HasClones reports whether linked clones of a base volume exist on its storage.
func (s *Service) HasClones(ctx context.Context, volumeID string) (bool, error) {
	t, err := s.open(ctx, volumeID)
	if err != nil {
		return false, err
	}
	volumes, err := s.list(ctx, t.mounted, storage.Filter{Content: storage.Images})
	if err != nil {
		return false, err
	}
	// A base that is a clone itself is its clones' parent under its own name, without the link.
	parent := volid.Volume{Content: volid.Images, VMID: t.name.VMID, Name: t.name.Name}.VolumeName(t.Type)
	for _, v := range volumes {
		if string(v.Parent) == parent {
			return true, nil
		}
	}
	return false, nil
}

// ReadSnippet returns the content of a snippet, which may have at most limit bytes.
func (s *Service) ReadSnippet(ctx context.Context, volumeID string, limit int64) ([]byte, error) {
	t, err := s.open(ctx, volumeID)
	if err != nil {
		return nil, err
	}
	if t.name.Content != volid.Snippets {
		return nil, call.Errorf("%s is not in the snippets directory", volumeID)
	}
	img, err := t.openImage(ctx)
	if err != nil {
		return nil, err
	}
	defer img.Close()
	data, err := io.ReadAll(io.LimitReader(img.File, limit+1))
	if err != nil {
		return nil, t.explain(err, "volume '"+volumeID+"' cannot be read")
	}
	if int64(len(data)) > limit {
		return nil, call.Errorf("snippet '%s' is too big (> %d bytes)", volumeID, limit)
	}
	return data, nil
}
