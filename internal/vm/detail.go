package vm

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/turtacn/go-proxmox/qmp"
)

// The balloon's device, as machineconf names it.
const (
	balloonDevice = "balloon0"
	balloonPath   = "/machine/peripheral/" + balloonDevice
)

// detail is what only a running QEMU knows. Parts that it did not tell in time are missing.
type detail struct {
	Status  string // run state
	Machine string // versioned type of the board
	QEMU    string // its version
	Balloon *balloonInfo
	Blocks  map[string]json.RawMessage // counters by slot; nil: not told
	Read    int64                      // bytes read from all disks
	Write   int64
}

// balloonInfo is the state of the balloon with what its driver tells of the guest's memory, in bytes.
type balloonInfo struct {
	Actual     int64  `json:"actual"`
	Max        int64  `json:"max_mem"`
	Total      *int64 `json:"total_mem,omitempty"`
	Free       *int64 `json:"free_mem,omitempty"`
	SwappedIn  *int64 `json:"mem_swapped_in,omitempty"`
	SwappedOut *int64 `json:"mem_swapped_out,omitempty"`
	Major      *int64 `json:"major_page_faults,omitempty"`
	Minor      *int64 `json:"minor_page_faults,omitempty"`
	LastUpdate int64  `json:"last_update,omitempty"` // Unix time
}

// usedMemory is what the guest uses: as its balloon driver tells, else all that the process has.
func (d *detail) usedMemory(process int64) int64 {
	if b := d.Balloon; b != nil && b.Total != nil && b.Free != nil && *b.Free <= *b.Total {
		return *b.Total - *b.Free
	}
	return process
}

// ask asks a QEMU, for two seconds at most.
func (s *Service) ask(ctx context.Context, g *guest) *detail {
	d := &detail{}
	ctx, cancel := context.WithTimeout(ctx, qmpPatience)
	defer cancel()
	c, err := g.proc.Client(ctx)
	if err != nil {
		return d
	}
	d.QEMU = c.Greeting().Version.String()
	d.Status = askState(ctx, c, "")
	if typ, err := machineType(ctx, c); err == nil {
		d.Machine = typ
	}
	d.Balloon = askBalloon(ctx, c)
	d.askBlocks(ctx, c)
	return d
}

// askBalloon returns nil for a machine without a balloon.
func askBalloon(ctx context.Context, c *qmp.Client) *balloonInfo {
	var b balloonInfo
	if c.Do(ctx, "query-balloon", nil, &b) != nil {
		return nil
	}
	var size struct {
		Base    int64 `json:"base-memory"`
		Plugged int64 `json:"plugged-memory"`
	}
	if c.Do(ctx, "query-memory-size-summary", nil, &size) == nil {
		b.Max = size.Base + size.Plugged
	}
	var reply struct {
		LastUpdate int64              `json:"last-update"`
		Stats      map[string]float64 `json:"stats"`
	}
	// Numbers of 64 bits that nobody has set are all ones. See docs/interop/virtio-balloon-stats.
	if c.Do(ctx, "qom-get", map[string]any{"path": balloonPath, "property": "guest-stats"}, &reply) != nil || reply.LastUpdate == 0 {
		return &b
	}
	b.LastUpdate = reply.LastUpdate
	for name, field := range map[string]**int64{
		"stat-total-memory": &b.Total, "stat-free-memory": &b.Free, "stat-swap-in": &b.SwappedIn, "stat-swap-out": &b.SwappedOut,
		"stat-major-faults": &b.Major, "stat-minor-faults": &b.Minor,
	} {
		if v, ok := reply.Stats[name]; ok && v >= 0 && v < 1<<62 {
			n := int64(v)
			*field = &n
		}
	}
	return &b
}

func (d *detail) askBlocks(ctx context.Context, c *qmp.Client) {
	var rows []struct {
		Device string          `json:"device"`
		QDev   string          `json:"qdev"`
		Stats  json.RawMessage `json:"stats"`
	}
	if c.Do(ctx, "query-blockstats", nil, &rows) != nil {
		return
	}
	d.Blocks = map[string]json.RawMessage{}
	for _, r := range rows {
		var n struct {
			Read  int64 `json:"rd_bytes"`
			Write int64 `json:"wr_bytes"`
		}
		slot := blockSlot(r.QDev, r.Device)
		if slot == "" || json.Unmarshal(r.Stats, &n) != nil {
			continue
		}
		d.Blocks[slot] = r.Stats
		d.Read += n.Read
		d.Write += n.Write
	}
}

// blockSlot is the slot of the configuration that a block device belongs to: scsi0 of its device's id or path, such as
// /machine/peripheral/virtio0/virtio-backend.
func blockSlot(qdev, device string) string {
	if rest, ok := strings.CutPrefix(qdev, "/machine/peripheral/"); ok {
		slot, _, _ := strings.Cut(rest, "/")
		return slot
	}
	if qdev != "" && !strings.HasPrefix(qdev, "/") {
		return qdev
	}
	return strings.TrimPrefix(device, "drive-")
}
