package cluster

import (
	"context"
	"errors"
	"time"
)

// Election makes one of many the leader.
type Election struct {
	Store Store
	Spec  LeaseSpec // Info is what others see as the leader
	// Retry is the pause after an error of the store. Default: a tenth of the TTL.
	Retry time.Duration
}

// Run waits to be elected and calls lead, again and again, until ctx ends; then it returns nil. The context of lead ends
// when the leadership is lost; lead carries the lease's Guard in each write. A lead that returns gives the leadership
// back; with an error, Run returns that error, unless it comes from the loss.
func (e *Election) Run(ctx context.Context, lead func(context.Context, *Lease) error) error {
	retry := e.Retry
	if retry <= 0 {
		retry = e.Spec.TTL / 10
	}
	for {
		lease, err := Lock(ctx, e.Store, e.Spec)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, ErrInvalid), errors.Is(err, ErrClosed):
			return err
		case err != nil:
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(retry):
			}
			continue
		}
		err = e.lead(ctx, lease, lead)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (e *Election) lead(ctx context.Context, lease *Lease, lead func(context.Context, *Lease) error) error {
	term, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watched := make(chan struct{})
	go func() { // ends with the lease, which is released below
		defer close(watched)
		<-lease.Done()
		cancel(lease.Err())
	}()
	err := lead(term, lease)
	lost := lease.Err() != nil
	release, done := context.WithTimeout(context.WithoutCancel(ctx), e.Spec.TTL)
	defer done()
	lease.Release(release) // a failure is harmless: the lease ends by itself after its TTL
	<-watched
	if lost {
		return nil
	}
	return err
}

// Leader returns the Info of the current leader. ErrNotFound: there is none. One that has died is still reported until
// somebody has taken over.
func (e *Election) Leader(ctx context.Context) (string, error) {
	kv, err := e.Store.Get(ctx, e.Spec.holderKey())
	if err != nil {
		return "", err
	}
	h, err := holderSchema.Decode(kv.Value)
	if err != nil {
		return "", &OpError{Op: "leader", Key: kv.Key, Err: err}
	}
	return h.Info, nil
}
