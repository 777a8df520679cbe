package disks

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/internal/hostdisk"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/internal/volume"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

func (s *Service) pools(ctx context.Context) ([]hostdisk.Pool, error) {
	out, err := s.ask(ctx, "zpool", "list", "-H", "-p", "-o", "name,size,alloc,free,frag,dedup,health")
	return hostdisk.ParsePools(out), err
}

// GetNodesDisksZfs answers the pools of ZFS.
func (s *Service) GetNodesDisksZfs(ctx context.Context, _ *schema.GetNodesDisksZfs) ([]schema.GetNodesDisksZfsRow, error) {
	pools, err := s.pools(ctx)
	rows := []schema.GetNodesDisksZfsRow{}
	for _, p := range pools {
		rows = append(rows, schema.GetNodesDisksZfsRow{
			Name: p.Name, Size: p.SizeBytes, Alloc: p.AllocBytes, Free: p.FreeBytes, Frag: p.Fragmentation, Dedup: p.Dedup, Health: p.Health,
		})
	}
	return rows, err
}

// GetNodesDisksZfsName answers the state of a pool, with the tree of its devices.
func (s *Service) GetNodesDisksZfsName(ctx context.Context, req *schema.GetNodesDisksZfsName) (any, error) {
	if strings.HasPrefix(req.Name, "-") {
		return nil, call.Param("name", "not the name of a pool")
	}
	out, err := s.ask(ctx, "zpool", "status", "-P", req.Name)
	if err != nil {
		return nil, err
	}
	p := hostdisk.ParsePoolStatus(out)
	row := map[string]any{"name": p.Name, "state": p.State, "errors": p.Errors, "children": deviceRows(p.Devices), "leaf": 0}
	for key, v := range map[string]string{"status": p.Status, "action": p.Action, "scan": p.Scan} {
		if v != "" {
			row[key] = v
		}
	}
	return row, nil
}

func deviceRows(devices []hostdisk.PoolDevice) []map[string]any {
	rows := []map[string]any{}
	for _, d := range devices {
		row := map[string]any{"name": d.Name, "msg": d.Message, "leaf": 1}
		if d.State != "" {
			row["state"] = d.State
		}
		if d.Counted {
			row["read"], row["write"], row["cksum"] = d.Read, d.Write, d.Cksum
		}
		if len(d.Children) > 0 {
			row["leaf"], row["children"] = 0, deviceRows(d.Children)
		}
		rows = append(rows, row)
	}
	return rows
}

// zfsParams are those of the operation zfscreate.
type zfsParams struct {
	Name, Level string
	Devices     []string
	Ashift      int64
	Compression string
	DRAID       string `json:",omitempty"`
	Storage     bool   `json:",omitempty"`
}

// minDisks is how many disks each level needs.
func minDisks(level string) int {
	return map[string]int{
		"single": 1, "mirror": 2, "raid10": 4, "raidz": 3, "raidz2": 4, "raidz3": 5, "draid": 3, "draid2": 4, "draid3": 5,
	}[level]
}

// topology returns the words of zpool create that say how the devices stand together.
func (p *zfsParams) topology(devices []string) ([]string, error) {
	n := minDisks(p.Level)
	switch {
	case n == 0:
		return nil, call.Param("raidlevel", "unknown level '%s'", p.Level)
	case len(devices) < n:
		return nil, call.Errorf("%s needs at least %d disks", p.Level, n)
	case p.Level == "single" && len(devices) > 1:
		return nil, call.Errorf("please give only one disk for single disk mode")
	case p.Level == "raid10" && len(devices)%2 != 0:
		return nil, call.Errorf("raid10 needs an even number of disks")
	case p.DRAID != "" && !strings.HasPrefix(p.Level, "draid"):
		return nil, call.Errorf("draid-config set without using dRAID level")
	}
	switch {
	case p.Level == "single":
		return devices, nil
	case p.Level == "raid10":
		var words []string
		for pair := range slices.Chunk(devices, 2) {
			words = append(words, append([]string{"mirror"}, pair...)...)
		}
		return words, nil
	case p.DRAID != "":
		kind, err := p.draid(len(devices))
		return append([]string{kind}, devices...), err
	}
	return append([]string{p.Level}, devices...), nil
}

// draid is the kind of a dRAID with its numbers of data disks and spares: draid2:4d:9c:1s.
func (p *zfsParams) draid(disks int) (string, error) {
	data, spares := 0, 0
	for pair := range strings.SplitSeq(p.DRAID, ",") {
		key, value, _ := strings.Cut(pair, "=")
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 {
			return "", call.Param("draid-config", "value '%s' is no number", value)
		}
		switch key {
		case "data":
			data = n
		case "spares":
			spares = n
		}
	}
	parity := 1
	if n, err := strconv.Atoi(strings.TrimPrefix(p.Level, "draid")); err == nil {
		parity = n
	}
	if need := data + parity + spares; disks < need {
		return "", call.Errorf("At least %d disks needed for current dRAID config", need)
	}
	kind := p.Level
	if data > 0 {
		kind += ":" + strconv.Itoa(data) + "d"
	}
	return kind + ":" + strconv.Itoa(disks) + "c:" + strconv.Itoa(spares) + "s", nil
}

func zfsStorage(name string) registration {
	return registration{"zfspool", map[string]string{"pool": name, "content": "rootdir,images"}}
}

// PostNodesDisksZfs makes a pool of disks in a task.
func (s *Service) PostNodesDisksZfs(ctx context.Context, req *schema.PostNodesDisksZfs) (string, error) {
	p := zfsParams{
		Name: req.Name, Level: req.Raidlevel, Ashift: 12, Compression: "on", Storage: isTrue(req.AddStorage),
		Devices: strings.FieldsFunc(req.Devices, func(r rune) bool { return r == ',' || r == ';' || r == ' ' }),
	}
	if req.Ashift != nil {
		p.Ashift = *req.Ashift
	}
	if req.Compression != nil {
		p.Compression = *req.Compression
	}
	if req.DraidConfig != nil {
		p.DRAID = *req.DraidConfig
	}
	if _, _, err := s.checkZFS(ctx, &p); err != nil {
		return "", err
	}
	return s.submit(ctx, taskZFS, p.Name, p)
}

// checkZFS is done before the task and again in it. It returns the devices and the words that make the pool.
func (s *Service) checkZFS(ctx context.Context, p *zfsParams) (devices []found, words []string, err error) {
	if err := s.mayChange(ctx, p.Storage); err != nil {
		return nil, nil, err
	}
	if p.Storage {
		r := zfsStorage(p.Name)
		if err := s.storages.CheckForNode(ctx, r.typ, p.Name, r.options); err != nil {
			return nil, nil, err
		}
	}
	var names []string
	for _, dev := range p.Devices {
		f, err := s.free(ctx, dev)
		if err != nil {
			return nil, nil, err
		}
		if slices.ContainsFunc(devices, func(o found) bool { return o.path == f.path }) {
			return nil, nil, call.Param("devices", "device '%s' is given twice", f.path)
		}
		devices, names = append(devices, f), append(names, f.stable())
	}
	if words, err = p.topology(names); err != nil {
		return nil, nil, err
	}
	pools, err := s.pools(ctx)
	if err != nil {
		return nil, nil, err
	}
	if slices.ContainsFunc(pools, func(o hostdisk.Pool) bool { return o.Name == p.Name }) {
		return nil, nil, call.Errorf("pool '%s' already exists on node '%s'", p.Name, s.o.Node)
	}
	return devices, words, nil
}

func (s *Service) runZFS(ctx context.Context, op *task.Op) error {
	var p zfsParams
	if err := op.Decode(&p); err != nil {
		return err
	}
	devices, words, err := s.checkZFS(ctx, &p)
	if err != nil {
		return err
	}
	for _, f := range devices { // Solaris partitions, so that the disks are known for what they are
		if f.part != nil && f.disk.GPT {
			if _, err := s.partition(ctx, op, f, "BF01"); err != nil {
				return err
			}
		}
	}
	create := append([]string{"create", "-o", "ashift=" + strconv.FormatInt(p.Ashift, 10), p.Name}, words...)
	if err := s.do(ctx, op, "zpool", create...); err != nil {
		return err
	}
	if err := s.do(ctx, op, "zfs", "set", "compression="+p.Compression, p.Name); err != nil {
		return err
	}
	if err := s.do(ctx, op, "systemctl", "enable", "zfs-import@"+unitName(p.Name)+".service"); err != nil {
		op.Warnf("%v", err) // a host without systemd imports its pools otherwise
	}
	if !p.Storage {
		return nil
	}
	op.Logf("adding storage '%s'", p.Name)
	r := zfsStorage(p.Name)
	return s.storages.AddForNode(ctx, r.typ, p.Name, r.options)
}

// DeleteNodesDisksZfsName destroys a pool in a task.
func (s *Service) DeleteNodesDisksZfsName(ctx context.Context, req *schema.DeleteNodesDisksZfsName) (string, error) {
	p := dropParams{Name: req.Name, CleanupConfig: isTrue(req.CleanupConfig), CleanupDisks: isTrue(req.CleanupDisks)}
	if err := s.mayChange(ctx, p.CleanupConfig); err != nil {
		return "", err
	}
	if err := s.hasPool(ctx, p.Name); err != nil {
		return "", err
	}
	return s.submit(ctx, taskDropZFS, p.Name, p)
}

func (s *Service) hasPool(ctx context.Context, name string) error {
	pools, err := s.pools(ctx)
	if err == nil && !slices.ContainsFunc(pools, func(p hostdisk.Pool) bool { return p.Name == name }) {
		err = call.Errorf("no such pool '%s'", name)
	}
	return err
}

func (s *Service) runDropZFS(ctx context.Context, op *task.Op) error {
	var p dropParams
	if err := op.Decode(&p); err != nil {
		return err
	}
	if err := s.mayChange(ctx, p.CleanupConfig); err != nil {
		return err
	}
	if err := s.hasPool(ctx, p.Name); err != nil {
		return err
	}
	out, err := s.ask(ctx, "zpool", "status", "-P", "-L", p.Name)
	if err != nil {
		return err
	}
	devices := leaves(hostdisk.ParsePoolStatus(out).Devices)
	if err := s.do(ctx, op, "zpool", "destroy", p.Name); err != nil {
		return err
	}
	if err := s.do(ctx, op, "systemctl", "disable", "zfs-import@"+unitName(p.Name)+".service"); err != nil {
		op.Logf("%v", err)
	}
	return s.finishDrop(ctx, op, &p, devices, func(c *volume.Config) bool {
		pool := c.Options["pool"]
		return c.Type == "zfspool" && (pool == p.Name || strings.HasPrefix(pool, p.Name+"/"))
	})
}

// leaves are the devices of a pool that have a path.
func leaves(devices []hostdisk.PoolDevice) []string {
	var list []string
	for _, d := range devices {
		if len(d.Children) > 0 {
			list = append(list, leaves(d.Children)...)
		} else if strings.HasPrefix(d.Name, "/dev/") {
			list = append(list, d.Name)
		}
	}
	return list
}
