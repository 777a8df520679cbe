package main

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/internal/calendar"
	"github.com/turtacn/go-proxmox/internal/cephconf"
	"github.com/turtacn/go-proxmox/internal/hostdisk"
	"github.com/turtacn/go-proxmox/internal/kernelversion"
	"github.com/turtacn/go-proxmox/storage/ovf"
	"github.com/turtacn/go-proxmox/storage/prune"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// storageMoreSuites are the suites of backups, appliances, disks and the files that describe storage and schedules.
func storageMoreSuites() map[string]suiteFunc {
	return map[string]suiteFunc{
		"storage.archive_info":  archiveInfo,
		"storage.prune_backups": pruneBackups,
		"storage.list_volumes":  listVolumes,
		"storage.ceph_conf":     cephConf,
		"storage.disks":         diskList,
		"storage.ovf":           parseOVF,
		"common.calendar":       calendarCase,
		"common.kernel_version": kernelVersion,
		"qemu.img_convert":      imgConvert,
	}
}

func archiveInfo(_ string, input json.RawMessage) (any, error) {
	var in struct {
		Name string `json:"volid_or_name"`
	}
	if err := readInput(input, &in); err != nil {
		return nil, err
	}
	b, err := volid.ParseBackupName(in.Name, time.UTC)
	if err != nil {
		return nil, err
	}
	out := map[string]any{"filename": b.FileName, "type": b.Guest, "format": b.Format, "is_std_name": b.Standard}
	if b.Compression != "" {
		out["compression"], out["decompressor"] = b.Compression, b.Decompressor()
	}
	if b.Standard {
		out["vmid"], out["ctime"] = b.VMID, b.Created.Unix()
		out["logfilename"], out["notesfilename"] = b.LogName(), b.NotesName()
	}
	return out, nil
}

// keepOf makes a policy of options in a map. What is no option there is not one here.
func keepOf(options map[string]any) (prune.Keep, error) {
	var parts []string
	for _, key := range []string{"keep-all", "keep-last", "keep-hourly", "keep-daily", "keep-weekly", "keep-monthly", "keep-yearly"} {
		if v := plain(options[key]); v != "" {
			parts = append(parts, key+"="+v)
		}
	}
	return prune.ParseKeep(strings.Join(parts, ","))
}

func pruneBackups(_ string, input json.RawMessage) (any, error) {
	var in struct {
		Backups []struct {
			Volume    string `json:"volid"`
			Created   any    `json:"ctime"`
			VMID      any    `json:"vmid"`
			Protected any    `json:"protected"`
		}
		Keep    map[string]any
		Default any `json:"storage_prune_backups"`
		VMID    any
		Type    *string
		TZ      string
	}
	if err := readInput(input, &in); err != nil {
		return nil, err
	}
	zone, err := time.LoadLocation(in.TZ)
	if err != nil {
		return nil, err
	}
	var keep prune.Keep
	switch d := in.Default.(type) {
	case string:
		keep, err = prune.ParseKeep(d)
	case map[string]any:
		keep, err = keepOf(d)
	}
	if in.Keep != nil {
		keep, err = keepOf(in.Keep)
	} else if in.Default == nil {
		err = fmt.Errorf("no prune-backups options configured")
	}
	if err != nil {
		return nil, err
	}
	var list []prune.Backup
	var rows []map[string]any
	for _, b := range in.Backups {
		guest := prune.GuestOf(b.Volume)
		if in.VMID != nil && plain(b.VMID) != plain(in.VMID) || in.Type != nil && guest != *in.Type {
			continue
		}
		list = append(list, prune.Backup{Volume: b.Volume, Protected: plain(b.Protected) == "1"})
		row := map[string]any{"volid": b.Volume, "type": guest, "ctime": b.Created}
		if v, err := volid.ParseBackupName(b.Volume, zone); err == nil && v.Standard {
			row["ctime"] = v.Created.Unix()
		}
		if b.VMID != nil {
			row["vmid"] = b.VMID
		}
		rows = append(rows, row)
	}
	for i, m := range prune.Plan(list, keep, zone) {
		rows[i]["mark"] = m
	}
	slices.SortFunc(rows, func(a, b map[string]any) int { return strings.Compare(a["volid"].(string), b["volid"].(string)) })
	return rows, nil
}

func cephConf(_ string, input json.RawMessage) (any, error) {
	var in struct{ Text string }
	if err := readInput(input, &in); err != nil {
		return nil, err
	}
	c := cephconf.Parse(in.Text)
	if again := cephconf.Parse(c.String()); again.String() != c.String() {
		return nil, fmt.Errorf("written configuration reads as %q", again)
	}
	sections := map[string]any{}
	for _, name := range cephconf.Parse(c.String()).Sections() {
		sections[name], _ = c.Section(name)
	}
	return map[string]any{"config": sections}, nil
}

func diskList(_ string, input json.RawMessage) (any, error) {
	var in struct{ Files map[string]string }
	if err := readInput(input, &in); err != nil {
		return nil, err
	}
	file := func(name string) string { return strings.TrimSpace(in.Files[name]) }
	facts := hostdisk.Facts{Mounts: in.Files["mounts"], LSBLK: in.Files["lsblk"], ZPool: in.Files["zpool"], PVs: in.Files["pvs"], LVs: in.Files["lvs"]}
	for name := range strings.FieldsSeq(in.Files["disklist"]) {
		d := hostdisk.Device{Name: name, Rotational: file(name + "/queue/rotational"), Vendor: file(name + "/device/vendor"),
			Model: file(name + "/device/model"), Udev: in.Files[name+"_udevadm"]}
		d.Sectors, _ = strconv.ParseInt(file(name+"/size"), 10, 64)
		for p := range strings.FieldsSeq(in.Files["partlist"]) {
			if size, ok := in.Files[path.Join(name, p, "size")]; ok {
				sectors, _ := strconv.ParseInt(strings.TrimSpace(size), 10, 64)
				// The recorded hosts do not say what holds a partition. On them, something did.
				d.Partitions = append(d.Partitions, hostdisk.Partition{Name: p, Sectors: sectors, Held: true})
			}
		}
		facts.Devices = append(facts.Devices, d)
	}
	disks, reports := map[string]any{}, map[string]any{}
	for _, d := range hostdisk.List(facts) {
		name := strings.ReplaceAll(d.Name, "/", "!")
		report := in.Files[name+"_health"]
		if d.Wears() {
			report = in.Files[name+"_smart"]
		}
		d.AddSMART(hostdisk.ParseSMART(report))
		disks[d.Name] = d.Row()
		if text, ok := in.Files[name+"_smart"]; ok {
			reports[d.Name] = hostdisk.ParseSMART(text).Row()
		}
	}
	return map[string]any{"disks": disks, "smart": reports}, nil
}

func parseOVF(_ string, input json.RawMessage) (any, error) {
	var in struct {
		OVF  string
		Size any `json:"vmdk_virtual_size"`
	}
	if err := readInput(input, &in); err != nil {
		return nil, err
	}
	d, err := ovf.Parse([]byte(in.OVF))
	if err != nil {
		return nil, err
	}
	disks, net := []map[string]any{}, map[string]any{}
	for _, disk := range d.Disks {
		disks = append(disks, map[string]any{"disk_address": disk.Address, "backing_file": disk.File, "relative_path": disk.File, "virtual_size": in.Size})
	}
	for key, model := range d.NetOptions() {
		net[key] = map[string]string{"model": model}
	}
	return map[string]any{"qm": d.Options(), "disks": disks, "net": net}, nil
}

func calendarCase(op string, input json.RawMessage) (any, error) {
	var in struct {
		Spec, TZ string
		Last     int64
	}
	if err := readInput(input, &in); err != nil {
		return nil, err
	}
	ev, err := calendar.Parse(in.Spec)
	if err != nil || op == "calendar_parse" {
		return map[string]bool{"ok": true}, err
	}
	zone, err := time.LoadLocation(in.TZ)
	if err != nil {
		return nil, err
	}
	next, ok := ev.Next(time.Unix(in.Last, 0), zone)
	if !ok {
		return map[string]any{"next": nil}, nil
	}
	return map[string]int64{"next": next.Unix()}, nil
}

func kernelVersion(_ string, input json.RawMessage) (any, error) {
	var in struct {
		Text string `json:"proc_version"`
	}
	if err := readInput(input, &in); err != nil {
		return nil, err
	}
	v := kernelversion.Parse(in.Text)
	return []any{v.Major, v.Minor, v.Patch, v.Extra, v.Release}, nil
}
