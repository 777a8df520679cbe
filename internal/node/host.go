package node

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"
)

// Host reads the machine below a root folder ("/" for the real one). It holds no state and is safe for concurrent use.
type Host struct {
	root string
	proc procfs.FS
}

// NewHost returns the machine below root.
func NewHost(root string) (*Host, error) {
	fs, err := procfs.NewFS(filepath.Join(root, "proc"))
	if err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	return &Host{root: root, proc: fs}, nil
}

func (h *Host) path(name string) string { return filepath.Join(h.root, name) }

// text returns a small file's content without the blanks around it, empty when it cannot be read.
func (h *Host) text(name string) string {
	data, err := os.ReadFile(h.path(name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// Memory is in bytes. See Documentation/filesystems/proc.rst: meminfo.
type Memory struct {
	Total     uint64 `json:"total"`
	Free      uint64 `json:"free"`
	Available uint64 `json:"available"`
	Used      uint64 `json:"used"` // total - available
}

// Swap is in bytes.
type Swap struct {
	Total uint64 `json:"total"`
	Free  uint64 `json:"free"`
	Used  uint64 `json:"used"`
}

// Memory reads main memory and swap space.
func (h *Host) Memory() (Memory, Swap, error) {
	mi, err := h.proc.Meminfo()
	if err != nil {
		return Memory{}, Swap{}, fmt.Errorf("node: memory: %w", err)
	}
	b := func(kib *uint64) uint64 {
		if kib == nil {
			return 0
		}
		return *kib * 1024
	}
	m := Memory{Total: b(mi.MemTotal), Free: b(mi.MemFree), Available: b(mi.MemAvailable)}
	m.Used = m.Total - m.Available
	s := Swap{Total: b(mi.SwapTotal), Free: b(mi.SwapFree)}
	s.Used = s.Total - s.Free
	return m, s, nil
}

// CPUInfo describes the processors.
type CPUInfo struct {
	Cores   int    `json:"cores"` // of all sockets
	CPUs    int    `json:"cpus"`  // logical
	Family  string `json:"family"`
	Flags   string `json:"flags"`
	HVM     string `json:"hvm"` // "1" when the processor can run guests, else empty
	MHz     string `json:"mhz"`
	Model   string `json:"model"`
	Sockets int    `json:"sockets"`
	UserHz  int    `json:"user_hz"`
	Vendor  string `json:"vendor"`
}

// Load returns the three load averages as texts with two digits.
func (h *Host) Load() ([]string, error) {
	l, err := h.proc.LoadAvg()
	if err != nil {
		return nil, fmt.Errorf("node: load: %w", err)
	}
	out := make([]string, 0, 3)
	for _, v := range []float64{l.Load1, l.Load5, l.Load15} {
		out = append(out, strconv.FormatFloat(v, 'f', 2, 64))
	}
	return out, nil
}

// Uptime returns whole seconds since the boot.
func (h *Host) Uptime() int64 {
	first, _, _ := strings.Cut(h.text("proc/uptime"), " ")
	s, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return 0
	}
	return int64(s)
}

// KSMShared returns the bytes that kernel same-page merging shares.
func (h *Host) KSMShared() int64 {
	n, err := strconv.ParseInt(h.text("sys/kernel/mm/ksm/pages_sharing"), 10, 64)
	if err != nil {
		return 0
	}
	return n * 4096
}

// Disk is the space of the root file system in bytes.
type Disk struct {
	Total uint64 `json:"total"`
	Used  uint64 `json:"used"`
	Avail uint64 `json:"avail"` // for unprivileged users
	Free  uint64 `json:"free"`  // total - used
}

// Kernel is what uname says.
type Kernel struct {
	SysName string `json:"sysname"`
	Release string `json:"release"`
	Version string `json:"version"`
	Machine string `json:"machine"`
}

// BootInfo says how the machine was started.
type BootInfo struct {
	Mode       string `json:"mode"`                 // efi, legacy-bios
	SecureBoot *int   `json:"secureboot,omitempty"` // only for efi
}

// Boot finds out how the machine was started.
func (h *Host) Boot() BootInfo {
	if _, err := os.Stat(h.path("sys/firmware/efi")); err != nil {
		return BootInfo{Mode: "legacy-bios"}
	}
	on := 0
	// The variable's value is one byte behind four of attributes. See UEFI specification 2.10, 3.3.
	if data, err := os.ReadFile(h.path("sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c")); err == nil && len(data) == 5 {
		on = int(data[4])
	}
	return BootInfo{Mode: "efi", SecureBoot: &on}
}

// CGroupMode is the version of the control groups that the machine uses.
func (h *Host) CGroupMode() int {
	if _, err := os.Stat(h.path("sys/fs/cgroup/cgroup.controllers")); err != nil {
		return 1
	}
	return 2
}

// ticks are the times since the boot that all processors together spent, in ticks of 1/100 s.
type ticks struct{ used, wait, total float64 }

func (h *Host) ticks() (ticks, error) {
	st, err := h.proc.Stat()
	if err != nil {
		return ticks{}, fmt.Errorf("node: processor times: %w", err)
	}
	c := st.CPUTotal
	used := c.User + c.Nice + c.System + c.IRQ + c.SoftIRQ + c.Steal
	return ticks{used: used, wait: c.Iowait, total: used + c.Iowait + c.Idle}, nil
}
