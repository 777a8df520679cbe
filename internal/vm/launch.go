package vm

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/internal/vm/machineconf"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/qmp/machine"
)

// launch starts QEMU and waits until it answers.
func (s *Service) launch(ctx context.Context, op *task.Op, v *VM, h *Hold, r *machineconf.Result, timeout int) (*machine.Process, error) {
	limit := startTimeout(v, len(r.Ports))
	if timeout > 0 {
		limit = time.Duration(timeout) * time.Second
	}
	files, err := s.openTaps(ctx, r, h.UID, machine.FirstFile)
	if err != nil {
		return nil, err
	}
	defer func() { _ = closeAll(files) }()
	sockets, err := listenFor(r, machine.FirstFile+len(files))
	if err != nil {
		return nil, err
	}
	files = append(files, sockets...)
	program, prefix, err := command(r)
	if err != nil {
		return nil, err
	}
	proc, err := machine.Start(ctx, &machine.StartOptions{
		Files: files, Binary: program, Args: append(prefix, r.Machine.Args()...), RunDir: s.runDir(v.ID), Name: "vm-" + strconv.Itoa(v.ID),
		UID: h.UID, GID: h.UID, Groups: s.o.Host.Groups(r.KVM), Cgroup: cgroup(v.ID), Sandbox: true,
		ReadyTimeout: limit, Logger: s.o.Logger,
	})
	if err == nil {
		return proc, nil
	}
	if e, ok := errors.AsType[*machine.StartError](err); ok {
		for line := range strings.Lines(e.Stderr) {
			op.Logf("QEMU: %s", strings.TrimSpace(line))
		}
		if e.Err == nil {
			return nil, call.Errorf("start failed: QEMU exited with code %d", e.ExitCode)
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, call.Errorf("start failed: QEMU did not answer within %v: got timeout", limit)
	}
	return nil, fmt.Errorf("start failed: %w", err)
}

// cgroup names the control group of a VM's process.
func cgroup(id int) string { return filepath.Join("gpve", strconv.Itoa(id)+".scope") }

// command is the program to run and what goes before the machine's own arguments. A machine that is bound to processors is
// started by the tool that binds itself and then becomes QEMU.
func command(r *machineconf.Result) (program string, args []string, err error) {
	if r.Affinity == "" {
		return r.Program, r.Prefix, nil
	}
	taskset, err := exec.LookPath("taskset")
	if err != nil {
		return "", nil, call.Errorf("start failed: option 'affinity' needs the program 'taskset'")
	}
	return taskset, append([]string{"--cpu-list", "--all-tasks", r.Affinity, r.Program}, r.Prefix...), nil
}

// startTimeout is how long a start may take: guests with much memory, hugepages or saved state need longer.
func startTimeout(v *VM, nics int) time.Duration {
	main := v.Config.Main
	seconds := 30
	if m, err := vmconfig.ParseMemory(main["memory"]); err == nil && m.CurrentMiB > 30720 {
		seconds = m.CurrentMiB / 1024
	}
	if v.suspended() {
		seconds = max(seconds, 300)
	}
	if main.Has("hugepages") {
		seconds = max(seconds, 150)
	}
	return time.Duration(seconds+5*nics) * time.Second
}

// cpuLimits are the options cpuunits and cpulimit as limits of a control group; zero where they are not set.
func cpuLimits(main vmconfig.Section) machine.Limits {
	l := machine.Limits{CPUWeight: min(main.Int("cpuunits", 0), 10_000)}
	if cores, err := strconv.ParseFloat(main["cpulimit"], 64); err == nil && cores > 0 {
		l.CPUCores = cores
	}
	return l
}

// limitCPU applies cpuunits and cpulimit, also that they are not set any more. A host without the controllers runs the guest
// unlimited, with a warning.
func (s *Service) limitCPU(op *task.Op, v *VM, g *guest) {
	l := cpuLimits(v.Config.Main)
	wanted := l != (machine.Limits{})
	if l.CPUWeight == 0 {
		l.CPUWeight = 100 // the kernel's default
	}
	if l.CPUCores == 0 {
		l.CPUCores = -1
	}
	if err := g.proc.SetLimits(l); err != nil && (wanted || !errors.Is(err, errors.ErrUnsupported)) {
		op.Logf("WARN: cpuunits and cpulimit have no effect: %v", err)
	}
}
