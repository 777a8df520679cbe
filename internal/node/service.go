package node

import (
	"context"
	"errors"
	"os/exec"
	"time"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// What /version says: the Proxmox VE release whose API this is, and beside it who really answers.
const (
	pveVersion = "9.2.11"
	pveRelease = "9.2"
	repoID     = "676f7076" // any eight hex digits: clients parse the shape
)

// Options are what the service needs.
type Options struct {
	Name        string                       // of this node
	Version     string                       // of this program
	Fingerprint func() string                // SHA-256 of the API's certificate, AA:BB:…; empty if not known
	Console     func(context.Context) string // datacenter option console, empty if unset
	Can         func(ctx context.Context, path string, privs ...string) bool
	AllowPower  bool // reboot and power-off of the host through the API
	Clock       func() time.Time
}

// Service implements the API's methods of this node. It is safe for concurrent use.
type Service struct {
	*Host
	o     Options
	cpus  CPUInfo
	usage *usage
}

// New reads what does not change.
func New(h *Host, o Options) (*Service, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	cpus, err := h.CPU()
	if err != nil {
		return nil, err
	}
	return &Service{Host: h, o: o, cpus: cpus, usage: &usage{read: h.ticks, now: o.Clock, cpus: cpus.CPUs}}, nil
}

// CPUs is the number of logical processors.
func (s *Service) CPUs() int { return s.cpus.CPUs }

type version struct {
	Version string `json:"version"`
	Release string `json:"release"`
	RepoID  string `json:"repoid"`
	Console string `json:"console,omitempty"`
	GPVE    string `json:"gpve"` // version of this program
}

func (s *Service) version() version {
	return version{Version: pveVersion, Release: pveRelease, RepoID: repoID, GPVE: s.o.Version}
}

// GetVersion answers GET /version.
func (s *Service) GetVersion(ctx context.Context, _ *schema.GetVersion) (any, error) {
	v := s.version()
	v.Console = s.o.Console(ctx)
	return v, nil
}

// GetNodesVersion answers GET /nodes/{node}/version.
func (s *Service) GetNodesVersion(context.Context, *schema.GetNodesVersion) (any, error) {
	return s.version(), nil
}

// Row is a node in lists.
type Row struct {
	ID          string `json:"id"`
	Node        string `json:"node"`
	Type        string `json:"type"`
	Status      string `json:"status"`
	Level       string `json:"level"` // of the subscription: none
	Fingerprint string `json:"ssl_fingerprint,omitempty"`
	*Figures
}

// Figures are what only those see who may audit the node.
type Figures struct {
	MaxCPU  int     `json:"maxcpu"`
	CPU     float64 `json:"cpu"`
	MaxMem  uint64  `json:"maxmem"`
	Mem     uint64  `json:"mem"`
	MaxDisk uint64  `json:"maxdisk"`
	Disk    uint64  `json:"disk"`
	Uptime  int64   `json:"uptime"`
}

// Figures measures the node.
func (s *Service) Figures() (*Figures, error) {
	mem, _, err := s.Memory()
	if err != nil {
		return nil, err
	}
	disk, err := s.RootFS()
	if err != nil {
		return nil, err
	}
	cpu, _ := s.usage.sample()
	return &Figures{
		MaxCPU: s.cpus.CPUs, CPU: cpu, MaxMem: mem.Total, Mem: mem.Used, MaxDisk: disk.Total, Disk: disk.Used, Uptime: s.Uptime(),
	}, nil
}

// Row returns this node's row as the caller may see it.
func (s *Service) Row(ctx context.Context) (Row, error) {
	r := Row{ID: "node/" + s.o.Name, Node: s.o.Name, Type: "node", Status: "online"}
	if !s.o.Can(ctx, "/nodes/"+s.o.Name, "Sys.Audit") {
		return r, nil
	}
	var err error
	r.Figures, err = s.Figures()
	return r, err
}

// GetNodes answers GET /nodes.
func (s *Service) GetNodes(ctx context.Context, _ *schema.GetNodes) (any, error) {
	r, err := s.Row(ctx)
	r.Fingerprint = s.o.Fingerprint()
	return []Row{r}, err
}

// status is the answer of GET /nodes/{node}/status.
type status struct {
	Uptime     int64    `json:"uptime"`
	Idle       int      `json:"idle"` // always 0
	LoadAvg    []string `json:"loadavg"`
	CPU        float64  `json:"cpu"`
	Wait       float64  `json:"wait"`
	CPUInfo    CPUInfo  `json:"cpuinfo"`
	Memory     Memory   `json:"memory"`
	Swap       Swap     `json:"swap"`
	KSM        ksm      `json:"ksm"`
	RootFS     Disk     `json:"rootfs"`
	KVersion   string   `json:"kversion"`
	Kernel     Kernel   `json:"current-kernel"`
	BootInfo   BootInfo `json:"boot-info"`
	PVEVersion string   `json:"pveversion"`
}

type ksm struct {
	Shared int64 `json:"shared"`
}

// GetNodesStatus answers GET /nodes/{node}/status.
func (s *Service) GetNodesStatus(context.Context, *schema.GetNodesStatus) (any, error) {
	mem, swap, errMem := s.Memory()
	load, errLoad := s.Load()
	disk, errDisk := s.RootFS()
	kernel, errKernel := s.Kernel()
	if err := errors.Join(errMem, errLoad, errDisk, errKernel); err != nil {
		return nil, err
	}
	cpu, wait := s.usage.sample()
	return status{
		Uptime: s.Uptime(), LoadAvg: load, CPU: cpu, Wait: wait, CPUInfo: s.cpus, Memory: mem, Swap: swap, KSM: ksm{s.KSMShared()}, RootFS: disk,
		KVersion: "Linux " + kernel.Release + " " + kernel.Version, Kernel: kernel, BootInfo: s.Boot(),
		PVEVersion: "pve-manager/" + pveVersion + "/" + repoID,
	}, nil
}

// powerDelay lets the answer of a reboot reach its client.
const powerDelay = 2 * time.Second

// PostNodesStatus answers POST /nodes/{node}/status: reboots or powers the host off, if the configuration allows it.
func (s *Service) PostNodesStatus(_ context.Context, req *schema.PostNodesStatus) (any, error) {
	if !s.o.AllowPower {
		return nil, call.Errorf("power commands of the host are switched off (agent.allowHostPower)")
	}
	if req.Command != "reboot" && req.Command != "poweroff" {
		return nil, call.Param("command", "value '%s' does not have a value in the enumeration 'reboot, poweroff'", req.Command)
	}
	time.AfterFunc(powerDelay, func() { exec.Command("systemctl", req.Command).Run() }) // nobody is left to hear of an error
	return nil, nil
}

// GetNodesTime answers GET /nodes/{node}/time.
func (s *Service) GetNodesTime(context.Context, *schema.GetNodesTime) (*schema.GetNodesTimeReply, error) {
	now := s.o.Clock()
	_, offset := now.In(s.location()).Zone()
	return &schema.GetNodesTimeReply{Time: now.Unix(), Localtime: now.Unix() + int64(offset), Timezone: s.Timezone()}, nil
}

// PutNodesTime answers PUT /nodes/{node}/time.
func (s *Service) PutNodesTime(_ context.Context, req *schema.PutNodesTime) (any, error) {
	err := s.SetTimezone(req.Timezone)
	if errors.Is(err, ErrNoTimezone) {
		return nil, call.Param("timezone", "No such timezone")
	}
	return nil, err
}

// GetNodesDns answers GET /nodes/{node}/dns.
func (s *Service) GetNodesDns(context.Context, *schema.GetNodesDns) (*schema.GetNodesDnsReply, error) {
	d, err := s.DNS()
	if err != nil {
		return nil, err
	}
	var r schema.GetNodesDnsReply
	if d.Search != "" {
		r.Search = &d.Search
	}
	for i, p := range []**string{&r.Dns1, &r.Dns2, &r.Dns3} {
		if i < len(d.Servers) {
			*p = &d.Servers[i]
		}
	}
	return &r, nil
}

// PutNodesDns answers PUT /nodes/{node}/dns.
func (s *Service) PutNodesDns(_ context.Context, req *schema.PutNodesDns) (any, error) {
	d := DNS{Search: req.Search}
	for _, p := range []*string{req.Dns1, req.Dns2, req.Dns3} {
		if p != nil {
			d.Servers = append(d.Servers, *p)
		}
	}
	return nil, s.SetDNS(d)
}
