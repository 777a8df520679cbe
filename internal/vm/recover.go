package vm

import (
	"context"
	"errors"
	"sync"

	"github.com/turtacn/go-proxmox/qmp/machine"
)

// recoverSideBySide bounds how many guests are taken up at the same time: one that hangs costs seconds.
const recoverSideBySide = 16

// Recover finds the guests again that were running when the daemon ended. Call it once, before the task engine runs: the
// operations that it resumes must know what runs. Guests that have ended meanwhile are cleaned up behind by operations.
func (s *Service) Recover(ctx context.Context) error {
	holds, err := s.holds(ctx)
	if err != nil {
		return err
	}
	if err := s.dropStrayPorts(ctx, holds); err != nil {
		s.o.Logger.Warn("taps of lost guests are not removed", "err", err)
	}
	slots := make(chan struct{}, recoverSideBySide)
	var wg sync.WaitGroup
	for _, h := range holds {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			s.recoverGuest(ctx, h)
		})
	}
	wg.Wait()
	return ctx.Err()
}

func (s *Service) recoverGuest(ctx context.Context, h *Hold) {
	p, err := machine.Attach(ctx, s.runDir(h.ID), &machine.AttachOptions{Logger: s.o.Logger})
	switch {
	case err == nil:
		s.adopt(h, p, "running")
		s.o.Logger.Info("guest found again", "vmid", h.ID, "pid", p.PID())
	case errors.Is(err, machine.ErrNotRunning):
		s.submitExited(h.ID, h.Start, false)
	default: // it may well run: nothing is let go, and the next operation on the VM tries again
		s.o.Logger.Error("guest cannot be taken up", "vmid", h.ID, "err", err)
	}
}

// Close stops watching the guests, which run on. No operation may run any more.
func (s *Service) Close() {
	close(s.stopping)
	s.wg.Wait()
}
