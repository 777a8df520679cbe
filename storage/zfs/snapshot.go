package zfs

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/storage"
)

// maxSnapshot bounds the names of snapshots; those of what is temporary are shorter.
const maxSnapshot = 90

// snapshotName are the names that callers may give: those of guests' snapshots in Proxmox VE, and more.
var snapshotName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,` + strconv.Itoa(maxSnapshot-1) + `}$`)

// streamName are the snapshots that streams may name beyond those: Proxmox VE makes them to move a volume.
var streamName = regexp.MustCompile(`^__(migration|replicate_[A-Za-z0-9_-]{1,64})__$`)

// refquotaAt is the user property in which Proxmox VE notes the quota of a subvol on its snapshots: a rollback does not bring
// it back.
const refquotaAt = "pve-storage:refquota"

func checkSnapshot(name string) error {
	if !snapshotName.MatchString(name) {
		return fmt.Errorf("snapshot name %.100q: %w", name, storage.ErrBadID)
	}
	return nil
}

// forSnapshots finds a volume that may have snapshots.
func (d *Driver) forSnapshots(ctx context.Context, id storage.VolumeID) (volume, dataset, error) {
	v, s, err := d.find(ctx, id)
	if err == nil && v.Base {
		err = fmt.Errorf("snapshots of a base volume: %w", errors.ErrUnsupported)
	}
	return v, s, err
}

// Snapshot implements storage.Snapshotter. What a guest has written and not flushed is not in it.
func (d *Driver) Snapshot(ctx context.Context, id storage.VolumeID, name string) error {
	return d.fail("snapshot", id, d.snapshot(ctx, id, name))
}

func (d *Driver) snapshot(ctx context.Context, id storage.VolumeID, name string) error {
	if err := errors.Join(checkSnapshot(name), d.check(id)); err != nil {
		return err
	}
	v, s, err := d.forSnapshots(ctx, id)
	if err != nil {
		return err
	}
	args := []string{"snapshot"}
	if v.subvol() {
		args = append(args, "-o", refquotaAt+"="+quota(s.size))
	}
	_, err = d.tool.run(ctx, append(args, s.name+"@"+name)...)
	return err
}

func (d *Driver) check(id storage.VolumeID) error {
	_, err := d.parse(id)
	return err
}

// Snapshots implements storage.Snapshotter.
func (d *Driver) Snapshots(ctx context.Context, id storage.VolumeID) ([]storage.Snapshot, error) {
	list, err := d.listed(ctx, id)
	return list, d.fail("list snapshots of", id, err)
}

func (d *Driver) listed(ctx context.Context, id storage.VolumeID) ([]storage.Snapshot, error) {
	_, s, err := d.find(ctx, id)
	if err != nil {
		return nil, err
	}
	all, err := d.snapshots(ctx, s.name)
	if err != nil {
		return nil, err
	}
	var list []storage.Snapshot
	for _, s := range all {
		if checkSnapshot(s.name) == nil {
			list = append(list, storage.Snapshot{Name: s.name, Created: s.created})
		}
	}
	return list, nil
}

// newer are the snapshots after the one called name. ErrNotFound.
func newer(all []snapshot, name string) ([]snapshot, error) {
	i := slices.IndexFunc(all, func(s snapshot) bool { return s.name == name })
	if i < 0 {
		return nil, fmt.Errorf("snapshot %s: %w", name, storage.ErrNotFound)
	}
	return all[i+1:], nil
}

// inTheWay is ErrInUse with the names of snapshots; nil if there are none.
func inTheWay(list []snapshot) error {
	if len(list) == 0 {
		return nil
	}
	names := make([]string, len(list))
	for i, s := range list {
		names[i] = s.name
	}
	return fmt.Errorf("%w: snapshots in the way: %s", storage.ErrInUse, strings.Join(names, ", "))
}

// Rollback implements storage.Snapshotter: to the newest snapshot. ErrInUse names the newer ones.
func (d *Driver) Rollback(ctx context.Context, id storage.VolumeID, name string) error {
	return d.fail("rollback", id, d.rollback(ctx, id, name))
}

func (d *Driver) rollback(ctx context.Context, id storage.VolumeID, name string) error {
	if err := errors.Join(checkSnapshot(name), d.check(id)); err != nil {
		return err
	}
	v, s, err := d.forSnapshots(ctx, id)
	if err != nil {
		return err
	}
	all, err := d.snapshots(ctx, s.name)
	if err != nil {
		return err
	}
	later, err := newer(all, name)
	if err != nil {
		return err
	}
	if err := errors.Join(inTheWay(later), d.idle(v, s)); err != nil {
		return err
	}
	return d.back(ctx, v, s.name+"@"+name)
}

// back rolls a volume back to its newest snapshot. ZFS refuses if it is not, so none is lost that came in between.
func (d *Driver) back(ctx context.Context, v volume, snap string) error {
	if _, err := d.tool.run(ctx, "rollback", snap); err != nil || !v.subvol() {
		return err
	}
	out, err := d.tool.run(ctx, "get", "-Hp", "-o", "value", refquotaAt, snap)
	if err != nil {
		return err
	}
	text := strings.TrimSpace(string(out))
	var size int64
	if err := number(text, &size); err != nil || text == "-" { // a snapshot that somebody else took
		return err
	}
	_, err = d.tool.run(ctx, "set", "refquota="+quota(size), v.dataset)
	return err
}

// DeleteSnapshot implements storage.Snapshotter. One that is open or cloned is ErrInUse.
func (d *Driver) DeleteSnapshot(ctx context.Context, id storage.VolumeID, name string) error {
	return d.fail("delete snapshot of", id, d.deleteSnapshot(ctx, id, name))
}

func (d *Driver) deleteSnapshot(ctx context.Context, id storage.VolumeID, name string) error {
	if err := errors.Join(checkSnapshot(name), d.check(id)); err != nil {
		return err
	}
	_, s, err := d.forSnapshots(ctx, id)
	if err != nil {
		return err
	}
	return d.destroy(ctx, s.name+"@"+name)
}
