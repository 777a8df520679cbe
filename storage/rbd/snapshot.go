package rbd

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/turtacn/go-proxmox/storage"
)

// snapshotInfo is a row of rbd snap ls.
type snapshotInfo struct {
	ID        int64  `json:"id"`
	Name      string `json:"name"`
	Protected flag   `json:"protected"`
	Time      string `json:"timestamp"`
}

// snapshots are those of an image, oldest first.
func (t *tool) snapshots(ctx context.Context, name string) ([]snapshotInfo, error) {
	var rows []snapshotInfo
	err := t.decode(ctx, &rows, append([]string{"snap", "ls"}, t.image(name, "")...)...)
	slices.SortFunc(rows, func(a, b snapshotInfo) int { return int(a.ID - b.ID) })
	return rows, err
}

// children counts the clones of a snapshot, in all pools.
func (t *tool) children(ctx context.Context, name, snapshot string) (int, error) {
	var rows []any
	err := t.decode(ctx, &rows, append([]string{"children"}, t.image(name, snapshot)...)...)
	return len(rows), err
}

// snap runs a command about one snapshot.
func (t *tool) snap(ctx context.Context, command, name, snapshot string) error {
	args := []string{"snap", command}
	switch command {
	case "create", "rm", "rollback":
		args = append(args, "--no-progress")
	}
	_, err := t.rbd(ctx, call{args: append(args, t.image(name, snapshot)...)})
	return err
}

func (t *tool) removeSnapshot(ctx context.Context, name string, s snapshotInfo) error {
	if s.Protected {
		if err := t.snap(ctx, "unprotect", name, s.Name); err != nil {
			return err
		}
	}
	return t.snap(ctx, "rm", name, s.Name)
}

// snapshotName are the names of guests' snapshots in Proxmox VE.
var snapshotName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,127}$`)

// ofVolume looks up the image of a volume that may have snapshots, and with must the snapshot.
func (d *Driver) ofVolume(ctx context.Context, id storage.VolumeID, snapshot string, must bool) (string, snapshotInfo, error) {
	if !snapshotName.MatchString(snapshot) {
		return "", snapshotInfo{}, fmt.Errorf("snapshot name %q: %w", snapshot, storage.ErrBadID)
	}
	v, _, err := d.find(ctx, id)
	if err != nil {
		return "", snapshotInfo{}, err
	}
	if v.Base {
		return "", snapshotInfo{}, fmt.Errorf("snapshots of a base volume: %w", errors.ErrUnsupported)
	}
	if !must {
		return v.Name, snapshotInfo{}, nil
	}
	all, err := d.tool.snapshots(ctx, v.Name)
	if err != nil {
		return "", snapshotInfo{}, err
	}
	i := slices.IndexFunc(all, func(s snapshotInfo) bool { return s.Name == snapshot })
	if i < 0 {
		return "", snapshotInfo{}, fmt.Errorf("snapshot %s: %w", snapshot, storage.ErrNotFound)
	}
	return v.Name, all[i], nil
}

// Snapshot implements storage.Snapshotter. What a guest has written and not flushed is not in it.
func (d *Driver) Snapshot(ctx context.Context, id storage.VolumeID, name string) error {
	image, _, err := d.ofVolume(ctx, id, name, false)
	if err == nil {
		err = d.tool.snap(ctx, "create", image, name)
	}
	return d.fail("snapshot", id, err)
}

// Rollback implements storage.Snapshotter: to any snapshot; newer ones stay.
func (d *Driver) Rollback(ctx context.Context, id storage.VolumeID, name string) error {
	image, _, err := d.ofVolume(ctx, id, name, true)
	if err == nil {
		err = d.tool.notOpen(ctx, image)
	}
	if err == nil {
		err = d.tool.snap(ctx, "rollback", image, name)
	}
	return d.fail("rollback", id, err)
}

// DeleteSnapshot implements storage.Snapshotter. A snapshot that was cloned is ErrInUse.
func (d *Driver) DeleteSnapshot(ctx context.Context, id storage.VolumeID, name string) error {
	image, s, err := d.ofVolume(ctx, id, name, true)
	if err == nil {
		err = d.tool.removeSnapshot(ctx, image, s)
	}
	return d.fail("delete snapshot of", id, err)
}

// Snapshots implements storage.Snapshotter.
func (d *Driver) Snapshots(ctx context.Context, id storage.VolumeID) ([]storage.Snapshot, error) {
	v, _, err := d.find(ctx, id)
	if err != nil {
		return nil, d.fail("list snapshots of", id, err)
	}
	all, err := d.tool.snapshots(ctx, v.Name)
	if err != nil {
		return nil, d.fail("list snapshots of", id, err)
	}
	var list []storage.Snapshot
	for _, s := range all {
		if s.Name == baseSnapshot {
			continue
		}
		at, _ := time.Parse(time.ANSIC, s.Time) // TZ is UTC; unknown is zero
		list = append(list, storage.Snapshot{Name: s.Name, Created: at})
	}
	return list, nil
}
