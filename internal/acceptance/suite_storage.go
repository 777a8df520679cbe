package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/turtacn/go-proxmox/internal/pveconf"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// storageSuites are the suites of volume names and paths.
func storageSuites() map[string]suiteFunc {
	return map[string]suiteFunc{
		"storage.parse_volname":     parseVolname,
		"storage.get_subdir":        getSubdir,
		"storage.filesystem_path":   filesystemPath,
		"storage.path_to_volume_id": pathToVolumeID,
	}
}

func parseVolname(_ string, input json.RawMessage) (any, error) {
	var in struct {
		Type string `json:"storage_type"`
		Name string `json:"volname"`
	}
	if err := readInput(input, &in); err != nil {
		return nil, err
	}
	v, err := volid.Parse(in.Type, in.Name)
	if err != nil {
		return nil, err
	}
	out := map[string]any{"vtype": v.Content, "name": v.Name, "format": v.Format}
	if v.VMID != 0 {
		out["vmid"] = v.VMID
	}
	if v.Linked() {
		out["basename"], out["basevmid"] = v.BaseName, v.BaseVMID
	}
	if v.Base {
		out["isbase"] = "base-"
	}
	return out, nil
}

// optionTexts writes options as storage.cfg has them.
func optionTexts(options map[string]any) map[string]string {
	texts := map[string]string{}
	for key, v := range options {
		if pairs, ok := v.(map[string]any); ok {
			var list []string
			for k, x := range pairs {
				list = append(list, k+"="+fmt.Sprint(x))
			}
			texts[key] = strings.Join(list, ",")
			continue
		}
		texts[key] = fmt.Sprint(v)
	}
	return texts
}

func getSubdir(_ string, input json.RawMessage) (any, error) {
	var in struct {
		Storage map[string]any
		VType   volid.Content
	}
	if err := readInput(input, &in); err != nil {
		return nil, err
	}
	dir, err := volid.Storage{ID: "store", Type: "dir", Options: optionTexts(in.Storage)}.Dir(in.VType)
	return map[string]any{"path": dir}, err
}

func filesystemPath(_ string, input json.RawMessage) (any, error) {
	var in struct{ Path, VolName, SnapName string }
	if err := readInput(input, &in); err != nil {
		return nil, err
	}
	s := volid.Storage{ID: "store", Type: "dir", Options: map[string]string{"path": in.Path}}
	v, err := s.Parse(in.VolName)
	if err != nil {
		return nil, err
	}
	loc, err := s.Locate(in.VolName, in.SnapName, nil)
	if err != nil {
		return nil, err
	}
	out := map[string]any{"path": loc.Text(), "vtype": v.Content}
	if v.VMID != 0 {
		out["vmid"] = v.VMID
	}
	return out, nil
}

func pathToVolumeID(_ string, input json.RawMessage) (any, error) {
	var in struct {
		Config string `json:"storage_cfg"`
		Path   string
	}
	if err := readInput(input, &in); err != nil {
		return nil, err
	}
	f, _ := pveconf.ParseSections(in.Config, &pveconf.SectionRules{KeepUnknown: true})
	var list []volid.Storage
	for _, s := range f.Sections() {
		list = append(list, volid.Storage{ID: s.ID, Type: s.Type, Options: s.Values})
	}
	id, v, ok := volid.FromPath(list, in.Path, nil)
	if !ok {
		return map[string]any{}, nil
	}
	return map[string]any{"volid": id.String(), "vtype": v.Content}, nil
}
