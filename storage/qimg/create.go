package qimg

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"github.com/turtacn/go-proxmox/storage"
)

// Preallocation is how much of a new image takes space at once.
type Preallocation string

// The modes of qemu-img. Metadata is for qcow2 only.
const (
	PreallocOff      Preallocation = "off"
	PreallocMetadata Preallocation = "metadata"
	PreallocFalloc   Preallocation = "falloc"
	PreallocFull     Preallocation = "full"
)

// CreateOptions say what image Create makes.
type CreateOptions struct {
	Format        storage.Format
	SizeBytes     int64
	Preallocation Preallocation // empty: off
	// Backing, if its name is set, is written into the header of a qcow2 image as it is. The file is not opened; SizeBytes
	// must be the size of the backing image or more. Clusters are 128 KiB with 4 KiB subclusters, which suits clones.
	Backing struct {
		Name   string
		Format storage.Format
	}
}

// Create makes f an empty image. What f held is lost. ErrNoSpace.
func (t *Tool) Create(ctx context.Context, f *os.File, o CreateOptions) error {
	if _, ok := formats[o.Format]; !ok {
		return fmt.Errorf("qimg: create format %q: %w", o.Format, storage.ErrUnsafe)
	}
	args := []string{"create", "-q", "-f", string(o.Format)}
	var opts string
	if o.Backing.Name != "" {
		if _, ok := formats[o.Backing.Format]; !ok || o.Format != storage.QCOW2 {
			return fmt.Errorf("qimg: %s image backed by %q: %w", o.Format, o.Backing.Format, storage.ErrUnsafe)
		}
		args = append(args, "-u", "-F", string(o.Backing.Format), "-b", o.Backing.Name)
		opts = "extended_l2=on,cluster_size=128k"
	}
	if o.Preallocation != "" && o.Preallocation != PreallocOff {
		if opts != "" {
			opts += ","
		}
		opts += "preallocation=" + string(o.Preallocation)
	}
	if opts != "" {
		args = append(args, "-o", opts)
	}
	args = append(args, fdPath(0), strconv.FormatInt(o.SizeBytes, 10))
	if o.Preallocation == "" || o.Preallocation == PreallocOff || o.Preallocation == PreallocMetadata {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t.infoTimeout)
		defer cancel()
	}
	_, err := t.run(ctx, command{args: args, files: []*os.File{f}})
	return err
}

// Resize grows an image to sizeBytes. The new part takes space as prealloc says (empty: off). ErrInUse, ErrNoSpace.
func (t *Tool) Resize(ctx context.Context, img *storage.Image, sizeBytes int64, prealloc Preallocation) error {
	var files fileSet
	name, err := files.source(img, true)
	if err != nil {
		return err
	}
	args := []string{"resize", "-q"}
	if prealloc != "" && prealloc != PreallocOff {
		args = append(args, "--preallocation="+string(prealloc))
	}
	args = append(args, name, strconv.FormatInt(sizeBytes, 10))
	_, err = t.run(ctx, command{args: args, files: files})
	return err
}
