package zfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/storage"
)

// dataset is a row of zfs list.
type dataset struct {
	name    string // whole
	zvol    bool
	size    int64 // volsize, or refquota (0: none)
	used    int64 // by itself, without its snapshots
	origin  string
	created time.Time
}

// columns are the properties that a dataset is read from. One list has them all: ZFS reads every property of a dataset anyway.
const columns = "name,type,volsize,refquota,usedbydataset,origin,creation"

func parseDataset(line string) (dataset, error) {
	f := strings.Split(line, "\t")
	if len(f) != strings.Count(columns, ",")+1 {
		return dataset{}, fmt.Errorf("zfs list: %d columns in %.200q", len(f), line)
	}
	s := dataset{name: f[0], zvol: f[1] == "volume", origin: f[5]}
	if f[1] != "volume" && f[1] != "filesystem" {
		return dataset{}, fmt.Errorf("zfs list: type %.50q", f[1])
	}
	if s.origin == "-" {
		s.origin = ""
	}
	size := f[3]
	if s.zvol {
		size = f[2]
	}
	var created int64
	if err := errors.Join(number(size, &s.size), number(f[4], &s.used), number(f[6], &created)); err != nil {
		return dataset{}, fmt.Errorf("zfs list: %.200q: %w", s.name, err)
	}
	s.created = time.Unix(created, 0)
	return s, nil
}

// number reads a number of zfs list -p; what does not apply, or is not set, is 0.
func number(text string, to *int64) error {
	*to = 0
	if text == "-" || text == "none" {
		return nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return fmt.Errorf("%.50q is no number", text)
	}
	*to = n
	return nil
}

// rows calls fn for each line of a command's output until it fails.
func rows(out []byte, fn func(line string) error) error {
	for line := range bytes.Lines(out) {
		if err := fn(strings.TrimSuffix(string(line), "\n")); err != nil {
			return err
		}
	}
	return nil
}

// get reads one dataset. Where the storage's own dataset is missing too, that is ErrUnavailable.
func (d *Driver) get(ctx context.Context, name string) (dataset, error) {
	out, err := d.tool.run(ctx, "list", "-Hp", "-d", "0", "-t", "filesystem,volume", "-o", columns, name)
	if errors.Is(err, storage.ErrNotFound) {
		if e := d.there(ctx); e != nil {
			err = e
		}
	}
	if err != nil {
		return dataset{}, err
	}
	return parseDataset(strings.TrimSuffix(string(out), "\n"))
}

// there fails with ErrUnavailable if the storage's dataset does not exist.
func (d *Driver) there(ctx context.Context) error {
	_, err := d.tool.run(ctx, "list", "-H", "-d", "0", "-o", "name", d.dataset)
	if errors.Is(err, storage.ErrNotFound) {
		return fmt.Errorf("%w: no dataset %s", storage.ErrUnavailable, d.dataset)
	}
	return err
}

// find reads the dataset of a volume. The id of a linked clone must name the base that it has.
func (d *Driver) find(ctx context.Context, id storage.VolumeID) (volume, dataset, error) {
	v, err := d.parse(id)
	if err != nil {
		return v, dataset{}, err
	}
	s, err := d.get(ctx, v.dataset)
	switch {
	case err != nil:
		return v, s, err
	case s.zvol == v.subvol():
		return v, s, fmt.Errorf("%s is no %s volume: %w", s.name, v.Format, storage.ErrNotFound)
	case v.Linked() && v.BaseName != d.baseOf(s):
		return v, s, fmt.Errorf("%s is no clone of %s: %w", v.Name, v.BaseName, storage.ErrNotFound)
	}
	return v, s, nil
}

// baseSnapshot is the snapshot of a base volume that linked clones are made of.
const baseSnapshot = "__base__"

// baseOf is the name of the base volume that a dataset is a linked clone of, empty if there is none.
func (d *Driver) baseOf(s dataset) string {
	origin, ok := strings.CutSuffix(s.origin, "@"+baseSnapshot)
	if !ok {
		return ""
	}
	base, ok := strings.CutPrefix(origin, d.dataset+"/")
	if !ok || strings.Contains(base, "/") {
		return ""
	}
	return base
}

// snapshot is one of a dataset.
type snapshot struct {
	name    string // after the @
	created time.Time
}

// snapshots are those of a dataset, oldest first.
func (d *Driver) snapshots(ctx context.Context, name string) ([]snapshot, error) {
	out, err := d.tool.run(ctx, "list", "-Hp", "-d", "1", "-t", "snapshot", "-s", "createtxg", "-o", "name,creation", name)
	if err != nil {
		return nil, err
	}
	var list []snapshot
	err = rows(out, func(line string) error {
		whole, text, _ := strings.Cut(line, "\t")
		_, snap, ok := strings.Cut(whole, "@")
		var created int64
		if err := number(text, &created); err != nil || !ok {
			return fmt.Errorf("zfs list: snapshot %.200q", line)
		}
		list = append(list, snapshot{snap, time.Unix(created, 0)})
		return nil
	})
	return list, err
}
