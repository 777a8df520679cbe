package vm

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/turtacn/go-proxmox/internal/inventory"
	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/machine"
)

// guest is a running VM's process, watched by a goroutine of the service until it ends.
type guest struct {
	id    int
	proc  *machine.Process
	gone  chan struct{} // closed when the process has ended and the service has forgotten it
	agent chan struct{} // holds one token: the right to talk to the guest's agent, whose socket serves one client at a time

	viewers atomic.Uint64 // how many were handed to its VNC server

	mu      sync.Mutex // guards the fields below; never held across I/O
	hold    *Hold      // replaced, never changed
	state   string     // QEMU's run state
	sample  cpuSample
	figures inventory.Live
	detail  *detail // what QEMU told at the last sample; replaced, never changed
	claimed bool    // an operation ends the process and cleans up behind it
	ended   bool    // the process has ended; claimed does not count any more
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

// claim says that an operation is going to clean up behind the process. One that has ended before is cleaned up behind by a
// hidden operation already, which finds nothing to do then.
func (g *guest) claim() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.claimed = true
}

// release takes a claim back. True: the process has ended under it, so the clean-up is still the caller's to arrange.
func (g *guest) release() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	orphaned := g.claimed && g.ended
	g.claimed = false
	return orphaned
}

// end notes that the process has ended, and tells whether somebody has claimed the clean-up.
func (g *guest) end() (claimed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended = true
	return g.claimed
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

// find is guest for operations: a process that could not be taken up when the daemon started is tried again. Only
// operations of the VM's queue may use it.
func (s *Service) find(ctx context.Context, id int) (*guest, error) {
	if g := s.guest(id); g != nil {
		return g, nil
	}
	h, err := s.hold(ctx, id)
	if err != nil || h == nil {
		return nil, err
	}
	p, err := machine.Attach(ctx, s.runDir(id), &machine.AttachOptions{Logger: s.o.Logger})
	switch {
	case errors.Is(err, machine.ErrNotRunning):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return s.adopt(h, p, "running"), nil
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
	g := &guest{id: h.ID, hold: h, proc: p, gone: make(chan struct{}), agent: make(chan struct{}, 1), state: state}
	g.agent <- struct{}{}
	s.mu.Lock()
	s.guests[h.ID] = g
	s.mu.Unlock()
	s.publish(g)
	s.wg.Go(func() { s.watch(g) })
	return g
}

// runStates are the events at which QEMU's run state changes, with the state for a QEMU that cannot be asked in time.
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
	for ctx.Err() == nil { // a live session is returned also after its end
		c, err := g.proc.Client(ctx)
		if err != nil {
			return // the process has ended, or ctx has
		}
		sub := c.Subscribe("STOP", "RESUME", "SUSPEND", "WAKEUP", "SHUTDOWN")
		s.setState(g, askState(ctx, c, "running")) // what happened before the subscription
		for {
			ev, err := sub.Next(ctx, nil)
			if err != nil && !errors.As(err, new(*qmp.OverflowError)) {
				break
			}
			// An event tells less than the state: a guest stops for an I/O error, a migration or a person.
			s.setState(g, askState(ctx, c, runStates[ev.Name]))
		}
		sub.Close()
	}
}

// askState asks QEMU for its run state; for one that does not answer it is otherwise.
func askState(ctx context.Context, c *qmp.Client, otherwise string) string {
	ctx, cancel := context.WithTimeout(ctx, qmpPatience)
	defer cancel()
	var st struct{ Status string }
	if err := c.Do(ctx, "query-status", nil, &st); err != nil || st.Status == "" {
		return otherwise
	}
	return st.Status
}

func (s *Service) setState(g *guest, state string) {
	g.mu.Lock()
	changed := state != "" && g.state != state
	if changed {
		g.state = state
	}
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
	s.withdraw(g.id)
	exit, start, claimed := g.proc.Exit(), g.holds().Start, g.end()
	close(g.gone)
	s.o.Logger.Info("guest ended", "vmid", g.id, "exit", exit.String())
	if !claimed {
		s.submitExited(g.id, start, exit.Cause == machine.GuestShutdown)
	}
}

// publish shows the guest's state in the inventory, unless it has been forgotten meanwhile.
func (s *Service) publish(g *guest) {
	s.publishing.Lock()
	defer s.publishing.Unlock()
	if s.guest(g.id) != g {
		return
	}
	g.mu.Lock()
	g.figures.Status, g.figures.PID, g.figures.Started = g.state, g.proc.PID(), g.hold.Started
	live := g.figures
	g.mu.Unlock()
	s.o.Inventory.SetLive(map[int]inventory.Live{g.id: live})
}

// withdraw shows a VM as stopped in the inventory, unless another process of it is there by now.
func (s *Service) withdraw(id int) {
	s.publishing.Lock()
	defer s.publishing.Unlock()
	if s.guest(id) == nil {
		s.o.Inventory.SetLive(map[int]inventory.Live{id: {}})
	}
}

// qmpPatience is how long a status waits for a QEMU that does not answer; its values are missing then.
const qmpPatience = 2 * time.Second
