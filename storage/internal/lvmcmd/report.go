package lvmcmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Volume is a logical volume as lvs describes it. See lvs(8).
type Volume struct {
	Name      string
	UUID      string // of the volume group and the volume as device-mapper has it: "LVM-" and 64 characters
	Attr      string // ten characters
	Pool      string // of a thin volume
	Origin    string // of a snapshot
	Tags      []string
	SizeBytes int64
	// ExtentBytes is what sizes in the volume group are multiples of.
	ExtentBytes int64
	Created     time.Time
	// DataPercent and MetadataPercent are what a thin volume or pool has taken; negative if that is not known.
	DataPercent, MetadataPercent float64
	ThinID                       int64 // of thin volumes: grows with each one made in a pool
}

// Type is the kind of the volume: '-' linear or striped, 'm' and 'M' mirrored, 'r' and 'R' RAID, 'V' thin, 't' thin pool.
func (v *Volume) Type() byte { return v.Attr[0] }

// Writable reports whether the volume itself takes writes.
func (v *Volume) Writable() bool { return v.Attr[1] == 'w' }

// Active reports whether there is a device for the volume on this machine.
func (v *Volume) Active() bool { return strings.IndexByte("-X", v.Attr[4]) < 0 }

// Open reports whether anything has the device open.
func (v *Volume) Open() bool { return v.Attr[5] == 'o' }

// Zeroes reports whether a thin pool overwrites blocks that it gives to a volume.
func (v *Volume) Zeroes() bool { return v.Attr[7] == 'z' }

// Health is the ninth attribute: '-' sound, 'F' failed, 'D' out of space for data, 'M' metadata read only, 'p' partial.
func (v *Volume) Health() byte { return v.Attr[8] }

// Group is a volume group as vgs describes it.
type Group struct {
	Name                             string
	SizeBytes, FreeBytes, ExtentSize int64
	Missing                          int // physical volumes that are not there
}

const volumeFields = "lv_name,lv_uuid,vg_uuid,vg_extent_size,lv_size,lv_attr,lv_time,lv_tags,pool_lv,origin,data_percent,metadata_percent"

// Volumes lists the visible logical volumes of a volume group. With thin, ThinID is filled. storage.ErrUnavailable for a group
// that is not there.
func (t *Tool) Volumes(ctx context.Context, group string, thin bool) ([]Volume, error) {
	return t.volumes(ctx, group, thin)
}

// Volume describes one logical volume. storage.ErrNotFound.
func (t *Tool) Volume(ctx context.Context, group, name string) (Volume, error) {
	list, err := t.volumes(ctx, group+"/"+name, false)
	if err != nil {
		return Volume{}, err
	}
	if len(list) != 1 || list[0].Name != name {
		return Volume{}, fmt.Errorf("report of %s/%s: %w", group, name, ErrReport)
	}
	return list[0], nil
}

func (t *Tool) volumes(ctx context.Context, what string, thin bool) ([]Volume, error) {
	fields := volumeFields
	if thin {
		fields += ",thin_id" // a field of segments: other volumes may come several times
	}
	out, err := t.report(ctx, "lvs", "-o", fields, "--", what)
	if err != nil {
		return nil, err
	}
	return parseVolumes(out)
}

// Group describes a volume group. storage.ErrUnavailable if it is not there.
func (t *Tool) Group(ctx context.Context, name string) (Group, error) {
	out, err := t.report(ctx, "vgs", "-o", "vg_name,vg_size,vg_free,vg_extent_size,vg_missing_pv_count", "--", name)
	if err != nil {
		return Group{}, err
	}
	g, err := parseGroup(out)
	if err == nil && g.Name != name {
		err = fmt.Errorf("report of %s: %w", name, ErrReport)
	}
	return g, err
}

// ErrReport is a report that is not as lvm2 writes them.
var ErrReport = errors.New("report of lvm2 not understood")

type row struct {
	Name     string `json:"lv_name"`
	UUID     string `json:"lv_uuid"`
	Group    string `json:"vg_uuid"`
	Extent   string `json:"vg_extent_size"`
	Size     string `json:"lv_size"`
	Attr     string `json:"lv_attr"`
	Time     string `json:"lv_time"`
	Tags     string `json:"lv_tags"`
	Pool     string `json:"pool_lv"`
	Origin   string `json:"origin"`
	Data     string `json:"data_percent"`
	Metadata string `json:"metadata_percent"`
	ThinID   string `json:"thin_id"`
}

func parseVolumes(text []byte) ([]Volume, error) {
	var doc struct {
		Report []struct {
			LV []row `json:"lv"`
		} `json:"report"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReport, err)
	}
	if len(doc.Report) != 1 {
		return nil, fmt.Errorf("%w: %d reports", ErrReport, len(doc.Report))
	}
	list := make([]Volume, 0, len(doc.Report[0].LV))
	for _, r := range doc.Report[0].LV {
		v, err := r.volume()
		if err != nil {
			return nil, err
		}
		if n := len(list); n > 0 && list[n-1].Name == v.Name { // a further segment; lvs sorts by name
			continue
		}
		list = append(list, v)
	}
	return list, nil
}

func (r *row) volume() (Volume, error) {
	v := Volume{Name: r.Name, Attr: r.Attr, Pool: r.Pool, Origin: r.Origin}
	if !ValidName(r.Name) || len(r.Attr) != 10 {
		return v, fmt.Errorf("%w: volume %q, attributes %q", ErrReport, r.Name, r.Attr)
	}
	v.UUID = "LVM-" + strings.ReplaceAll(r.Group+r.UUID, "-", "")
	if r.Tags != "" {
		v.Tags = strings.Split(r.Tags, ",")
	}
	n := numbers{name: r.Name}
	v.SizeBytes = n.bytes(r.Size)
	v.ExtentBytes = n.bytes(r.Extent)
	v.DataPercent, v.MetadataPercent = n.percent(r.Data), n.percent(r.Metadata)
	if r.Time != "" {
		v.Created = time.Unix(n.bytes(r.Time), 0)
	}
	if r.ThinID != "" {
		v.ThinID = n.bytes(r.ThinID)
	}
	if v.ExtentBytes == 0 && n.err == nil {
		n.err = fmt.Errorf("%w: %s: extents of no size", ErrReport, r.Name)
	}
	return v, n.err
}

// numbers reads numbers and keeps the first error.
type numbers struct {
	name string
	err  error
}

func (n *numbers) bytes(s string) int64 {
	v, err := strconv.ParseInt(s, 10, 64)
	if (err != nil || v < 0) && n.err == nil {
		n.err = fmt.Errorf("%w: %s: number %q", ErrReport, n.name, s)
	}
	return v
}

func (n *numbers) percent(s string) float64 {
	if s == "" {
		return -1
	}
	v, err := strconv.ParseFloat(s, 64)
	if (err != nil || !(v >= 0 && v <= 100)) && n.err == nil {
		n.err = fmt.Errorf("%w: %s: percentage %q", ErrReport, n.name, s)
	}
	return v
}

func parseGroup(text []byte) (Group, error) {
	var doc struct {
		Report []struct {
			VG []struct {
				Name    string `json:"vg_name"`
				Size    string `json:"vg_size"`
				Free    string `json:"vg_free"`
				Extent  string `json:"vg_extent_size"`
				Missing string `json:"vg_missing_pv_count"`
			} `json:"vg"`
		} `json:"report"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return Group{}, fmt.Errorf("%w: %w", ErrReport, err)
	}
	if len(doc.Report) != 1 || len(doc.Report[0].VG) != 1 {
		return Group{}, fmt.Errorf("%w: not one volume group", ErrReport)
	}
	r := doc.Report[0].VG[0]
	n := numbers{name: r.Name}
	g := Group{Name: r.Name, SizeBytes: n.bytes(r.Size), FreeBytes: n.bytes(r.Free), ExtentSize: n.bytes(r.Extent), Missing: int(n.bytes(r.Missing))}
	if n.err == nil && (g.ExtentSize == 0 || g.FreeBytes > g.SizeBytes) {
		n.err = fmt.Errorf("%w: %s: %d of %d bytes free in extents of %d", ErrReport, g.Name, g.FreeBytes, g.SizeBytes, g.ExtentSize)
	}
	return g, n.err
}
