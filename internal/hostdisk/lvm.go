package hostdisk

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// VolumeGroup is a group of LVM with its physical volumes.
type VolumeGroup struct {
	Name                 string
	SizeBytes, FreeBytes int64
	LVs                  int
	PVs                  []PhysicalVolume // sorted by path
}

// PhysicalVolume is a device that belongs to a group.
type PhysicalVolume struct {
	Path                 string
	Group                string // empty: to none
	SizeBytes, FreeBytes int64
}

// ThinPool is a pool of LVM whose volumes take space as they are written. The metadata's size does not include its spare.
type ThinPool struct {
	Group, Name              string
	SizeBytes, MetadataBytes int64
	DataPercent, MetaPercent float64
	Active                   bool
	Type, State              string // characters of lv_attr
	Tags                     string // comma list
	Created                  int64  // Unix time, 0 if not told
}

// UsedBytes is what the pool's volumes take, MetaUsedBytes what is taken of its metadata.
func (p *ThinPool) UsedBytes() int64 { return int64(float64(p.SizeBytes) * p.DataPercent / 100) }
func (p *ThinPool) MetaUsedBytes() int64 {
	return int64(float64(p.MetadataBytes) * p.MetaPercent / 100)
}

// LVMArgs are the arguments, after those that choose what to report, that make LVM's programs print what the parsers here
// read: --reportformat json in bytes, nothing written to the host.
func LVMArgs() []string {
	return []string{"--readonly", "--reportformat", "json", "--units", "b", "--nosuffix", "--config", `report{time_format="%s"}`}
}

// Options of the programs vgs, pvs and lvs for the parsers of their outputs.
const (
	VGFields = "vg_name,vg_size,vg_free,lv_count"
	PVFields = "pv_name,pv_size,pv_free,vg_name"
	LVFields = "vg_name,lv_name,lv_size,lv_attr,data_percent,metadata_percent,lv_metadata_size,lv_tags,lv_time"
)

// report reads the rows of one kind out of a report of LVM.
func report(text, kind string) ([]map[string]string, error) {
	var out struct {
		Report []map[string][]map[string]string `json:"report"`
	}
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		return nil, fmt.Errorf("report of LVM: %w", err)
	}
	var rows []map[string]string
	for _, r := range out.Report {
		rows = append(rows, r[kind]...)
	}
	return rows, nil
}

func number(s string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func percent(s string) float64 {
	v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || v < 0 || v > 100 {
		return 0
	}
	return v
}

// ParseGroups reads the outputs of vgs and pvs, sorted by name. An empty pvs leaves the devices out.
func ParseGroups(vgs, pvs string) ([]VolumeGroup, error) {
	rows, err := report(vgs, "vg")
	if err != nil {
		return nil, err
	}
	devices, err := ParsePVs(pvs)
	if err != nil {
		return nil, err
	}
	var groups []VolumeGroup
	for _, r := range rows {
		if r["vg_name"] == "" {
			continue
		}
		g := VolumeGroup{Name: r["vg_name"], SizeBytes: number(r["vg_size"]), FreeBytes: number(r["vg_free"]), LVs: int(number(r["lv_count"]))}
		for _, d := range devices {
			if d.Group == g.Name {
				g.PVs = append(g.PVs, d)
			}
		}
		groups = append(groups, g)
	}
	slices.SortFunc(groups, func(a, b VolumeGroup) int { return strings.Compare(a.Name, b.Name) })
	return groups, nil
}

// ParsePVs reads the output of pvs, sorted by path.
func ParsePVs(text string) ([]PhysicalVolume, error) {
	rows, err := report(text, "pv")
	var list []PhysicalVolume
	for _, r := range rows {
		if strings.HasPrefix(r["pv_name"], "/dev/") {
			list = append(list, PhysicalVolume{r["pv_name"], r["vg_name"], number(r["pv_size"]), number(r["pv_free"])})
		}
	}
	slices.SortFunc(list, func(a, b PhysicalVolume) int { return strings.Compare(a.Path, b.Path) })
	return list, err
}

// ParseThinPools reads the thin pools out of the output of lvs, sorted by group and name.
func ParseThinPools(text string) ([]ThinPool, error) {
	rows, err := report(text, "lv")
	var list []ThinPool
	for _, r := range rows {
		attr := r["lv_attr"]
		if len(attr) < 6 || attr[0] != 't' {
			continue
		}
		list = append(list, ThinPool{
			Group: r["vg_name"], Name: r["lv_name"], SizeBytes: number(r["lv_size"]), MetadataBytes: number(r["lv_metadata_size"]),
			DataPercent: percent(r["data_percent"]), MetaPercent: percent(r["metadata_percent"]),
			Active: attr[4] == 'a', Type: attr[:1], State: attr[4:5], Tags: r["lv_tags"], Created: number(r["lv_time"]),
		})
	}
	slices.SortFunc(list, func(a, b ThinPool) int {
		if c := strings.Compare(a.Group, b.Group); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	return list, err
}

// Row is the pool as the API lists it.
func (p *ThinPool) Row() map[string]any {
	row := map[string]any{
		"vg": p.Group, "lv": p.Name, "lv_size": p.SizeBytes, "lv_state": p.State, "lv_type": p.Type, "used": p.UsedBytes(),
		"metadata_size": p.MetadataBytes, "metadata_used": p.MetaUsedBytes(),
	}
	if p.Created > 0 {
		row["ctime"] = p.Created
	}
	if p.Tags != "" {
		row["tags"] = p.Tags
	}
	return row
}

// CountLVs counts the volumes in an output of lvs.
func CountLVs(text string) (int, error) {
	rows, err := report(text, "lv")
	return len(rows), err
}
