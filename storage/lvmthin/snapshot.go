package lvmthin

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/internal/lvmcmd"
	"github.com/turtacn/go-proxmox/storage/internal/lvmgroup"
)

// Snapshot implements storage.Snapshotter, also while a guest uses the volume; what it has not written yet is not in it.
func (d *Driver) Snapshot(ctx context.Context, id storage.VolumeID, name string) error {
	return d.fail("snapshot", id, d.snap(ctx, id, name))
}

func (d *Driver) snap(ctx context.Context, id storage.VolumeID, name string) error {
	c, lv, snap, lock, err := d.withSnapshot(ctx, id, name)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	switch {
	case c.volumes[lv.Name].Base:
		return fmt.Errorf("base volume: %w", errors.ErrUnsupported)
	case c.all[snap] != nil:
		return fmt.Errorf("snapshot %s: %w", name, storage.ErrExists)
	}
	if err := d.room(ctx, &c.pool); err != nil {
		return err
	}
	return d.copyOf(ctx, lv.Name, snap, "-pr", "--addtag", ofTag+lv.Name)
}

// withSnapshot is volume, with the name of the volume that a snapshot of it has or would have.
func (d *Driver) withSnapshot(ctx context.Context, id storage.VolumeID, name string) (*content, *lvmcmd.Volume, string, *lvmgroup.Lock, error) {
	v, err := d.parse(id)
	if err != nil {
		return nil, nil, "", nil, err
	}
	snap, err := d.snapshot(v.Name, name)
	if err != nil {
		return nil, nil, "", nil, err
	}
	c, lv, lock, err := d.volume(ctx, id)
	return c, lv, snap, lock, err
}

// copyOf makes a thin snapshot: a volume that shares its data with another.
func (d *Driver) copyOf(ctx context.Context, of, name string, args ...string) error {
	args = append([]string{"--snapshot", "-ky", "--name", name}, args...)
	return d.group.Tool.Change(ctx, "lvcreate", append(args, "--", d.group.LV(of))...)
}

// Rollback implements storage.Snapshotter: to any snapshot; newer ones stay. The volume gets the size that it had.
func (d *Driver) Rollback(ctx context.Context, id storage.VolumeID, name string) error {
	return d.fail("rollback", id, d.rollback(ctx, id, name))
}

func (d *Driver) rollback(ctx context.Context, id storage.VolumeID, name string) error {
	c, lv, snap, lock, err := d.withSnapshot(ctx, id, name)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	if _, err := c.snapshotOf(lv.Name, snap); err != nil {
		return err
	}
	if err := d.group.Idle(ctx, lv.Name); err != nil {
		return err
	}
	if err := d.room(ctx, &c.pool); err != nil {
		return err
	}
	temp := d.group.TempName()
	making, err := d.group.Lock(ctx, temp)
	if err != nil {
		return err
	}
	defer making.Unlock()
	if err := d.copyOf(ctx, snap, temp, "-prw"); err != nil {
		return err
	}
	d.step("copied")
	if err := d.group.Rename(ctx, temp, rollPrefix+lv.Name); err != nil {
		ctx, cancel := lvmgroup.CleanUp(ctx)
		defer cancel()
		return errors.Join(err, d.group.Remove(ctx, temp))
	}
	d.step("decided")
	c.all[rollPrefix+lv.Name] = lv // from here on it goes through, here or by whoever comes next
	after, cancel := lvmgroup.CleanUp(ctx)
	defer cancel()
	return d.roll(after, c, lv.Name)
}

// roll lets the volume that a roll back has prepared take the place of name. The caller has its lock.
func (d *Driver) roll(ctx context.Context, c *content, name string) error {
	if lv := c.all[name]; lv != nil && lv.Name == name {
		if err := d.group.Remove(ctx, name); err != nil {
			return err
		}
	}
	d.step("old removed")
	if err := d.group.Rename(ctx, rollPrefix+name, name); err != nil {
		return err
	}
	d.step("new named")
	return d.group.Restore(ctx, name)
}

// DeleteSnapshot implements storage.Snapshotter.
func (d *Driver) DeleteSnapshot(ctx context.Context, id storage.VolumeID, name string) error {
	return d.fail("delete snapshot of", id, d.deleteSnapshot(ctx, id, name))
}

func (d *Driver) deleteSnapshot(ctx context.Context, id storage.VolumeID, name string) error {
	c, lv, snap, lock, err := d.withSnapshot(ctx, id, name)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	s, err := c.snapshotOf(lv.Name, snap)
	if err != nil {
		return err
	}
	if err := d.group.Idle(ctx, s.Name); err != nil {
		return err
	}
	return d.group.Remove(ctx, snap)
}

// Snapshots implements storage.Snapshotter.
func (d *Driver) Snapshots(ctx context.Context, id storage.VolumeID) ([]storage.Snapshot, error) {
	list, err := d.snapshots(ctx, id)
	return list, d.fail("list snapshots of", id, err)
}

func (d *Driver) snapshots(ctx context.Context, id storage.VolumeID) ([]storage.Snapshot, error) {
	v, err := d.parse(id)
	if err != nil {
		return nil, err
	}
	c, err := d.look(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := c.find(v.Name); err != nil {
		return nil, err
	}
	var list []storage.Snapshot
	for _, s := range c.snapshots[v.Name] {
		list = append(list, storage.Snapshot{Name: strings.TrimPrefix(s.Name, snapPrefix+v.Name+"_"), Created: s.Created})
	}
	return list, nil
}
