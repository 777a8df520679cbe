package qimg

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/turtacn/go-proxmox/storage"
)

// Info is what qemu-img says about an image alone, without what backs it.
type Info struct {
	VirtualBytes int64
	ActualBytes  int64
	Snapshots    []storage.Snapshot
}

// Info opens an image with QEMU's own code, limited in memory and processor time: what it accepts, a guest can use.
func (t *Tool) Info(ctx context.Context, img *storage.Image) (Info, error) {
	var files fileSet
	name, err := files.source(img, false)
	if err != nil {
		return Info{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, t.infoTimeout)
	defer cancel()
	out, err := t.run(ctx, command{args: []string{"info", "--output=json", name}, files: files, limits: untrustedLimits})
	if err != nil {
		return Info{}, err
	}
	var raw struct { // See qapi/block-core.json: ImageInfo.
		Virtual   int64 `json:"virtual-size"`
		Actual    int64 `json:"actual-size"`
		Snapshots []struct {
			Name string `json:"name"`
			Sec  int64  `json:"date-sec"`
			Nsec int64  `json:"date-nsec"`
		} `json:"snapshots"`
	}
	if err := json.Unmarshal(out, &raw); err != nil {
		return Info{}, fmt.Errorf("qimg: info: %w", err)
	}
	info := Info{VirtualBytes: raw.Virtual, ActualBytes: raw.Actual}
	for _, s := range raw.Snapshots {
		info.Snapshots = append(info.Snapshots, storage.Snapshot{Name: s.Name, Created: time.Unix(s.Sec, s.Nsec)})
	}
	return info, nil
}

// Measure says how many bytes a file of the given format needs to hold the image as it is and fully written.
func (t *Tool) Measure(ctx context.Context, img *storage.Image, format storage.Format) (required, full int64, err error) {
	var files fileSet
	name, err := files.source(img, true)
	if err != nil {
		return 0, 0, err
	}
	out, err := t.run(ctx, command{args: []string{"measure", "--output=json", "-O", string(format), name}, files: files})
	if err != nil {
		return 0, 0, err
	}
	var m struct { // See qapi/block-core.json: BlockMeasureInfo.
		Required int64 `json:"required"`
		Full     int64 `json:"fully-allocated"`
	}
	if err := json.Unmarshal(out, &m); err != nil {
		return 0, 0, fmt.Errorf("qimg: measure: %w", err)
	}
	return m.Required, m.Full, nil
}

// Inspect checks an image from outside: its header by [CheckUntrusted], and what QEMU can hold against it by Info.
// format empty means whatever it is. Raw images pass.
func (t *Tool) Inspect(ctx context.Context, f *os.File, format storage.Format) (Header, error) {
	fi, err := f.Stat()
	if err != nil {
		return Header{}, err
	}
	h, err := CheckUntrusted(f, fi.Size(), format)
	if err != nil || h.Format == storage.Raw {
		return h, err
	}
	info, err := t.Info(ctx, &storage.Image{File: f, Format: h.Format})
	if err != nil {
		return h, err
	}
	h.VirtualBytes = info.VirtualBytes
	return h, nil
}
