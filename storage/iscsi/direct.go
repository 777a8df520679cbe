package iscsi

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/qimg"
)

// Direct is a target that each user of a volume logs into itself: type iscsidirect.
type Direct struct {
	target
	tool *qimg.Tool
}

// NewDirect returns the driver for a target. portal is HOST or HOST:PORT. Nothing is touched.
func NewDirect(portal, name string, o *Options) (*Direct, error) {
	t, err := newTarget("iscsidirect", portal, name, o)
	if err != nil {
		return nil, err
	}
	d := &Direct{target: t, tool: t.opt.Tool}
	if d.tool == nil {
		d.tool, err = qimg.New(nil)
	}
	return d, err
}

// DirectBackend opens drivers from sections of storage.cfg of the type iscsidirect.
func DirectBackend(o *Options) storage.Backend {
	return storage.Backend{Type: "iscsidirect", Open: func(cfg storage.Config) (storage.Driver, error) {
		return NewDirect(cfg.Options["portal"], cfg.Options["target"], o)
	}}
}

// Activate implements storage.Activator: the portal answers.
func (d *Direct) Activate(ctx context.Context) error {
	return d.fail("activate", "", d.reachable(ctx, d.portal))
}

// Create implements storage.Driver: errors.ErrUnsupported.
func (d *Direct) Create(_ context.Context, spec storage.VolumeSpec) (storage.Volume, error) {
	return storage.Volume{}, d.never("create", spec.ID)
}

// Delete implements storage.Driver: errors.ErrUnsupported.
func (d *Direct) Delete(_ context.Context, id storage.VolumeID) error { return d.never("delete", id) }

// Usage implements storage.Driver: how much a target has is not known here.
func (d *Direct) Usage(ctx context.Context) (storage.Usage, error) {
	return storage.Usage{}, d.fail("usage", "", d.reachable(ctx, d.portal))
}

// Stat implements storage.Driver.
func (d *Direct) Stat(ctx context.Context, id storage.VolumeID) (storage.Volume, error) {
	at, err := d.locate(ctx, id)
	if err != nil {
		return storage.Volume{}, d.fail("stat", id, err)
	}
	v, err := d.describe(ctx, at)
	return v, d.fail("stat", id, err)
}

// List implements storage.Driver.
func (d *Direct) List(ctx context.Context, f storage.Filter) iter.Seq2[storage.Volume, error] {
	return func(yield func(storage.Volume, error) bool) {
		if v := unit("", 0); !f.Match(&v) {
			return
		}
		luns, err := d.luns(ctx)
		if err != nil {
			yield(storage.Volume{}, d.fail("list", "", err))
			return
		}
		for _, lun := range luns {
			v, err := d.describe(ctx, d.at(lun))
			if !yield(v, d.fail("list", "", err)) || err != nil {
				return
			}
		}
	}
}

func (d *Direct) describe(ctx context.Context, at storage.ISCSI) (storage.Volume, error) {
	info, err := d.tool.Info(ctx, &storage.Image{Remote: at, Format: storage.Raw})
	return unit(storage.VolumeID("lun"+strconv.Itoa(at.LUN)), info.VirtualBytes), err
}

func (d *Direct) at(lun int) storage.ISCSI {
	return storage.ISCSI{Portal: d.portal, Target: d.name, LUN: lun, Initiator: d.opt.Initiator}
}

// locate finds the unit of a volume at the target.
func (d *Direct) locate(ctx context.Context, id storage.VolumeID) (storage.ISCSI, error) {
	lun, err := d.lun(id)
	if err != nil {
		return storage.ISCSI{}, err
	}
	luns, err := d.luns(ctx)
	if err == nil && !slices.Contains(luns, lun) {
		err = storage.ErrNotFound
	}
	return d.at(lun), err
}

// lun reads a volume id: lunN.
func (d *Direct) lun(id storage.VolumeID) (int, error) {
	v, err := d.parse(id)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(v.Name)
	if err != nil || storage.VolumeID("lun"+strconv.Itoa(n)) != id {
		return 0, fmt.Errorf("unit %q: %w", v.Name, storage.ErrBadID)
	}
	return n, nil
}

// luns are the numbers of the target's disks.
func (d *Direct) luns(ctx context.Context) ([]int, error) {
	if err := d.reachable(ctx, d.portal); err != nil {
		return nil, err
	}
	argv := []string{"iscsi-ls", "--show-luns"}
	if d.opt.Initiator != "" {
		argv = append(argv, "--initiator-name", d.opt.Initiator)
	}
	out, err := d.run(ctx, append(argv, "iscsi://"+d.portal)...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", storage.ErrUnavailable, err)
	}
	return parseLUNs(out, d.name)
}

// lunLine is a unit in the output of iscsi-ls: "Lun:1    Type:DIRECT_ACCESS (Size:1G)".
var lunLine = regexp.MustCompile(`^\s*Lun:(\d+)\s+Type:(\S+)`)

// parseLUNs reads the disks of one target from the list of all.
func parseLUNs(text []byte, name string) ([]int, error) {
	var luns []int
	var ours, found bool
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "Target:"); ok {
			other, _, _ := strings.Cut(rest, " ")
			ours = other == name
			found = found || ours
			continue
		}
		m := lunLine.FindStringSubmatch(lines.Text())
		if !ours || m == nil || m[2] != "DIRECT_ACCESS" {
			continue
		}
		n, err := strconv.Atoi(m[1])
		if err != nil {
			return nil, fmt.Errorf("unit %q: %w", m[1], err)
		}
		if !slices.Contains(luns, n) { // once for each portal
			luns = append(luns, n)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if !found {
		return nil, fmt.Errorf("%w: no target %s at the portal", storage.ErrUnavailable, name)
	}
	return luns, nil
}

// Attach implements storage.Driver: a storage.ISCSI. There is nothing to prepare, and the target asks nobody who he is.
func (d *Direct) Attach(ctx context.Context, id storage.VolumeID, _ storage.AttachOptions) (storage.Attachment, error) {
	at, err := d.locate(ctx, id)
	if err != nil {
		return nil, d.fail("attach", id, err)
	}
	return at, nil
}

// Detach implements storage.Driver.
func (d *Direct) Detach(_ context.Context, id storage.VolumeID) error {
	_, err := d.lun(id)
	return d.fail("detach", id, err)
}

// Open implements storage.Opener. The image has no file.
func (d *Direct) Open(ctx context.Context, id storage.VolumeID, _ bool) (*storage.Image, error) {
	at, err := d.locate(ctx, id)
	if err != nil {
		return nil, d.fail("open", id, err)
	}
	return &storage.Image{Remote: at, Format: storage.Raw}, nil
}

// Path implements storage.Pather: iscsi://PORTAL/TARGET/LUN.
func (d *Direct) Path(id storage.VolumeID) (string, error) {
	n, err := d.lun(id)
	if err != nil {
		return "", d.fail("locate", id, err)
	}
	return fmt.Sprintf("iscsi://%s/%s/%d", d.portal, d.name, n), nil
}
