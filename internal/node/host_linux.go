package node

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// RootFS reads the space of the root file system.
func (h *Host) RootFS() (Disk, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(h.root, &st); err != nil {
		return Disk{}, fmt.Errorf("node: root file system: %w", err)
	}
	size := uint64(st.Bsize)
	d := Disk{Total: st.Blocks * size, Avail: st.Bavail * size, Used: (st.Blocks - st.Bfree) * size}
	d.Free = d.Total - d.Used
	return d, nil
}

// Kernel reads the running kernel's names.
func (h *Host) Kernel() (Kernel, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return Kernel{}, fmt.Errorf("node: kernel: %w", err)
	}
	s := func(b []byte) string { return unix.ByteSliceToString(b) }
	return Kernel{SysName: s(u.Sysname[:]), Release: s(u.Release[:]), Version: s(u.Version[:]), Machine: s(u.Machine[:])}, nil
}

// CPU reads the processors.
func (h *Host) CPU() (CPUInfo, error) {
	cpus, err := h.proc.CPUInfo()
	if err != nil || len(cpus) == 0 {
		return CPUInfo{}, fmt.Errorf("node: processors: %w", err)
	}
	first := cpus[0]
	info := CPUInfo{
		CPUs: len(cpus), Family: first.CPUFamily, Model: first.ModelName, UserHz: 100, Vendor: first.VendorID,
		Flags: strings.Join(first.Flags, " "), MHz: strconv.FormatFloat(first.CPUMHz, 'f', 3, 64),
	}
	cores := map[string]uint{}
	for _, c := range cpus {
		cores[c.PhysicalID] = c.CPUCores
	}
	info.Sockets = len(cores)
	for _, n := range cores {
		info.Cores += int(n)
	}
	if info.Cores == 0 { // processors that do not tell: each is a core
		info.Cores = info.CPUs
	}
	for _, f := range first.Flags {
		if f == "vmx" || f == "svm" {
			info.HVM = "1"
		}
	}
	return info, nil
}
