package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/turtacn/go-proxmox/internal/errclass"
	"github.com/turtacn/go-proxmox/internal/proc"
	"github.com/turtacn/go-proxmox/qmp"
)

// ErrStillRunning says that the guest did not go within the time it had.
var ErrStillRunning = errclass.New("guest is still running", os.ErrDeadlineExceeded)

// Rung is a step of a ladder towards the end of a QEMU.
type Rung string

// The rungs.
const (
	RungAsk  Rung = "ask"  // the guest is asked, by its agent or by the power button
	RungQuit Rung = "quit" // QEMU is told by QMP
	RungTerm Rung = "term" // SIGTERM
	RungKill Rung = "kill" // SIGKILL
)

// LadderOptions adjust Stop and Shutdown. Nil, and every zero field, means the stated default.
type LadderOptions struct {
	// Timeout is what the guest has (Shutdown), or quit (Stop): 60 s.
	Timeout time.Duration
	// TermGrace is what SIGTERM has before SIGKILL: 10 s.
	TermGrace time.Duration
	// Ask asks the guest to shut down: the power button. An agent's request goes here; when it fails the ladder ends, or
	// goes on with SIGTERM under Force.
	Ask func(context.Context) error
	// Force lets Shutdown go on with SIGTERM where it would fail.
	Force bool
	// OnRung is told of each step before it is taken, with the reason why the one before was not enough: ErrStillRunning,
	// its own error, or nil for the first. It is called from the calling goroutine.
	OnRung func(r Rung, why error)
}

func (o *LadderOptions) withDefaults(p *Process) LadderOptions {
	var v LadderOptions
	if o != nil {
		v = *o
	}
	if v.Timeout == 0 {
		v.Timeout = time.Minute
	}
	if v.TermGrace == 0 {
		v.TermGrace = 10 * time.Second
	}
	if v.Ask == nil {
		v.Ask = p.PowerDown
	}
	if v.OnRung == nil {
		v.OnRung = func(Rung, error) {}
	}
	return v
}

// PowerDown presses the guest's power button. What the guest does then is its business. See qapi/machine.json:
// system_powerdown.
func (p *Process) PowerDown(ctx context.Context) error {
	c, err := p.Client(ctx)
	if err != nil {
		return err
	}
	return c.Do(ctx, "system_powerdown", nil, nil)
}

// Quit tells QEMU to end at once, without the guest. Nil means that it took the command or has ended. See
// qapi/misc.json: quit.
func (p *Process) Quit(ctx context.Context) error {
	c, err := p.Client(ctx)
	if err == nil {
		p.note(func(w *words) { w.quit = true })
		err = c.Do(ctx, "quit", nil, nil)
	}
	if errors.Is(err, qmp.ErrUnanswered) || errors.Is(err, ErrNotRunning) {
		return nil // it goes before it answers
	}
	return err
}

// Kill ends QEMU by SIGKILL and waits for Done.
func (p *Process) Kill(ctx context.Context) error {
	p.note(func(w *words) { w.killed = true })
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	_, err := p.Wait(ctx)
	return err
}

// Stop ends QEMU for certain, without the guest: quit, then SIGTERM, then SIGKILL. It returns when QEMU has ended, which
// only ctx's end can prevent. On a QEMU that has ended it does nothing.
func (p *Process) Stop(ctx context.Context, o *LadderOptions) error {
	opts := o.withDefaults(p)
	if p.Exit().Cause != "" {
		return nil
	}
	opts.OnRung(RungQuit, nil)
	why := p.within(ctx, opts.Timeout, p.Quit)
	if why == nil || ctx.Err() != nil {
		return why
	}
	return p.terminate(ctx, &opts, why)
}

// Shutdown asks the guest to shut down and waits for QEMU's end. When the guest does not go in time the error is
// ErrStillRunning, unless Force is set.
func (p *Process) Shutdown(ctx context.Context, o *LadderOptions) error {
	opts := o.withDefaults(p)
	if p.Exit().Cause != "" {
		return nil
	}
	opts.OnRung(RungAsk, nil)
	why := p.within(ctx, opts.Timeout, opts.Ask)
	if why == nil || ctx.Err() != nil || !opts.Force {
		return why
	}
	return p.terminate(ctx, &opts, why)
}

// within does something to the end of QEMU and waits for it, both within the timeout. Nil means that QEMU has ended.
func (p *Process) within(ctx context.Context, timeout time.Duration, act func(context.Context) error) error {
	short, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := act(short)
	if err == nil {
		_, err = p.Wait(short)
	}
	switch {
	case p.Exit().Cause != "":
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("machine: stop: %w", ctx.Err())
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("machine: %w", ErrStillRunning)
	}
	return err
}

// terminate takes the last two rungs.
func (p *Process) terminate(ctx context.Context, opts *LadderOptions, why error) error {
	opts.OnRung(RungTerm, why)
	p.note(func(w *words) { w.killed = true })
	why = p.within(ctx, opts.TermGrace, func(context.Context) error {
		return p.signal(syscall.SIGTERM)
	})
	if why == nil || ctx.Err() != nil {
		return why
	}
	opts.OnRung(RungKill, why)
	return p.Kill(ctx)
}

// signal does nothing to a process that has ended.
func (p *Process) signal(sig syscall.Signal) error {
	err := p.proc.Signal(sig)
	if errors.Is(err, proc.ErrGone) || errors.Is(err, proc.ErrClosed) {
		return nil
	}
	return err
}

func (p *Process) note(fn func(*words)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fn(&p.words)
}
