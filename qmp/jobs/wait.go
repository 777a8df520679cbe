package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/turtacn/go-proxmox/qmp/qapi"
)

// ID returns the job's id.
func (j *Job) ID() string { return j.id }

// Done is closed when the job has ended, or is not followed any more; then Err says how.
func (j *Job) Done() <-chan struct{} { return j.done }

// Err returns nil while the job runs and after its success; else an *Error, ErrCancelled, ErrLost, ErrClosed, or the end
// of the session.
func (j *Job) Err() error {
	select {
	case <-j.done:
		return j.err
	default:
		return nil
	}
}

// Close stops following a job, which goes on. On one that has ended it does nothing.
func (j *Job) Close() {
	j.stop()
	<-j.done
}

// Status returns the last status that was seen.
func (j *Job) Status() qapi.JobStatus {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.status
}

// Progress asks QEMU how far the job is.
func (j *Job) Progress(ctx context.Context) (Progress, error) {
	info, err := find(ctx, j.c, j.id)
	return Progress{Status: info.Status, Current: info.CurrentProgress, Total: info.TotalProgress}, err
}

// Wait waits for the end and returns Err. The end of ctx ends only the waiting.
func (j *Job) Wait(ctx context.Context) error {
	select {
	case <-j.done:
		return j.err
	default:
	}
	select {
	case <-j.done:
		return j.err
	case <-ctx.Done():
		return fmt.Errorf("jobs: %s: %w", j.id, ctx.Err())
	}
}

// WaitFor waits until the job has the status. When it ends before, the error is Err's or, after a success, ErrNotReady.
func (j *Job) WaitFor(ctx context.Context, status qapi.JobStatus) error {
	for {
		j.mu.Lock()
		now, changed := j.status, j.changed
		j.mu.Unlock()
		if now == status {
			return nil
		}
		select {
		case <-changed:
			continue
		default:
		}
		select {
		case <-changed:
		case <-j.done:
			if j.err != nil {
				return j.err
			}
			return fmt.Errorf("jobs: %s: %w", j.id, ErrNotReady)
		case <-ctx.Done():
			return fmt.Errorf("jobs: %s: %w", j.id, ctx.Err())
		}
	}
}

// RunOptions adjust Run. Nil, and every zero field, means the stated default.
type RunOptions struct {
	// OnProgress is told how far the job is, each Every (1 s), from the goroutine of Run.
	OnProgress func(Progress)
	Every      time.Duration
	// Grace is what a cancelled job has to end: 1 minute.
	Grace time.Duration
}

// Run waits for the end, and cancels the job when ctx ends first. It returns when the job has ended; only after Grace, or
// with the session, it gives up. The error then is that of ctx, too.
func (j *Job) Run(ctx context.Context, o *RunOptions) error {
	var opts RunOptions
	if o != nil {
		opts = *o
	}
	if opts.Every <= 0 {
		opts.Every = time.Second
	}
	if opts.Grace <= 0 {
		opts.Grace = time.Minute
	}
	if ended := j.report(ctx, &opts); ended {
		return j.err
	}
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), opts.Grace)
	defer cancel()
	if err := j.Cancel(clean); err != nil {
		return errors.Join(ctx.Err(), err)
	}
	if errors.Is(j.err, ErrCancelled) {
		return fmt.Errorf("jobs: %s: %w", j.id, ctx.Err())
	}
	return j.err // it ended before it was cancelled
}

// report waits for the end of the job or of ctx and tells the progress meanwhile.
func (j *Job) report(ctx context.Context, o *RunOptions) (ended bool) {
	var tick <-chan time.Time
	if o.OnProgress != nil {
		t := time.NewTicker(o.Every)
		defer t.Stop()
		tick = t.C
	}
	for {
		select {
		case <-j.done:
			return true
		case <-ctx.Done():
			return false
		case <-tick:
			if p, err := j.Progress(ctx); err == nil { // else the job ends, and its end says more
				o.OnProgress(p)
			}
		}
	}
}

// Complete brings a job to its end through the phase in which it is ready, if it has one: a mirror switches the guest over
// to its target, the commit of the active layer to its base. The end of ctx ends only the waiting.
func (j *Job) Complete(ctx context.Context) error {
	switch err := j.WaitFor(ctx, qapi.JobStatusReady); {
	case errors.Is(err, ErrNotReady):
		return nil
	case err != nil:
		return err
	}
	if err := qapi.JobComplete(ctx, j.c, j.id); err != nil {
		return err
	}
	return j.Wait(ctx)
}

// Finish ends a mirror that is ready without switching over: the target is a copy of this moment. The end of ctx ends only
// the waiting. See qapi/block-core.json: block-job-cancel, without force.
func (j *Job) Finish(ctx context.Context) error {
	if err := j.WaitFor(ctx, qapi.JobStatusReady); err != nil {
		return err
	}
	if err := qapi.BlockJobCancel(ctx, j.c, &qapi.BlockJobCancelArgs{Device: j.id}); err != nil {
		return err
	}
	return j.Wait(ctx)
}

// Cancel cancels the job and waits for its end. Nil means that it has ended, by this or otherwise: Err says how.
func (j *Job) Cancel(ctx context.Context) error {
	j.request(true)
	if err := qapi.JobCancel(ctx, j.c, j.id); err != nil {
		now, ferr := find(ctx, j.c, j.id)
		over := errors.Is(ferr, ErrLost) || now.Status == qapi.JobStatusConcluded || now.Status == qapi.JobStatusAborting
		if !over && j.Err() == nil {
			j.request(false)
			return err
		}
	}
	select {
	case <-j.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("jobs: %s: %w", j.id, ctx.Err())
	}
}

func (j *Job) request(cancel bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.requested = cancel
}

// Pause stops the job's work until Resume. Both return at once.
func (j *Job) Pause(ctx context.Context) error { return qapi.JobPause(ctx, j.c, j.id) }

// Resume is the opposite of Pause.
func (j *Job) Resume(ctx context.Context) error { return qapi.JobResume(ctx, j.c, j.id) }

// SetSpeed limits a block job to so many bytes per second; 0 is no limit.
func (j *Job) SetSpeed(ctx context.Context, bytesPerSecond int64) error {
	return qapi.BlockJobSetSpeed(ctx, j.c, j.id, bytesPerSecond)
}
