package disks

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/turtacn/go-proxmox/internal/atomicfile"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/internal/volume"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// mountRoot is where the file systems of this package are mounted.
const mountRoot = "/mnt/pve"

// unitName escapes a name for a unit, see systemd-escape(1).
func unitName(name string) string {
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		switch {
		case c == '/':
			b.WriteByte('-')
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == ':', c == '_', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, `\x%02x`, c)
		}
	}
	return b.String()
}

func mountUnit(name string) string {
	return unitName(strings.TrimPrefix(path.Join(mountRoot, name), "/")) + ".mount"
}

// mount is a mount unit of this package.
type mount struct{ unit, what, where, typ, options string }

var unitOption = regexp.MustCompile(`^(What|Where|Type|Options)\s*=\s*(.*?)\s*$`)

func parseUnit(unit, text string) mount {
	m := mount{unit: unit, options: "defaults"}
	section := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = line
		}
		w := unitOption.FindStringSubmatch(line)
		if section != "[Mount]" || w == nil {
			continue
		}
		switch w[1] {
		case "What":
			m.what = w[2]
		case "Where":
			m.where = w[2]
		case "Type":
			m.typ = w[2]
		case "Options":
			m.options = w[2]
		}
	}
	return m
}

// mounts lists the mount units below mountRoot.
func (s *Service) mounts() ([]mount, error) {
	files, err := filepath.Glob(filepath.Join(s.path(s.o.UnitDir), "mnt-pve-*.mount"))
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	var list []mount
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		list = append(list, parseUnit(path.Join(s.o.UnitDir, filepath.Base(file)), string(data)))
	}
	return list, nil
}

// GetNodesDisksDirectory answers the file systems that were made of disks.
func (s *Service) GetNodesDisksDirectory(context.Context, *schema.GetNodesDisksDirectory) ([]schema.GetNodesDisksDirectoryRow, error) {
	list, err := s.mounts()
	rows := []schema.GetNodesDisksDirectoryRow{}
	for _, m := range list {
		rows = append(rows, schema.GetNodesDisksDirectoryRow{Unitfile: m.unit, Path: m.where, Device: m.what, Type: m.typ, Options: m.options})
	}
	return rows, err
}

func dirStorage(name string) registration {
	return registration{"dir", map[string]string{
		"path": path.Join(mountRoot, name), "is_mountpoint": "1", "content": "rootdir,images,iso,backup,vztmpl,snippets",
	}}
}

// PostNodesDisksDirectory makes a file system of a device, and mounts it, in a task.
func (s *Service) PostNodesDisksDirectory(ctx context.Context, req *schema.PostNodesDisksDirectory) (string, error) {
	p := makeParams{Name: req.Name, Device: req.Device, Filesystem: "ext4", Storage: isTrue(req.AddStorage)}
	if req.Filesystem != nil {
		p.Filesystem = *req.Filesystem
	}
	if _, err := s.checkDirectory(ctx, &p); err != nil {
		return "", err
	}
	return s.submit(ctx, taskDir, p.Name, p)
}

func (s *Service) checkDirectory(ctx context.Context, p *makeParams) (found, error) {
	f, err := s.checkNew(ctx, p, dirStorage(p.Name))
	if err != nil {
		return f, err
	}
	where := path.Join(mountRoot, p.Name)
	for line := range strings.Lines(s.read("/proc/mounts")) {
		if w := strings.Fields(line); len(w) > 1 && w[1] == where {
			return f, call.Errorf("the path for '%s' is already mounted: %s (%s)", p.Name, where, w[0])
		}
	}
	unit := path.Join(s.o.UnitDir, mountUnit(p.Name))
	if _, err := os.Lstat(s.path(unit)); err == nil {
		return f, call.Errorf("a systemd mount unit already exists: %s", unit)
	}
	return f, nil
}

func (s *Service) runDirectory(ctx context.Context, op *task.Op) error {
	var p makeParams
	if err := op.Decode(&p); err != nil {
		return err
	}
	f, err := s.checkDirectory(ctx, &p)
	if err != nil {
		return err
	}
	part, err := s.partition(ctx, op, f, "8300")
	if err != nil {
		return err
	}
	if err := s.do(ctx, op, "mkfs", "-t", p.Filesystem, part); err != nil {
		return err
	}
	out, err := s.ask(ctx, "blkid", "-p", "-o", "value", "-s", "UUID", part)
	if err != nil {
		return err
	}
	uuid := strings.TrimSpace(out)
	if !regexp.MustCompile(`^[0-9a-fA-F-]{8,36}$`).MatchString(uuid) {
		return call.Errorf("the new file system on '%s' has no UUID", part)
	}
	if err := s.writeUnit(op, &p, uuid); err != nil {
		return err
	}
	for _, args := range [][]string{{"daemon-reload"}, {"enable", mountUnit(p.Name)}, {"start", mountUnit(p.Name)}} {
		if err := s.do(ctx, op, "systemctl", args...); err != nil {
			return err
		}
	}
	return s.register(ctx, op, &p, dirStorage(p.Name))
}

func (s *Service) writeUnit(op *task.Op, p *makeParams, uuid string) error {
	unit := path.Join(s.o.UnitDir, mountUnit(p.Name))
	text := fmt.Sprintf("[Unit]\nDescription=Mount storage '%s' under %s\n\n[Mount]\nWhat=/dev/disk/by-uuid/%s\nWhere=%s\nType=%s\nOptions=defaults\n\n[Install]\nWantedBy=multi-user.target\n",
		p.Name, mountRoot, uuid, path.Join(mountRoot, p.Name), p.Filesystem)
	op.Logf("writing %s", unit)
	return atomicfile.Write(s.path(unit), []byte(text), 0o644)
}

// DeleteNodesDisksDirectoryName unmounts a file system, for good, in a task.
func (s *Service) DeleteNodesDisksDirectoryName(ctx context.Context, req *schema.DeleteNodesDisksDirectoryName) (string, error) {
	p := dropParams{Name: req.Name, CleanupConfig: isTrue(req.CleanupConfig), CleanupDisks: isTrue(req.CleanupDisks)}
	if err := s.mayChange(ctx, p.CleanupConfig); err != nil {
		return "", err
	}
	return s.submit(ctx, taskDropDir, p.Name, p)
}

func (s *Service) runDropDirectory(ctx context.Context, op *task.Op) error {
	var p dropParams
	if err := op.Decode(&p); err != nil {
		return err
	}
	if err := s.mayChange(ctx, p.CleanupConfig); err != nil {
		return err
	}
	unit := mountUnit(p.Name)
	file := path.Join(s.o.UnitDir, unit)
	data, err := os.ReadFile(s.path(file))
	if err != nil {
		return &call.Error{Status: 500, Text: "no such mount unit '" + unit + "'", Err: err}
	}
	m := parseUnit(file, string(data))
	where := path.Join(mountRoot, p.Name)
	if m.where != where {
		return call.Errorf("mount unit '%s' is not about '%s'", unit, where)
	}
	var devices []string
	if p.CleanupDisks { // the link is gone with the file system
		dev, err := s.resolve(m.what)
		if err != nil {
			return err
		}
		devices = append(devices, dev)
	}
	for _, args := range [][]string{{"stop", unit}, {"disable", unit}} {
		if err := s.do(ctx, op, "systemctl", args...); err != nil {
			return err
		}
	}
	if err := os.Remove(s.path(file)); err != nil {
		return err
	}
	s.look(ctx, "systemctl", "daemon-reload")
	return s.finishDrop(ctx, op, &p, devices, func(c *volume.Config) bool { return c.Type == "dir" && c.Path() == where })
}
