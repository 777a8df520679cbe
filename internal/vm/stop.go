package vm

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
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
	SkipLock  bool     `json:",omitempty"`
	Timeout   int      `json:",omitempty"` // seconds; 0: the default
	ForceStop bool     `json:",omitempty"` // of a shutdown: pull the plug when the time is over
	Asleep    bool     `json:",omitempty"` // of a shutdown: the guest could not hear of it, so pull the plug at once
	Overruled []string `json:",omitempty"` // of a stop: the shutdowns that it has aborted
}

// runningGuest loads the VM of an operation and its process; the process is nil if it does not run.
func (s *Service) runningGuest(ctx context.Context, op *task.Op) (*VM, *guest, powerParams, error) {
	var p powerParams
	if err := op.Decode(&p); err != nil {
		return nil, nil, p, err
	}
	v, err := s.Load(ctx, p.ID)
	if err != nil {
		return nil, nil, p, err
	}
	g, err := s.find(ctx, p.ID)
	return v, g, p, err
}

// toEnd is runningGuest for the operations that end the process, which say differently that there is no such VM. One that
// does not run is cleaned up behind, should that not have happened yet; its process is nil then.
func (s *Service) toEnd(ctx context.Context, op *task.Op) (*VM, *guest, powerParams, error) {
	v, g, p, err := s.runningGuest(ctx, op)
	switch {
	case err != nil:
		return v, g, p, s.notFoundIf(err, p.ID)
	case g == nil:
		return v, nil, p, s.cleanUp(ctx, op, p.ID)
	case !p.SkipLock:
		err = v.checkLock()
	}
	return v, g, p, err
}

// runStop pulls the plug.
func (s *Service) runStop(ctx context.Context, op *task.Op) error {
	v, g, p, err := s.toEnd(ctx, op)
	if err != nil || g == nil {
		return err
	}
	if len(p.Overruled) > 0 {
		op.Logf("overruled qmshutdown tasks: %s", strings.Join(p.Overruled, ", "))
	}
	if err := s.noteReboot(ctx, op, g, false); err != nil {
		return err
	}
	s.tryHook(ctx, op, v, phasePreStop)
	return s.end(ctx, op, g, func(ctx context.Context) error { return pullPlug(ctx, op, g, p) })
}

func pullPlug(ctx context.Context, op *task.Op, g *guest, p powerParams) error {
	return g.proc.Stop(ctx, &machine.LadderOptions{Timeout: seconds(p.Timeout, 60), OnRung: rungs(op)})
}

// runShutdown asks the guest to end: its agent if it answers, else by the ACPI power button.
func (s *Service) runShutdown(ctx context.Context, op *task.Op) error {
	v, g, p, err := s.toEnd(ctx, op)
	if err != nil || g == nil {
		return err
	}
	if err := s.noteReboot(ctx, op, g, false); err != nil {
		return err
	}
	s.tryHook(ctx, op, v, phasePreStop)
	return s.end(ctx, op, g, func(ctx context.Context) error {
		if p.Asleep {
			return pullPlug(ctx, op, g, p)
		}
		return s.shutDown(ctx, op, v, g, p)
	})
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
	return func(r machine.Rung, why error) {
		switch {
		case r == machine.RungKill:
			op.Logf("WARN: VM still running - terminating now with SIGKILL")
		case r != machine.RungTerm:
		case errors.Is(why, machine.ErrStillRunning):
			op.Logf("WARN: VM still running - terminating now with SIGTERM")
		default:
			op.Logf("WARN: VM quit/powerdown failed - terminating now with SIGTERM")
		}
	}
}

// rebootStep is the step of a reboot: that the VM is to be started again is noted with what its process holds.
type rebootStep struct {
	ID    int
	Start string // of which process
}

// runReboot is a shutdown after which the VM is started again, with its pending changes applied.
func (s *Service) runReboot(ctx context.Context, op *task.Op) error {
	done, again, err := progressOf(op)
	if err != nil {
		return err
	}
	v, g, p, err := s.runningGuest(ctx, op)
	switch {
	case err != nil:
		return s.notFoundIf(err, p.ID)
	case again && (g == nil || g.holds().Start != done.Start): // before a restart of the daemon it went far enough
		return s.exited(ctx, op, p.ID, done.Start, false)
	case g == nil:
		return call.Errorf("VM %d not running", p.ID)
	}
	if err := v.checkLock(); err != nil {
		return err
	}
	h := *g.holds()
	h.Reboot = true
	if err := save(ctx, op, func(p *progress) { p.Start = h.Start }); err != nil {
		return err
	}
	if err := op.Step(ctx, stepReboot, rebootStep{h.ID, h.Start}, h.part(&s.Repository)); err != nil {
		return err
	}
	g.setHold(&h)
	p.ForceStop = false
	s.tryHook(ctx, op, v, phasePreStop)
	return s.end(ctx, op, g, func(ctx context.Context) error { return s.shutDown(ctx, op, v, g, p) })
}

// undoReboot takes the note back after a reboot that failed, if the process is still there.
func (s *Service) undoReboot(ctx context.Context, op *task.Op, data json.RawMessage) error {
	var step rebootStep
	if err := json.Unmarshal(data, &step); err != nil {
		return err
	}
	if g := s.guest(step.ID); g != nil && g.holds().Start == step.Start {
		return s.noteReboot(ctx, op, g, false)
	}
	h, err := s.hold(ctx, step.ID)
	if err != nil || h == nil || h.Start != step.Start {
		return err
	}
	h.Reboot = false
	return op.Commit(ctx, h.part(&s.Repository))
}

// noteReboot stores whether the VM shall be started again when its process has ended.
func (s *Service) noteReboot(ctx context.Context, op *task.Op, g *guest, on bool) error {
	h := *g.holds()
	if h.Reboot == on {
		return nil
	}
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
func downTimeout(main vmconfig.Section) int { return startup(main["startup"]).DownSec.Or(60) }

// agentPing is how long a shutdown waits for the guest's agent before it presses the power button.
const agentPing = 3 * time.Second

// askDown asks the guest to shut down.
func (s *Service) askDown(ctx context.Context, v *VM, g *guest) error {
	if agent, err := vmconfig.ParseAgent(v.Config.Main["agent"]); err == nil && agent.IsEnabled() {
		asking, cancel := context.WithTimeout(ctx, agentPing)
		defer cancel()
		a, hangUp, err := s.dialAgent(asking, g)
		if err == nil {
			defer hangUp()
			if a.Ping(asking) == nil {
				return a.Shutdown(ctx, qga.PowerDown)
			}
		}
	}
	return g.do(ctx, "system_powerdown", nil, nil)
}

// asleep asks whether a guest is in a state in which it cannot shut down.
func (g *guest) asleep(ctx context.Context) bool {
	state := g.runState()
	if c, err := g.proc.Client(ctx); err == nil {
		state = askState(ctx, c, state)
	}
	return slices.Contains([]string{"paused", "prelaunch", "suspended"}, state)
}
