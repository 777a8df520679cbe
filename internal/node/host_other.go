//go:build !linux

package node

import "errors"

// RootFS is not known on this operating system.
func (h *Host) RootFS() (Disk, error) { return Disk{}, errors.ErrUnsupported }

// Kernel is not known on this operating system.
func (h *Host) Kernel() (Kernel, error) { return Kernel{}, errors.ErrUnsupported }

// CPU is not known on this operating system.
func (h *Host) CPU() (CPUInfo, error) { return CPUInfo{}, errors.ErrUnsupported }
