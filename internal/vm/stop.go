package vm

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/qmp/machine"
	"github.com/turtacn/go-proxmox/qmp/qga"
)

// powerParams are the parameters of the operations that end, pause or reset a guest.
type powerParams struct {
	ID        int
	SkipLock  bool `json:",omitempty"`
	Timeout   int  `json:",omitempty"` // seconds; 0: the default
	ForceStop bool `json:",omitempty"` // of a shutdown: pull the plug when the time is over
}

// runningGuest loads the VM of an operation and its process; the process is nil if it does not run.
func (s *Service) runningGuest(ctx context.Context, op *task.Op, harmless ...string) (*VM, *guest, powerParams, error) {
	var p powerParams
	if err := op.Decode(&p); err != nil {
		return nil, nil, p, err
	}
	v, err := s.Load(ctx, p.ID)
	if err != nil {
		return nil, nil, p, err
	}
	if !p.SkipLock {
		if err := v.checkLock(harmless...); err != nil {
			return nil, nil, p, err
		}
	}
	return v, s.guest(p.ID), p, nil
}

// runStop pulls the plug.
func (s *Service) runStop(ctx context.Context, op *task.Op) error {
	_, g, p, err := s.runningGuest(ctx, op)
	if err != nil || g == nil {
		return err
	}
	return s.end(ctx, op, g, func(ctx context.Context) error {
		return g.proc.Stop(ctx, &machine.LadderOptions{Timeout: seconds(p.Timeout, 60), OnRung: rungs(op)})
	})
}

// runShutdown asks the guest to end: its agent if it answers, else by the ACPI power button.
func (s *Service) runShutdown(ctx context.Context, op *task.Op) error {
	v, g, p, err := s.runningGuest(ctx, op)
	if err != nil || g == nil {
		return err
	}
	return s.end(ctx, op, g, func(ctx context.Context) error { return s.shutDown(ctx, op, v, g, p) })
}

// shutDown is the ladder of a shutdown; only with forceStop it goes on when the guest does not.
func (s *Service) shutDown(ctx context.Context, op *task.Op, v *VM, g *guest, p powerParams) error {
	err := g.proc.Shutdown(ctx, &machine.LadderOptions{
		Timeout: seconds(p.Timeout, downTimeout(v.Config.Main)), Force: p.ForceStop, OnRung: rungs(op),
		Ask: func(ctx context.Context) error { return s.askDown(ctx, v, g) },
	})
	switch {
	case errors.Is(err, machine.ErrStillRunning):
		return call.Errorf("VM quit/powerdown failed - got timeout")
	case err != nil && ctx.Err() == nil:
		return &call.Error{Status: 500, Text: "VM quit/powerdown failed", Err: err}
	}
	return err
}

// rungs tells the log of the harder ways to end a process.
func rungs(op *task.Op) func(machine.Rung, error) {
	return func(r machine.Rung, _ error) {
		switch r {
		case machine.RungTerm:
			op.Logf("WARN: VM quit/powerdown failed - terminating now with SIGTERM")
		case machine.RungKill:
			op.Logf("WARN: VM still running - terminating now with SIGKILL")
		}
	}
}

// runReboot is a shutdown after which the VM is started again, with its pending changes applied.
func (s *Service) runReboot(ctx context.Context, op *task.Op) error {
	v, g, p, err := s.runningGuest(ctx, op)
	if err != nil {
		return err
	}
	if g == nil {
		return call.Errorf("VM %d not running", p.ID)
	}
	if err := s.noteReboot(ctx, op, g, true); err != nil {
		return err
	}
	p.ForceStop = false
	err = s.end(ctx, op, g, func(ctx context.Context) error { return s.shutDown(ctx, op, v, g, p) })
	if err != nil {
		return errors.Join(err, s.noteReboot(context.WithoutCancel(ctx), op, g, false))
	}
	return nil
}

// noteReboot stores whether the VM shall be started again when its process has ended.
func (s *Service) noteReboot(ctx context.Context, op *task.Op, g *guest, on bool) error {
	h := *g.holds()
	h.Reboot = on
	if err := op.Commit(ctx, cluster.If(cluster.Exists(s.holdKey(g.id))), h.part(&s.Repository)); err != nil {
		return err
	}
	g.setHold(&h)
	return nil
}

func seconds(given, otherwise int) time.Duration {
	if given > 0 {
		otherwise = given
	}
	return time.Duration(otherwise) * time.Second
}

// downTimeout is the time a guest has to shut down: startup down=, else a minute.
func downTimeout(main vmconfig.Section) int {
	for part := range strings.SplitSeq(main["startup"], ",") {
		if n, err := strconv.Atoi(strings.TrimPrefix(part, "down=")); err == nil && strings.HasPrefix(part, "down=") {
			return n
		}
	}
	return 60
}

// askDown asks the guest to shut down.
func (s *Service) askDown(ctx context.Context, v *VM, g *guest) error {
	if agent, err := vmconfig.ParseAgent(v.Config.Main["agent"]); err == nil && agent.IsEnabled() {
		asking, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		if a, err := qga.Dial(asking, s.agentSocket(v.ID), nil); err == nil {
			defer a.Close()
			if a.Ping(asking) == nil {
				return a.Shutdown(ctx, "powerdown")
			}
		}
	}
	return g.do(ctx, "system_powerdown", nil, nil)
}

// end lets a ladder end the process and cleans up behind it. A process that ends later in spite of a failed ladder is
// cleaned up behind like one that ended by itself.
func (s *Service) end(ctx context.Context, op *task.Op, g *guest, ladder func(context.Context) error) error {
	g.setQuiet(true)
	err := ladder(ctx)
	if err != nil {
		g.setQuiet(false)
		select {
		case <-g.gone: // between the ladder's end and that line
		default:
			return err
		}
	}
	select {
	case <-g.gone:
	case <-ctx.Done():
		g.setQuiet(false)
		select {
		case <-g.gone: // in between
			s.submitExited(g.id, g.holds().Start, false)
		default:
		}
		return context.Cause(ctx)
	}
	return s.exited(ctx, op, g.id, g.holds().Start, false)
}

// exitedParams are the parameters of the hidden operation that cleans up behind a process that ended by itself.
type exitedParams struct {
	ID      int
	Start   string // which process
	ByGuest bool   // it was the guest's own wish
}

// submitExited has the remains of a process cleaned up in the VM's queue.
func (s *Service) submitExited(id int, start string, byGuest bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	sp := task.Spec{Type: opExited, ID: strconv.Itoa(id), User: call.Root, Queue: queue(id), Hidden: true, Params: exitedParams{id, start, byGuest}}
	if _, err := s.o.Tasks.Submit(ctx, sp); err != nil {
		s.o.Logger.Error("clean-up behind a guest could not be submitted", "vmid", id, "err", err)
	}
}

func (s *Service) runExited(ctx context.Context, op *task.Op) error {
	var p exitedParams
	if err := op.Decode(&p); err != nil {
		return err
	}
	return s.exited(ctx, op, p.ID, p.Start, p.ByGuest)
}

// exited lets go what a process held that has ended, unless that has happened already, and starts the VM again if that
// was asked for. Pending changes take effect now, but not after a shutdown from inside the guest.
func (s *Service) exited(ctx context.Context, op *task.Op, id int, start string, byGuest bool) error {
	h, err := s.hold(ctx, id)
	if err != nil || h == nil || h.Start != start {
		return err
	}
	if err := s.letGo(ctx, h); err != nil {
		return err
	}
	if err := op.Commit(ctx, cluster.Delete(s.holdKey(id))); err != nil {
		return err
	}
	v, err := s.Load(ctx, id)
	if err != nil {
		return err
	}
	if v.Config.HasPending() && !byGuest {
		problems := call.ParamErrors{}
		s.applyStopped(ctx, op, v, problems)
		if err := s.commit(ctx, op, v); err != nil {
			return err
		}
		for key, text := range problems {
			op.Logf("WARN: %s: %s", key, text)
		}
	}
	if !h.Reboot {
		return nil
	}
	sp := spec(ctx, opStart, id, startParams{ID: id})
	sp.User = call.Root
	_, err = s.o.Tasks.Submit(ctx, sp)
	return err
}

// runReset is the reset button.
func (s *Service) runReset(ctx context.Context, op *task.Op) error {
	return s.command(ctx, op, "system_reset")
}

// runPause stops the guest's processors.
func (s *Service) runPause(ctx context.Context, op *task.Op) error {
	return s.command(ctx, op, "stop", lockBackup)
}

// command sends a QMP command to a guest that must run.
func (s *Service) command(ctx context.Context, op *task.Op, name string, harmless ...string) error {
	_, g, p, err := s.runningGuest(ctx, op, harmless...)
	if err != nil {
		return err
	}
	if g == nil {
		return call.Errorf("VM %d not running", p.ID)
	}
	if err := g.do(ctx, name, nil, nil); err != nil {
		return call.Errorf("VM %d qmp command '%s' failed - %w", p.ID, name, err)
	}
	return nil
}

// runResume lets a paused guest go on, wakes a sleeping one, and resets one that has shut down.
func (s *Service) runResume(ctx context.Context, op *task.Op) error {
	v, g, p, err := s.runningGuest(ctx, op, lockBackup)
	if err != nil {
		return err
	}
	if v.Config.Main.Bool("template", false) {
		return call.Errorf("VM %d is a template and cannot be resumed!", p.ID)
	}
	if g == nil {
		return call.Errorf("VM %d not running", p.ID)
	}
	commands := map[string][]string{"running": nil, "suspended": {"system_wakeup"}, "shutdown": {"system_reset", "cont"}}
	names, known := commands[g.runState()]
	if !known {
		names = []string{"cont"}
	}
	for _, name := range names {
		if err := g.do(ctx, name, nil, nil); err != nil {
			return call.Errorf("VM %d qmp command '%s' failed - %w", p.ID, name, err)
		}
	}
	return nil
}
