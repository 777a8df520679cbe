package node

import (
	"context"
	"errors"
	"log/slog"
	"os/exec"
	"runtime"
	"sync"
	"time"

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
	// Power does what a power command says, "reboot" or "poweroff"; default: systemctl.
	Power  func(command string) error
	Clock  func() time.Time
	Logger *slog.Logger // nil discards
}

// Service implements the API's methods of this node. It is safe for concurrent use.
type Service struct {
	*Host
	o     Options
	cpus  CPUInfo
	usage *usage

	files sync.Mutex // serialises changes of host files: they are read, changed and written
}

// New reads what does not change.
func New(h *Host, o Options) (*Service, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Power == nil {
		o.Power = func(command string) error { return exec.Command("systemctl", command).Run() }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
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
	ID     string `json:"id"`
	Node   string `json:"node"`
	Type   string `json:"type"`
	Status string `json:"status"`
	Level  string `json:"level"` // of the subscription: none
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

// row returns this node's row as the caller may see it.
func (s *Service) row(ctx context.Context) (Row, error) {
	r := Row{ID: "node/" + s.o.Name, Node: s.o.Name, Type: "node", Status: "online"}
	if !s.o.Can(ctx, "/nodes/"+s.o.Name, "Sys.Audit") {
		return r, nil
	}
	var err error
	r.Figures, err = s.Figures()
	return r, err
}

// Resource is a node in the list of the cluster's resources.
type Resource struct {
	Row
	CGroupMode int    `json:"cgroup-mode"`
	HostArch   string `json:"host-arch,omitempty"` // unless it is x86_64
}

// Row returns this node as the list of resources shows it to the caller.
func (s *Service) Row(ctx context.Context) (Resource, error) {
	r, err := s.row(ctx)
	return Resource{Row: r, CGroupMode: s.CGroupMode(), HostArch: hostArch(runtime.GOARCH)}, err
}

// hostArch is the kernel's name of a processor architecture, empty for the one that goes without saying.
func hostArch(goarch string) string {
	switch goarch {
	case "amd64":
		return ""
	case "arm64":
		return "aarch64"
	}
	return goarch
}

// listed is a node in the list of nodes.
type listed struct {
	Row
	Fingerprint *string `json:"ssl_fingerprint"` // null if not known
}

// GetNodes answers GET /nodes.
func (s *Service) GetNodes(ctx context.Context, _ *schema.GetNodes) (any, error) {
	r, err := s.row(ctx)
	if err != nil {
		return nil, err
	}
	out := listed{Row: r}
	if print := s.o.Fingerprint(); print != "" {
		out.Fingerprint = &print
	}
	return []listed{out}, nil
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
