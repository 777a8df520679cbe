package vm

import (
	"context"
	"errors"

	"github.com/turtacn/go-proxmox/qmp/machine"
)

// Recover finds the guests again that were running when the daemon ended. Call it once, before the task engine runs: the
// operations that it resumes must know what runs. Guests that have ended meanwhile are cleaned up behind by operations.
func (s *Service) Recover(ctx context.Context) error {
	holds, err := s.holds(ctx)
	if err != nil {
		return err
	}
	for _, h := range holds {
		p, err := machine.Attach(ctx, s.runDir(h.ID), nil)
		switch {
		case err == nil:
			s.adopt(h, p, "running")
			s.o.Logger.Info("guest found again", "vmid", h.ID, "pid", p.PID())
		case errors.Is(err, machine.ErrNotRunning):
			s.submitExited(h.ID, h.Start, false)
		default: // it may well run: nothing is let go
			s.o.Logger.Error("guest does not answer", "vmid", h.ID, "err", err)
		}
	}
	return nil
}

// Close stops watching the guests, which run on. No operation may run any more.
func (s *Service) Close() {
	close(s.stopping)
	s.wg.Wait()
}
