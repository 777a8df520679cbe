package lvmthin

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/internal/lvmcmd"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// content is the pool at one moment.
type content struct {
	pool      lvmcmd.Volume
	all       map[string]*lvmcmd.Volume // every logical volume of the group, by name
	volumes   map[string]volid.Volume   // the guests' volumes of the pool
	snapshots map[string][]*lvmcmd.Volume
}

// look reads the whole group: that costs lvm2 no more than reading one volume.
func (d *Driver) look(ctx context.Context) (*content, error) {
	list, err := d.group.Volumes(ctx)
	if err != nil {
		return nil, err
	}
	c := &content{all: make(map[string]*lvmcmd.Volume, len(list)), volumes: map[string]volid.Volume{}, snapshots: map[string][]*lvmcmd.Volume{}}
	for i := range list {
		c.all[list[i].Name] = &list[i]
	}
	pool, ok := c.all[d.pool]
	if !ok || pool.Type() != 't' {
		return nil, fmt.Errorf("no thin pool %s: %w", d.group.LV(d.pool), storage.ErrUnavailable)
	}
	c.pool = *pool
	for name, lv := range c.all {
		if lv.Pool != d.pool || lv.Type() != 'V' {
			continue
		}
		if v, err := d.parse(storage.VolumeID(name)); err == nil {
			c.volumes[name] = v
		}
	}
	for name, lv := range c.all { // a roll back that is decided but not done: the volume is what will take its place
		if to, ok := strings.CutPrefix(name, rollPrefix); ok && lv.Pool == d.pool && c.all[to] == nil {
			if v, err := d.parse(storage.VolumeID(to)); err == nil {
				c.volumes[to], c.all[to] = v, lv
			}
		}
	}
	for name, lv := range c.all {
		if rest, ok := strings.CutPrefix(name, snapPrefix); ok && lv.Pool == d.pool {
			if of := c.owner(rest, lv.Tags); of != "" {
				c.snapshots[of] = append(c.snapshots[of], lv)
			}
		}
	}
	for _, s := range c.snapshots {
		slices.SortFunc(s, func(a, b *lvmcmd.Volume) int { return int(a.ThinID - b.ThinID) })
	}
	return c, nil
}

// owner finds whose snapshot "VOLUME_NAME" is. Both parts may hold '_': a snapshot that this driver made says it in a tag,
// others belong to the longest name that there is.
func (c *content) owner(rest string, tags []string) string {
	for _, t := range tags {
		if of, ok := strings.CutPrefix(t, ofTag); ok && strings.HasPrefix(rest, of+"_") {
			return of
		}
	}
	for i := strings.LastIndexByte(rest, '_'); i > 0; i = strings.LastIndexByte(rest[:i], '_') {
		if _, ok := c.volumes[rest[:i]]; ok {
			return rest[:i]
		}
	}
	return ""
}

// find returns a guest's volume. storage.ErrNotFound.
func (c *content) find(name string) (*lvmcmd.Volume, error) {
	if _, ok := c.volumes[name]; !ok {
		return nil, storage.ErrNotFound
	}
	return c.all[name], nil
}

// snapshotOf returns one snapshot of a volume. storage.ErrNotFound.
func (c *content) snapshotOf(volume, lv string) (*lvmcmd.Volume, error) {
	for _, s := range c.snapshots[volume] {
		if s.Name == lv {
			return s, nil
		}
	}
	return nil, fmt.Errorf("snapshot: %w", storage.ErrNotFound)
}

func (c *content) describe(name string) storage.Volume {
	lv, v := c.all[name], c.volumes[name]
	out := storage.Volume{
		ID: storage.VolumeID(name), Content: storage.Images, Format: storage.Raw, Owner: v.VMID, SizeBytes: lv.SizeBytes, Base: v.Base,
		Created: lv.Created, Features: storage.FeatureCopy | storage.FeatureSparseInit,
	}
	if lv.DataPercent > 0 { // known of active volumes only
		out.UsedBytes = int64(float64(lv.SizeBytes) * lv.DataPercent / 100)
	}
	switch {
	case v.Base:
		out.Features |= storage.FeatureClone
	case len(c.snapshots[name]) > 0:
		out.Features |= storage.FeatureSnapshot | storage.FeatureResize
	default:
		out.Features |= storage.FeatureSnapshot | storage.FeatureResize | storage.FeatureTemplate | storage.FeatureRename
	}
	return out
}

// Stat implements storage.Driver.
func (d *Driver) Stat(ctx context.Context, id storage.VolumeID) (storage.Volume, error) {
	v, err := d.stat(ctx, id)
	return v, d.fail("stat", id, err)
}

func (d *Driver) stat(ctx context.Context, id storage.VolumeID) (storage.Volume, error) {
	v, err := d.parse(id)
	if err != nil {
		return storage.Volume{}, err
	}
	c, err := d.look(ctx)
	if err != nil {
		return storage.Volume{}, err
	}
	if _, err := c.find(v.Name); err != nil {
		return storage.Volume{}, err
	}
	return c.describe(v.Name), nil
}

// List implements storage.Driver, by one report.
func (d *Driver) List(ctx context.Context, f storage.Filter) iter.Seq2[storage.Volume, error] {
	return func(yield func(storage.Volume, error) bool) {
		c, err := d.look(ctx)
		if err != nil {
			yield(storage.Volume{}, d.fail("list", "", err))
			return
		}
		for name := range c.volumes {
			if v := c.describe(name); f.Match(&v) && !yield(v, nil) {
				return
			}
		}
	}
}
