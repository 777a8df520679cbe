package vm

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/internal/hostnet"
	"github.com/turtacn/go-proxmox/internal/inventory"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

// Row is a VM as GET /nodes/{node}/qemu and status/current show it.
type Row struct {
	ID        int          `json:"vmid"`
	Name      string       `json:"name"`
	Status    string       `json:"status"` // running or stopped
	QMPStatus string       `json:"qmpstatus,omitempty"`
	PID       int          `json:"pid,omitempty"`
	CPUs      int          `json:"cpus"`
	CPU       float64      `json:"cpu"`
	MaxMem    int64        `json:"maxmem"`
	Mem       int64        `json:"mem"`
	MemHost   int64        `json:"memhost"`
	Disk      int64        `json:"disk"` // always 0
	MaxDisk   int64        `json:"maxdisk"`
	DiskRead  int64        `json:"diskread"`
	DiskWrite int64        `json:"diskwrite"`
	NetIn     int64        `json:"netin"`
	NetOut    int64        `json:"netout"`
	Uptime    int64        `json:"uptime"`
	Template  *schema.Bool `json:"template,omitempty"`
	Serial    *schema.Bool `json:"serial,omitempty"`
	Lock      string       `json:"lock,omitempty"`
	Tags      string       `json:"tags,omitempty"`
	*Detail
}

// Detail is the part of a row that only the running QEMU knows, for full=1 and status/current.
type Detail struct {
	RunningMachine string                     `json:"running-machine,omitempty"`
	RunningQEMU    string                     `json:"running-qemu,omitempty"`
	Balloon        int64                      `json:"balloon,omitempty"` // bytes that it leaves to the guest
	BalloonInfo    *balloonInfo               `json:"ballooninfo,omitempty"`
	FreeMem        int64                      `json:"freemem,omitempty"`
	BlockStat      map[string]json.RawMessage `json:"blockstat,omitempty"`
	NICs           map[string]nicFigure       `json:"nics,omitempty"`
}

// addDetail shows what a running guest's QEMU has told; nil for one that was not asked yet.
func (r *Row) addDetail(g *guest, d *detail, counters map[string]hostnet.Counters) {
	r.Detail = &Detail{NICs: nicFigures(g.holds().Ports, counters)}
	if d == nil {
		return
	}
	out := r.Detail
	out.RunningMachine, out.RunningQEMU, out.BlockStat = d.Machine, d.QEMU, d.Blocks
	if d.Status != "" {
		r.QMPStatus = d.Status
	}
	if d.Blocks != nil {
		r.DiskRead, r.DiskWrite = d.Read, d.Write
	}
	if b := d.Balloon; b != nil {
		out.Balloon, out.BalloonInfo = b.Actual, b
		r.MaxMem = max(r.MaxMem, b.Max)
		if b.Total != nil && b.Free != nil {
			out.FreeMem = *b.Free
			r.Mem = d.usedMemory(r.MemHost)
		}
	}
}

func flag(on bool) *schema.Bool {
	if !on {
		return nil
	}
	b := schema.Bool(true)
	return &b
}

// row shows a guest of the inventory at a moment.
func row(g *inventory.Guest, hostCPUs int, now time.Time) Row {
	r := Row{
		ID: g.ID, Name: g.Name, Status: "stopped", CPUs: min(g.CPUs, hostCPUs), MaxMem: g.Memory, MaxDisk: g.Disk,
		Template: flag(g.Template), Serial: flag(g.Serial), Lock: g.Lock, Tags: g.Tags,
	}
	if !g.Live.Running() {
		return r
	}
	l := g.Live
	r.Status, r.PID, r.CPU, r.Mem, r.MemHost = "running", l.PID, l.CPU, l.Mem, l.MemHost
	r.DiskRead, r.DiskWrite, r.NetIn, r.NetOut = l.DiskRead, l.DiskWrite, l.NetIn, l.NetOut
	r.Uptime = max(0, now.Unix()-l.Started)
	return r
}

// GetNodesQemu answers GET /nodes/{node}/qemu: the VMs that the caller may see.
func (s *Service) GetNodesQemu(ctx context.Context, req *schema.GetNodesQemu) (any, error) {
	viewer, err := s.o.Access.Viewer(ctx)
	if err != nil {
		return nil, err
	}
	full := isTrue(req.Full)
	snap := s.o.Inventory.Snapshot()
	type key struct {
		who  string
		full bool
	}
	type version struct {
		inventory uint64
		access    int64
	}
	return s.lists.Get(key{viewer.AuthID(), full}, version{snap.Version, viewer.Rev()}, func() (any, error) {
		now := s.o.Clock()
		var ports map[string]hostnet.Counters
		if full {
			ports = s.counters(ctx)
		}
		rows := make([]Row, 0, len(snap.Guests))
		for _, g := range snap.Guests {
			if g.Node != s.node || !viewer.Can("/vms/"+strconv.Itoa(g.ID), "VM.Audit") {
				continue
			}
			r := row(g, s.o.Host.CPUs(), now)
			if full {
				r.QMPStatus = qmpStatus(g)
				if running := s.guest(g.ID); running != nil && g.Live.Running() {
					r.addDetail(running, running.told(), ports)
				}
			}
			rows = append(rows, r)
		}
		return rows, nil
	})
}

func qmpStatus(g *inventory.Guest) string {
	if g.Live.Running() {
		return g.Live.Status
	}
	return "stopped"
}

// told returns what QEMU told at the last sample, nil before the first one.
func (g *guest) told() *detail {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.detail
}

// current is the answer of status/current: the row and what only one guest is asked for.
type current struct {
	Row
	HA         map[string]int `json:"ha"`
	Agent      *schema.Bool   `json:"agent,omitempty"`
	Spice      *schema.Bool   `json:"spice,omitempty"`
	Clipboard  any            `json:"clipboard,omitempty"`
	BalloonMin int64          `json:"balloon_min,omitempty"` // bytes
	Shares     int            `json:"shares,omitempty"`
}

// GetNodesQemuStatusCurrent answers GET /nodes/{node}/qemu/{vmid}/status/current. It reads the store, not the inventory,
// so that a client sees what it has just written.
func (s *Service) GetNodesQemuStatusCurrent(ctx context.Context, req *schema.GetNodesQemuStatusCurrent) (any, error) {
	v, err := s.Load(ctx, int(req.Vmid))
	if err != nil {
		return nil, err
	}
	main := v.Config.Main
	guestRow := inventory.RowOf(v.ID, v.Node, v.Config)
	g := s.guest(v.ID)
	if g != nil {
		g.mu.Lock()
		guestRow.Live = g.figures
		g.mu.Unlock()
	}
	out := current{Row: row(guestRow, s.o.Host.CPUs(), s.o.Clock()), HA: map[string]int{"managed": 0}, Agent: flag(guestRow.HasAgent)}
	out.QMPStatus = qmpStatus(guestRow)
	if vga, err := vmconfig.ParseVGA(main["vga"]); err == nil && main.Has("vga") {
		out.Spice = flag(strings.HasPrefix(vga.Type, "qxl") || strings.HasPrefix(vga.Type, "virtio"))
		out.Clipboard = json.RawMessage("null")
		if vga.Clipboard != "" {
			out.Clipboard = vga.Clipboard
		}
	}
	if low := main.Int("balloon", 0); low > 0 {
		out.BalloonMin, out.Shares = int64(low)<<20, main.Int("shares", 1000)
	}
	if g != nil {
		var ports map[string]hostnet.Counters
		if names := g.holds().Ports; len(names) > 0 {
			ports = s.counters(ctx, names...)
		}
		out.addDetail(g, s.ask(ctx, g), ports)
	}
	return out, nil
}
