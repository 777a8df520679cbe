package vm

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/turtacn/go-proxmox/internal/inventory"
	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/machine"
)

// guest is a running VM's process, watched by a goroutine of the service until it ends.
type guest struct {
	id   int
	proc *machine.Process
	gone chan struct{} // closed when the process has ended and the service has forgotten it

	mu      sync.Mutex // guards the fields below
	hold    *Hold      // replaced, never changed
	state   string     // QEMU's run state
	sample  cpuSample
	figures inventory.Live
	quiet   bool // an operation ends the process and cleans up behind it itself
}

// do sends a QMP command over a live session.
func (g *guest) do(ctx context.Context, cmd string, args, out any) error {
	c, err := g.proc.Client(ctx)
	if err != nil {
		return err
	}
	return c.Do(ctx, cmd, args, out)
}

// holds returns what the node holds for the guest.
func (g *guest) holds() *Hold {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.hold
}

func (g *guest) setHold(h *Hold) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hold = h
}

func (g *guest) setQuiet(on bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.quiet = on
}

// runState returns QEMU's run state.
func (g *guest) runState() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state
}

// guest returns the running VM, nil if it does not run.
func (s *Service) guest(id int) *guest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.guests[id]
}

// Running lists the ids of the VMs that run here, in no order.
func (s *Service) Running() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]int, 0, len(s.guests))
	for id := range s.guests {
		ids = append(ids, id)
	}
	return ids
}

// adopt begins to watch a process. The watching ends with the process, or with Close.
func (s *Service) adopt(h *Hold, p *machine.Process, state string) *guest {
	g := &guest{id: h.ID, hold: h, proc: p, gone: make(chan struct{}), state: state}
	s.mu.Lock()
	s.guests[h.ID] = g
	s.mu.Unlock()
	s.publish(g)
	s.wg.Go(func() { s.watch(g) })
	return g
}

// runStates are the events that tell what QEMU's run state has become.
var runStates = map[string]string{"STOP": "paused", "RESUME": "running", "SUSPEND": "suspended", "WAKEUP": "running", "SHUTDOWN": "shutdown"}

// watch follows the process until it ends or the service closes. The run state is followed beside it.
func (s *Service) watch(g *guest) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { s.followState(ctx, g) })
	select {
	case <-g.proc.Done():
		cancel()
		wg.Wait()
		s.forget(g)
	case <-s.stopping:
		cancel()
		wg.Wait()
	}
	if err := g.proc.Close(); err != nil {
		s.o.Logger.Debug("close a guest's process", "vmid", g.id, "err", err)
	}
}

// followState subscribes to one session after the other.
func (s *Service) followState(ctx context.Context, g *guest) {
	for {
		c, err := g.proc.Client(ctx)
		if err != nil {
			return // it has ended, or ctx has
		}
		sub := c.Subscribe("STOP", "RESUME", "SUSPEND", "WAKEUP", "SHUTDOWN")
		s.setState(g, s.askState(ctx, c)) // what happened before the subscription
		for {
			ev, err := sub.Next(ctx, nil)
			if errors.As(err, new(*qmp.OverflowError)) {
				continue
			}
			if err != nil {
				break
			}
			s.setState(g, runStates[ev.Name])
		}
		sub.Close()
	}
}

// askState asks QEMU for its run state; one that does not answer is taken to run.
func (s *Service) askState(ctx context.Context, c *qmp.Client) string {
	ctx, cancel := context.WithTimeout(ctx, qmpPatience)
	defer cancel()
	var st struct{ Status string }
	if err := c.Do(ctx, "query-status", nil, &st); err != nil || st.Status == "" {
		return "running"
	}
	return st.Status
}

func (s *Service) setState(g *guest, state string) {
	g.mu.Lock()
	changed := g.state != state
	g.state = state
	g.mu.Unlock()
	if changed {
		s.publish(g)
	}
}

// forget takes a process that has ended off the list, and has its remains cleaned up unless an operation does.
func (s *Service) forget(g *guest) {
	s.mu.Lock()
	if s.guests[g.id] == g {
		delete(s.guests, g.id)
	}
	s.mu.Unlock()
	s.o.Inventory.SetLive(map[int]inventory.Live{g.id: {}})
	exit := g.proc.Exit()
	g.mu.Lock()
	quiet, start := g.quiet, g.hold.Start
	g.mu.Unlock()
	close(g.gone)
	s.o.Logger.Info("guest ended", "vmid", g.id, "exit", exit.String())
	if !quiet {
		s.submitExited(g.id, start, exit.Cause == machine.GuestShutdown)
	}
}

// publish shows the guest's state in the inventory.
func (s *Service) publish(g *guest) {
	g.mu.Lock()
	g.figures.Status, g.figures.PID, g.figures.Started = g.state, g.proc.PID(), g.hold.Started
	live := g.figures
	g.mu.Unlock()
	s.o.Inventory.SetLive(map[int]inventory.Live{g.id: live})
}

// qmpPatience is how long a status waits for a QEMU that does not answer; its values are missing then.
const qmpPatience = 2 * time.Second
