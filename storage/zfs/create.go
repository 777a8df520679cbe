package zfs

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"syscall"

	"github.com/turtacn/go-proxmox/storage"
)

const (
	zvolGranule   = 1 << 20 // sizes of zvols are multiples of it, as Proxmox VE makes them; every volblocksize divides it
	subvolGranule = 1 << 10 // quotas are told in KiB
	maxBytes      = 1 << 60
)

// roundUp is the size that a volume gets. A subvol of size 0 has no quota.
func roundUp(size int64, subvol bool) (int64, error) {
	granule := int64(zvolGranule)
	if subvol {
		granule = subvolGranule
	}
	switch {
	case size < 0 || size > maxBytes:
		return 0, fmt.Errorf("size of %d bytes: %w", size, errInvalid)
	case size == 0 && !subvol:
		return granule, nil
	}
	return (size + granule - 1) / granule * granule, nil
}

// errInvalid is what a size that no volume can have is.
var errInvalid = errors.New("out of range")

// Create implements storage.Driver: a zvol, or a file system whose size is its quota (0: none).
func (d *Driver) Create(ctx context.Context, spec storage.VolumeSpec) (storage.Volume, error) {
	v, err := d.create(ctx, spec)
	return v, d.fail("create", spec.ID, err)
}

func (d *Driver) create(ctx context.Context, spec storage.VolumeSpec) (storage.Volume, error) {
	v, size, err := d.planned(spec)
	if err != nil {
		return storage.Volume{}, err
	}
	if err := d.make(ctx, v.dataset, v.subvol(), size); err != nil {
		return storage.Volume{}, err
	}
	return d.stat(ctx, spec.ID)
}

// planned reads what a new volume, which is no linked clone, shall be.
func (d *Driver) planned(spec storage.VolumeSpec) (volume, int64, error) {
	v, err := d.parse(spec.ID)
	switch {
	case err != nil:
		return v, 0, err
	case v.Linked():
		return v, 0, fmt.Errorf("id of a linked clone: %w", storage.ErrBadID)
	case spec.Format != "" && spec.Format != storage.Format(v.Format):
		return v, 0, fmt.Errorf("format %q for a name of format %s: %w", spec.Format, v.Format, storage.ErrBadID)
	}
	size, err := roundUp(spec.SizeBytes, v.subvol())
	return v, size, err
}

// make makes a dataset, in one step.
func (d *Driver) make(ctx context.Context, name string, subvol bool, size int64) error {
	args := []string{"create"}
	if subvol {
		args = append(args, subvolProperties...)
		args = append(args, "-o", "refquota="+quota(size))
	} else {
		if d.opt.Sparse {
			args = append(args, "-s")
		}
		if b := d.opt.BlockSizeBytes; b != 0 {
			args = append(args, "-b", strconv.FormatInt(b, 10))
		}
		args = append(args, "-V", strconv.FormatInt(size, 10))
	}
	_, err := d.tool.run(ctx, append(args, name)...)
	if errors.Is(err, storage.ErrNotFound) { // the parent
		return unavailable(err)
	}
	return err
}

// subvolProperties are what containers need of a file system.
var subvolProperties = []string{"-o", "acltype=posixacl", "-o", "xattr=sa"}

func quota(size int64) string {
	if size == 0 {
		return "none"
	}
	return strconv.FormatInt(size, 10)
}

// CreateFilled implements storage.Filler.
func (d *Driver) CreateFilled(ctx context.Context, spec storage.VolumeSpec, fill func(context.Context, *storage.Image) error) (storage.Volume, error) {
	v, err := d.createFilled(ctx, spec, fill)
	return v, d.fail("create", spec.ID, err)
}

func (d *Driver) createFilled(ctx context.Context, spec storage.VolumeSpec, fill func(context.Context, *storage.Image) error) (storage.Volume, error) {
	v, size, err := d.planned(spec)
	if err != nil {
		return storage.Volume{}, err
	}
	return d.publish(ctx, v, func(temp string) error {
		if err := d.make(ctx, temp, v.subvol(), size); err != nil {
			return err
		}
		img, err := d.openDataset(ctx, temp, v.subvol(), true)
		if err != nil {
			return err
		}
		err = fill(ctx, img)
		if err == nil && !v.subvol() {
			err = img.File.Sync() // where a full pool says so
		}
		return d.noSpace(ctx, errors.Join(err, img.Close()))
	})
}

// publish lets fn make a dataset under a temporary name, and gives it the volume's name when it is whole and ctx still stands.
// After an error, or if the name is taken, nothing remains.
func (d *Driver) publish(ctx context.Context, v volume, fn func(temp string) error) (storage.Volume, error) {
	// Known before the work, which is long. Renaming is what decides.
	if _, err := d.tool.run(ctx, "list", "-H", "-d", "0", "-o", "name", v.dataset); err == nil {
		return storage.Volume{}, storage.ErrExists
	} else if !errors.Is(err, storage.ErrNotFound) {
		return storage.Volume{}, err
	}
	temp := d.dataset + "/" + d.maker.Name()
	err := fn(temp)
	if err == nil {
		_, err = d.tool.run(ctx, "rename", temp, v.dataset)
	}
	if err != nil {
		return storage.Volume{}, errors.Join(err, d.discard(ctx, temp))
	}
	return d.stat(ctx, storage.VolumeID(v.Name))
}

// noSpace gives the error of a write into a full pool its class. What is written through the page cache only fails with EIO,
// whatever ZFS says: then it is the space left that tells.
func (d *Driver) noSpace(ctx context.Context, err error) error {
	full := errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
	if !full && errors.Is(err, syscall.EIO) {
		const nothing = 4 << 20
		u, e := d.usage(ctx)
		full = e == nil && u.AvailBytes < max(nothing, u.TotalBytes/64)
	}
	if full {
		return fmt.Errorf("%w: %w", storage.ErrNoSpace, err)
	}
	return err
}
