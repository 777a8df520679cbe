package datacenter

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"

	"github.com/turtacn/go-proxmox/internal/access"
	"github.com/turtacn/go-proxmox/internal/access/usercfg"
	"github.com/turtacn/go-proxmox/internal/inventory"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// guestRow is a VM in the list of resources and in pools. All figures are there, 0 when unknown.
type guestRow struct {
	ID        string  `json:"id"`
	Type      string  `json:"type"`
	VMID      int     `json:"vmid"`
	Node      string  `json:"node"`
	Name      string  `json:"name"`
	Status    string  `json:"status"`
	Template  int     `json:"template"`
	Uptime    int64   `json:"uptime"`
	MaxCPU    int     `json:"maxcpu"`
	CPU       float64 `json:"cpu"`
	MaxMem    int64   `json:"maxmem"`
	Mem       int64   `json:"mem"`
	MemHost   int64   `json:"memhost"`
	MaxDisk   int64   `json:"maxdisk"`
	Disk      int64   `json:"disk"`
	NetIn     int64   `json:"netin"`
	NetOut    int64   `json:"netout"`
	DiskRead  int64   `json:"diskread"`
	DiskWrite int64   `json:"diskwrite"`
	Lock      string  `json:"lock,omitempty"`
	Tags      string  `json:"tags,omitempty"`
	Pool      string  `json:"pool,omitempty"`
}

func (s *Service) guestRow(g *inventory.Guest) guestRow {
	r := guestRow{
		ID: "qemu/" + strconv.Itoa(g.ID), Type: "qemu", VMID: g.ID, Node: g.Node, Name: g.Name, Status: "stopped",
		MaxCPU: g.CPUs, MaxMem: g.Memory, MaxDisk: g.Disk, Lock: g.Lock, Tags: g.Tags,
	}
	if g.Template {
		r.Template = 1
	}
	if l := g.Live; l.Running() {
		r.Status, r.Uptime, r.CPU, r.Mem, r.MemHost = l.Status, max(0, s.o.Clock().Unix()-l.Started), l.CPU, l.Mem, l.MemHost
		r.NetIn, r.NetOut, r.DiskRead, r.DiskWrite = l.NetIn, l.NetOut, l.DiskRead, l.DiskWrite
	}
	return r
}

// poolRow is a pool with the sums over its running members.
type poolRow struct {
	ID   string `json:"id"`
	Type string `json:"type"`
	Pool string `json:"pool"`
	*poolFigures
}

type poolFigures struct {
	Uptime int64   `json:"uptime"`
	Mem    int64   `json:"mem"`
	MaxMem int64   `json:"maxmem"`
	MaxCPU int     `json:"maxcpu"`
	CPU    float64 `json:"cpu"`
}

// storageRow is a storage of a node in the list of resources and in pools.
type storageRow struct {
	ID         string `json:"id"`
	Type       string `json:"type"`
	Storage    string `json:"storage"`
	Node       string `json:"node"`
	PluginType string `json:"plugintype"`
	Content    string `json:"content"`
	Shared     int    `json:"shared"`
	Status     string `json:"status"`
	Disk       *int64 `json:"disk,omitempty"`
	MaxDisk    *int64 `json:"maxdisk,omitempty"`
}

func (r StorageRow) row() storageRow {
	out := storageRow{
		ID: "storage/" + r.Node + "/" + r.Storage, Type: "storage", Storage: r.Storage, Node: r.Node, PluginType: r.Type, Content: r.Content, Status: "unknown",
	}
	if r.Shared {
		out.Shared = 1
	}
	if r.Active {
		out.Status, out.Disk, out.MaxDisk = "available", &r.Used, &r.Total
	}
	return out
}

// networkRow is the zone of the host's own bridges.
type networkRow struct {
	ID          string `json:"id"`
	Type        string `json:"type"`
	Network     string `json:"network"`
	NetworkType string `json:"network-type"`
	Node        string `json:"node"`
	Status      string `json:"status"`
	ZoneType    string `json:"zone-type"`
}

// GetClusterResources answers GET /cluster/resources: what the caller may see of pools, guests, nodes and storages.
func (s *Service) GetClusterResources(ctx context.Context, req *schema.GetClusterResources) (any, error) {
	viewer, err := s.o.Access.Viewer(ctx)
	if err != nil {
		return nil, err
	}
	kind := schema.Value(req.Type, "")
	snap := s.o.Inventory.Snapshot()
	type key struct{ who, kind string }
	type version struct {
		inventory uint64
		access    int64
	}
	return s.lists.Get(key{viewer.AuthID(), kind}, version{snap.Version, viewer.Rev()}, func() (any, error) {
		return s.resources(ctx, viewer, snap, kind)
	})
}

func (s *Service) resources(ctx context.Context, viewer access.Viewer, snap *inventory.Snapshot, kind string) (any, error) {
	cfg, err := s.o.Access.UserConfig(ctx)
	if err != nil {
		return nil, err
	}
	rows := make([]any, 0, len(snap.Guests)+len(cfg.Pools)+8)
	poolOf := map[int]string{}
	for _, name := range slices.Sorted(maps.Keys(cfg.Pools)) {
		if !viewer.Can("/pool/"+name, "Pool.Audit") {
			continue
		}
		members := membersOf(cfg.Pools[name], snap)
		for _, g := range members {
			poolOf[g.ID] = name
		}
		if kind == "" {
			rows = append(rows, poolRow{ID: "/pool/" + name, Type: "pool", Pool: name, poolFigures: s.sum(members)})
		}
	}
	if kind == "" || kind == "vm" {
		guests := slices.Clone(snap.Guests)
		slices.SortFunc(guests, func(a, b *inventory.Guest) int { return compareAsText(a.ID, b.ID) })
		shown := make([]guestRow, 0, len(guests))
		for _, g := range guests {
			if viewer.Can("/vms/"+strconv.Itoa(g.ID), "VM.Audit") {
				shown = append(shown, s.guestRow(g))
				r := &shown[len(shown)-1]
				r.Pool = poolOf[g.ID]
				rows = append(rows, r)
			}
		}
	}
	if kind == "" || kind == "node" {
		r, err := s.o.NodeRow(ctx)
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	if kind == "" || kind == "storage" {
		storages, err := s.o.Storages(ctx)
		if err != nil {
			return nil, err
		}
		for _, st := range storages {
			if viewer.Can("/storage/"+st.Storage, "Datastore.Audit") {
				rows = append(rows, st.row())
			}
		}
	}
	if kind == "" && viewer.Can("/sdn/zones/"+access.LocalZone, "SDN.Audit") {
		rows = append(rows, networkRow{
			ID: "network/" + s.o.Node + "/zone/" + access.LocalZone, Type: "network", Network: access.LocalZone, NetworkType: "zone",
			Node: s.o.Node, Status: "ok", ZoneType: access.LocalZone,
		})
	}
	return rows, nil
}

// membersOf returns the guests of a pool that exist, in the text order of their ids.
func membersOf(p *usercfg.Pool, snap *inventory.Snapshot) []*inventory.Guest {
	members := make([]*inventory.Guest, 0, len(p.VMs))
	for text := range p.VMs {
		id, err := strconv.Atoi(text)
		i, found := slices.BinarySearchFunc(snap.Guests, id, func(g *inventory.Guest, id int) int { return g.ID - id })
		if err == nil && found {
			members = append(members, snap.Guests[i])
		}
	}
	slices.SortFunc(members, func(a, b *inventory.Guest) int { return compareAsText(a.ID, b.ID) })
	return members
}

// compareAsText orders ids as their digits sort: 100, 1000, 101.
func compareAsText(a, b int) int {
	return cmp.Or(cmp.Compare(tenDigits(a), tenDigits(b)), cmp.Compare(a, b))
}

// tenDigits appends zeros to an id, which has nine digits at most.
func tenDigits(id int) int {
	for id > 0 && id < 1e9 {
		id *= 10
	}
	return id
}

// sum adds up the running members of a pool, seen by the caller or not; nil without any.
func (s *Service) sum(members []*inventory.Guest) *poolFigures {
	var f poolFigures
	for _, g := range members {
		if !g.Live.Running() {
			continue
		}
		r := s.guestRow(g)
		f.Uptime = max(f.Uptime, r.Uptime)
		f.Mem += r.Mem
		f.MaxMem += r.MaxMem
		f.CPU += r.CPU * float64(r.MaxCPU)
		f.MaxCPU += r.MaxCPU
	}
	if f.MaxCPU == 0 {
		return nil
	}
	f.CPU /= float64(f.MaxCPU)
	return &f
}
