package vm

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/turtacn/go-proxmox/internal/vm/cloudinit"
	"github.com/turtacn/go-proxmox/internal/vm/machineconf"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

// HostOptions are what is configured about this host.
type HostOptions struct {
	Node   string
	Binary string // of QEMU; empty: the one of PATH
	Accel  string // auto, kvm, tcg
	// DNS returns the host's resolver settings, for guests without their own.
	DNS func() cloudinit.DNS
}

// Host are the facts of this host, found out once.
type Host struct {
	o     HostOptions
	facts *machineconf.Host
}

// NewHost probes the host. It runs the installed QEMU to learn its version.
func NewHost(ctx context.Context, o HostOptions) (*Host, error) {
	facts, err := machineconf.Probe(ctx)
	if err != nil {
		return nil, err
	}
	facts.Node = o.Node
	if o.Binary != "" {
		facts.QEMU.Program = o.Binary
	}
	h := &Host{o: o, facts: facts}
	switch o.Accel {
	case "tcg":
		facts.KVM = false
	case "kvm":
		facts.KVM = true
	default:
		facts.KVM = facts.KVM && h.tryKVM(ctx)
	}
	return h, nil
}

// tryKVM finds out by trying whether KVM runs a guest: the device may be there and serve only part of what QEMU asks for.
func (h *Host) tryKVM(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	//nolint:forbidigo // a short trial that ends with its context
	cmd := exec.CommandContext(ctx, h.facts.QEMU.Program, "-accel", "kvm", "-machine", "pc", "-cpu", "host", "-nodefaults", "-display", "none",
		"-no-user-config", "-m", "16", "-S", "-qmp", "stdio")
	cmd.Stdin = strings.NewReader(`{"execute":"qmp_capabilities"}{"execute":"cont"}{"execute":"query-status"}{"execute":"quit"}`)
	out, err := cmd.Output()
	return err == nil && strings.Contains(string(out), `"running": true`)
}

// Facts returns the facts for a translation. They are shared: read only.
func (h *Host) Facts() *machineconf.Host { return h.facts }

// QEMUVersion is the installed QEMU's version.
func (h *Host) QEMUVersion() string { return h.facts.QEMU.Version }

// Arch is the architecture, x86_64 or aarch64.
func (h *Host) Arch() string { return h.facts.Arch }

// CPUs is the number of processors.
func (h *Host) CPUs() int { return runtime.NumCPU() }

// DNS are the host's resolver settings.
func (h *Host) DNS() cloudinit.DNS { return h.o.DNS() }

// Groups are the supplementary groups that a guest's process needs: the one of /dev/kvm when it runs on KVM.
func (h *Host) Groups(kvm bool) []int {
	if !kvm {
		return nil
	}
	st, err := os.Stat("/dev/kvm")
	if err != nil {
		return nil
	}
	if sys, ok := st.Sys().(*syscall.Stat_t); ok && sys.Gid != 0 {
		return []int{int(sys.Gid)}
	}
	return nil
}

// FirmwareVars returns the path of the firmware's template for the variables of a VM's EFI disk.
func (h *Host) FirmwareVars(main vmconfig.Section, efi vmconfig.Drive) (string, error) {
	path, err := machineconf.VarsTemplate(h.facts, main, efi)
	if err != nil {
		return "", fmt.Errorf("EFI disk: %w", err)
	}
	return path, nil
}
