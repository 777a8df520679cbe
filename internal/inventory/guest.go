package inventory

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

// Prefix is where the guests' records lie in the store: /vm/ID.
const Prefix = "/vm/"

// Key returns the store key of a VM.
func Key(id int) string { return Prefix + strconv.Itoa(id) }

// Record is the stored form of a VM: its configuration as text and the node that owns it.
type Record struct {
	Version int    `json:"v"` // of this form, now 1
	Node    string `json:"node"`
	Config  string `json:"config"`
}

const recordVersion = 1

// Encode returns the record as stored.
func Encode(node, config string) []byte {
	data, err := json.Marshal(Record{Version: recordVersion, Node: node, Config: config})
	if err != nil {
		panic(err) // two strings and a number always marshal
	}
	return data
}

// Decode reads a stored record; one of a newer form is refused.
func Decode(data []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("inventory: record: %w", err)
	}
	if r.Version != recordVersion {
		return r, fmt.Errorf("inventory: record has form %d, this program knows %d", r.Version, recordVersion)
	}
	return r, nil
}

// Guest is a row of the read model. Rows are shared between readers and must not be changed.
type Guest struct {
	ID   int
	Node string
	Rev  int64 // store revision of the record

	Name     string // option name, else VM ID
	Tags     string // as in the configuration
	Lock     string
	Template bool
	OnBoot   bool
	Startup  string // option startup, as in the configuration
	CPUs     int    // virtual processors
	Memory   int64  // bytes
	Disk     int64  // bytes of the first disk of the boot order, 0 without one
	HasAgent bool
	Serial   bool // has a serial port

	Live Live
}

// Live are the figures of a running guest as its node reports them; the zero value is a stopped one.
type Live struct {
	Status    string // running, paused, …: QEMU's run state; empty: stopped
	PID       int
	Started   int64   // Unix seconds
	CPU       float64 // share of its processors, 0 to 1
	Mem       int64   // bytes the guest uses
	MemHost   int64   // bytes its process uses
	NetIn     int64   // bytes to the guest since its start
	NetOut    int64
	DiskRead  int64 // bytes since its start
	DiskWrite int64
}

// Running reports whether the guest's process is there.
func (l Live) Running() bool { return l.Status != "" }

// guestOf makes the row of a stored record.
func guestOf(id int, rev int64, r Record) *Guest {
	cfg, _, err := vmconfig.Parse(r.Config, vmconfig.ParseOptions{VMID: id})
	if err != nil { // only strict reading fails; the row still shows that the guest is there
		cfg = vmconfig.New()
	}
	g := RowOf(id, r.Node, cfg)
	g.Rev = rev
	return g
}

// RowOf makes the row of a guest from its configuration: everything but Rev and Live. cfg is only read.
func RowOf(id int, node string, cfg *vmconfig.Config) *Guest {
	m := cfg.Main
	g := &Guest{
		ID: id, Node: node, Name: m.Text("name", fmt.Sprintf("VM %d", id)), Tags: m["tags"], Lock: m["lock"],
		Template: m.Bool("template", false), OnBoot: m.Bool("onboot", false), Startup: m["startup"],
	}
	g.CPUs = m.Int("vcpus", m.Int("sockets", 1)*m.Int("cores", 1))
	g.Memory = int64(vmconfig.DefaultMemoryMiB) << 20
	if mem, err := vmconfig.ParseMemory(m["memory"]); err == nil && m.Has("memory") {
		g.Memory = int64(mem.CurrentMiB) << 20
	}
	if agent, err := vmconfig.ParseAgent(m["agent"]); err == nil {
		g.HasAgent = agent.IsEnabled()
	}
	g.Disk = bootDisk(m)
	for i := range 4 {
		g.Serial = g.Serial || m.Has("serial"+strconv.Itoa(i))
	}
	return g
}

// bootDisk returns the size of the first disk of the boot order. Without an order, as in old configurations, only the
// option bootdisk names one.
func bootDisk(m vmconfig.Section) int64 {
	boot, err := vmconfig.ParseBoot(m["boot"])
	order := []string(boot.Order)
	if err != nil || order == nil || boot.Legacy != "" {
		order = []string{m["bootdisk"]}
	}
	for _, key := range order {
		if d, ok, err := m.Drive(key); ok && err == nil && !d.IsCDROM() {
			return int64(d.Size.Value)
		}
	}
	return 0
}

// idOf returns the id of a guest's key; keys below one, should there be any, are none.
func idOf(key string) (int, bool) {
	id, err := strconv.Atoi(strings.TrimPrefix(key, Prefix))
	return id, err == nil && id > 0 && Key(id) == key
}
