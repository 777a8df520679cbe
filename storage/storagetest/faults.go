package storagetest

import (
	"context"
	"time"

	"github.com/turtacn/go-proxmox/storage"
)

// Fault is what befalls one call. The zero value lets it pass.
type Fault struct {
	Before error           // the call does not happen
	After  error           // it happened, but looks failed, as when an answer is lost
	Delay  time.Duration   // it comes late, unless its ctx ends first
	Hang   <-chan struct{} // it sticks until this is closed, whatever its ctx says, as in a system call on a dead server
}

// Faults is a driver whose calls, those of its capabilities too, fail as it is told.
type Faults struct{ *storage.Interceptor }

// NewFaults puts faults before d. fault is asked for each call, from any goroutine.
func NewFaults(d storage.Driver, fault func(storage.Call) Fault) *Faults {
	return &Faults{storage.Intercept(d, func(ctx context.Context, c storage.Call, do func(context.Context) error) error {
		f := fault(c)
		fail := func(err error) error { return &storage.OpError{Op: c.Op, Driver: "faults", Volume: c.ID, Err: err} }
		if f.Hang != nil {
			<-f.Hang
		}
		if f.Delay > 0 {
			late := time.NewTimer(f.Delay)
			defer late.Stop()
			select {
			case <-late.C:
			case <-ctx.Done():
				return fail(context.Cause(ctx))
			}
		}
		if f.Before != nil {
			return fail(f.Before)
		}
		err := do(ctx)
		if err == nil && f.After != nil {
			err = fail(f.After)
		}
		return err
	})}
}
