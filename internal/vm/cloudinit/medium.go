package cloudinit

import (
	"fmt"
	"time"

	"github.com/turtacn/go-proxmox/internal/vm/cloudinit/iso"
)

// MaxImageBytes is the size of a cloud-init volume; an image is never bigger.
const MaxImageBytes = 4 << 20

// ISO returns the medium as an ISO 9660 image, which depends on the medium and the time alone. It is a multiple of
// 2048 bytes and at most MaxImageBytes long.
func (m Medium) ISO(modTime time.Time) ([]byte, error) {
	image := iso.Image{Label: m.Label, ModTime: modTime}
	for _, f := range m.Files {
		image.Files = append(image.Files, iso.File{Path: f.Path, Data: f.Data})
	}
	data, err := image.Bytes()
	if err != nil {
		return nil, fmt.Errorf("cloud-init image: %w", err)
	}
	if len(data) > MaxImageBytes {
		return nil, fmt.Errorf("cloud-init image: %d bytes do not fit the volume", len(data))
	}
	return data, nil
}
