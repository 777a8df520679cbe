package rbd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/turtacn/go-proxmox/storage"
)

// Attach implements storage.Driver: a storage.RBD whose ConfFile only o.UID and root can read. It holds all that librbd needs,
// so the other members that name the cluster are empty, but for the user.
func (d *Driver) Attach(ctx context.Context, id storage.VolumeID, o storage.AttachOptions) (storage.Attachment, error) {
	v, _, err := d.find(ctx, id)
	if err != nil {
		return nil, d.fail("attach", id, err)
	}
	conf, err := d.conf.lend(v.Name, o.UID)
	if err != nil {
		return nil, d.fail("attach", id, err)
	}
	at := d.at(v.Name, "", conf)
	if v.Base { // what clones see is the snapshot; nobody writes to the image behind it
		at.Snapshot = baseSnapshot
	}
	return at, nil
}

// Detach implements storage.Driver: the copies of the key are removed.
func (d *Driver) Detach(_ context.Context, id storage.VolumeID) error {
	v, err := d.parse(id)
	if err == nil {
		err = d.conf.take(v.Name)
	}
	return d.fail("detach", id, err)
}

func (d *Driver) at(image, snapshot, conf string) storage.RBD {
	return storage.RBD{Pool: d.opt.Pool, Namespace: d.opt.Namespace, Image: image, Snapshot: snapshot, User: d.opt.User, ConfFile: conf}
}

// remote is an image for tools of this process's own user.
func (d *Driver) remote(image, snapshot string) (*storage.Image, error) {
	conf, err := d.conf.own()
	if err != nil {
		return nil, err
	}
	return &storage.Image{Remote: d.at(image, snapshot, conf), Format: storage.Raw}, nil
}

// Open implements storage.Opener. The image has no file.
func (d *Driver) Open(ctx context.Context, id storage.VolumeID, write bool) (*storage.Image, error) {
	img, err := d.open(ctx, id, write)
	return img, d.fail("open", id, err)
}

func (d *Driver) open(ctx context.Context, id storage.VolumeID, write bool) (*storage.Image, error) {
	v, _, err := d.find(ctx, id)
	if err != nil {
		return nil, err
	}
	if write && v.Base {
		return nil, fmt.Errorf("base volume: %w", errors.ErrUnsupported)
	}
	if err := d.tool.notOpen(ctx, v.Name); err != nil && (write || !errors.Is(err, storage.ErrInUse)) {
		return nil, err
	}
	return d.remote(v.Name, "")
}

// OpenSnapshot implements storage.SnapshotOpener.
func (d *Driver) OpenSnapshot(ctx context.Context, id storage.VolumeID, snapshot string) (*storage.Image, error) {
	image, _, err := d.ofVolume(ctx, id, snapshot, true)
	if err != nil {
		return nil, d.fail("open snapshot of", id, err)
	}
	img, err := d.remote(image, snapshot)
	return img, d.fail("open snapshot of", id, err)
}

// Path implements storage.Pather: rbd:POOL/IMAGE.
func (d *Driver) Path(id storage.VolumeID) (string, error) {
	v, err := d.parse(id)
	if err != nil {
		return "", d.fail("locate", id, err)
	}
	parts := []string{d.opt.Pool}
	if d.opt.Namespace != "" {
		parts = append(parts, d.opt.Namespace)
	}
	return "rbd:" + strings.Join(append(parts, v.Name), "/"), nil
}

// Usage implements storage.Driver: what the pool's guests can still write, and what they have written, without copies.
func (d *Driver) Usage(ctx context.Context) (storage.Usage, error) {
	u, err := d.usage(ctx)
	return u, d.fail("usage", "", err)
}

func (d *Driver) usage(ctx context.Context) (storage.Usage, error) {
	out, err := d.tool.run(ctx, d.opt.Ceph, call{args: []string{"df", "--format", "json"}})
	if err != nil {
		return storage.Usage{}, err
	}
	var df struct {
		Pools []struct {
			Name  string `json:"name"`
			Stats struct {
				Stored   *int64 `json:"stored"`
				Bytes    int64  `json:"bytes_used"` // of old clusters: with copies
				MaxAvail int64  `json:"max_avail"`
			} `json:"stats"`
		} `json:"pools"`
	}
	if err := json.Unmarshal(out, &df); err != nil {
		return storage.Usage{}, fmt.Errorf("answer of ceph df: %w", err)
	}
	pool := d.opt.Pool
	if d.opt.DataPool != "" {
		pool = d.opt.DataPool
	}
	for _, p := range df.Pools {
		if p.Name == pool {
			used := p.Stats.Bytes
			if p.Stats.Stored != nil {
				used = *p.Stats.Stored
			}
			return storage.Usage{TotalBytes: used + p.Stats.MaxAvail, UsedBytes: used, AvailBytes: p.Stats.MaxAvail}, nil
		}
	}
	return storage.Usage{}, fmt.Errorf("pool %s: %w", pool, storage.ErrUnavailable)
}
