package main

import (
	"cmp"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/copycmd"
	"github.com/turtacn/go-proxmox/storage/dir"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// listCase is a folder of files, and what is asked of it.
type listCase struct {
	Guests  map[string]struct{ Type string } `json:"vmlist"`
	Storage map[string]any
	ID      string `json:"storeid"`
	VMID    any
	Types   []volid.Content
	Files   []string
	Backing []*string
	Size    int64 `json:"file_size"`
	Used    int64 `json:"file_used"`
	Created int64 `json:"file_ctime"`
}

// listVolumes makes the files in a folder of its own and lists them with the driver. Space and times of files cannot be
// set, so those of the case are given back.
func listVolumes(_ string, input json.RawMessage) (any, error) {
	var in listCase
	if err := readInput(input, &in); err != nil {
		return nil, err
	}
	root, err := os.MkdirTemp("", "volumes")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(root)
	at := plain(in.Storage["path"])
	for i, f := range in.Files {
		backing := ""
		if i < len(in.Backing) && in.Backing[i] != nil {
			backing = *in.Backing[i]
		}
		if err := makeFile(root+strings.TrimPrefix(f, at), in.Size, backing); err != nil {
			return nil, err
		}
	}
	options := optionTexts(in.Storage)
	delete(options, "type")
	options["path"] = root
	rows, err := in.list(volid.Storage{ID: in.ID, Type: plain(in.Storage["type"]), Options: options})
	// The kinds of content come in the order in which they were asked for.
	slices.SortFunc(rows, func(a, b map[string]any) int {
		kinds := slices.Index(in.Types, a["content"].(volid.Content)) - slices.Index(in.Types, b["content"].(volid.Content))
		return cmp.Or(kinds, strings.Compare(strings.ToLower(a["volid"].(string)), strings.ToLower(b["volid"].(string))))
	})
	return rows, err
}

// makeFile makes a folder for a name that ends in a slash, an image, or a file of so many bytes.
func makeFile(name string, size int64, backing string) error {
	if strings.HasSuffix(name, "/") {
		return os.MkdirAll(name, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	format := strings.TrimPrefix(filepath.Ext(name), ".")
	if format != "qcow2" && format != "vmdk" {
		if err := os.WriteFile(name, nil, 0o644); err != nil {
			return err
		}
		return os.Truncate(name, size)
	}
	args := []string{"create", "-q", "-f", format}
	if backing != "" {
		args = append(args, "-u", "-F", "qcow2", "-b", backing)
	}
	return exec.Command("qemu-img", append(args, name, plain(size))...).Run()
}

func (c *listCase) list(s volid.Storage) ([]map[string]any, error) {
	reg, err := storage.NewRegistry(dir.Backend(nil))
	if err != nil {
		return nil, err
	}
	drv, err := reg.Open(storage.Config{ID: s.ID, Type: s.Type, Options: s.Options})
	if err != nil {
		return nil, err
	}
	rows := []map[string]any{}
	for v, err := range drv.List(context.Background(), storage.Filter{}) {
		if err != nil {
			return nil, err
		}
		if row, ok := c.row(s, &v); ok {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// row describes a volume as content lists do; false for one that was not asked for.
func (c *listCase) row(s volid.Storage, v *storage.Volume) (map[string]any, bool) {
	parsed, err := s.Parse(string(v.ID))
	if err != nil {
		return nil, false
	}
	content := parsed.ListContent(func(vmid int) bool { return c.Guests[plain(vmid)].Type == "lxc" })
	owner := parsed.ListOwner()
	asked := c.VMID == nil || plain(c.VMID) == plain(owner) || content == volid.Snippets || content == volid.Import
	if !asked || !slices.Contains(c.Types, content) || !s.Holds(content) {
		return nil, false
	}
	row := map[string]any{"volid": s.ID + ":" + string(v.ID), "content": content, "format": parsed.ListFormat(), "size": v.SizeBytes, "ctime": c.Created}
	if owner != 0 {
		row["vmid"] = owner
	}
	switch parsed.Content {
	case volid.Images:
		row["used"], row["parent"] = c.Used, v.Backing
	case volid.Backup:
		row["subtype"] = parsed.BackupGuest()
		if !v.Created.IsZero() {
			row["ctime"] = v.Created.Unix()
		}
	}
	return row, true
}

// imgConvert runs on a host that has Proxmox VE's firmware files, and those named below the working directory.
func imgConvert(_ string, input json.RawMessage) (any, error) {
	var in struct {
		Storages map[string]map[string]any
		Src, Dst string
		Opts     struct {
			Snapshot string `json:"snapname"`
			Limit    int64  `json:"bwlimit"`
			Zeroed   int    `json:"is-zero-initialized"`
		}
	}
	if err := readInput(input, &in); err != nil {
		return nil, err
	}
	args, err := copycmd.Args(in.Src, in.Dst, copycmd.Options{
		Storage: func(id string) (volid.Storage, bool) {
			s, ok := in.Storages[id]
			return volid.Storage{ID: id, Type: plain(s["type"]), Options: optionTexts(s)}, ok
		},
		Facts:    &volid.Facts{LUN: func(volid.Storage, string) (int, error) { return 1, nil }},
		Exists:   func(p string) bool { return strings.HasPrefix(p, "/usr/share/kvm/") || strings.HasPrefix(p, "./") },
		Snapshot: in.Opts.Snapshot, LimitKiB: in.Opts.Limit, Zeroed: in.Opts.Zeroed != 0, Initiator: "foobar",
	})
	return map[string]any{"argv": append([]string{"/usr/bin/qemu-img"}, args...)}, err
}
