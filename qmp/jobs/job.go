package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/turtacn/go-proxmox/internal/errclass"
	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/qapi"
)

var (
	// ErrCancelled is the end of a job or migration that was cancelled, by whomever.
	ErrCancelled = errclass.New("job was cancelled", context.Canceled)
	// ErrLost says that a job ended and how was not seen: it was dismissed by somebody else.
	ErrLost = errors.New("job is gone, with an outcome that was not seen")
	// ErrNotReady says that a job ended, without an error, before the phase that was waited for.
	ErrNotReady = errors.New("job ended before it was ready")
	// ErrClosed is what waiting for a job returns after Close.
	ErrClosed = errors.New("job is not followed any more")
)

// Error is a job that failed.
type Error struct {
	ID   string
	Type qapi.JobType // "" where QEMU did not tell
	Text string       // QEMU's, for people
}

func (e *Error) Error() string { return fmt.Sprintf("jobs: %s: %s", e.ID, e.Text) }

// Progress is how far a job is. Total may grow: a mirror's does as the guest writes.
type Progress struct {
	Status         qapi.JobStatus
	Current, Total int64 // in units of the job's own, bytes for block jobs
}

// Job is a job of QEMU, being followed until its end. See qapi/job.json: JobStatus. It is dismissed by this package, so
// that its error can be read: start jobs with the functions here, or with auto-dismiss off.
type Job struct {
	c    *qmp.Client
	id   string
	sub  *qmp.Subscription
	stop context.CancelFunc // of watch
	done chan struct{}      // closed when err is set
	err  error

	mu        sync.Mutex // guards what follows; never held across I/O
	status    qapi.JobStatus
	changed   chan struct{} // closed and replaced when status changes
	requested bool          // that it be cancelled
	cancelled bool          // told by QEMU, which tells it of block jobs
	completed *Error        // what BLOCK_JOB_COMPLETED said
}

// follow subscribes, starts a job by start, which may know its status, and watches it.
func follow(ctx context.Context, c *qmp.Client, id string, start func() (qapi.JobStatus, error)) (*Job, error) {
	if id == "" {
		return nil, errors.New("jobs: a job needs an id")
	}
	j := &Job{c: c, id: id, done: make(chan struct{}), changed: make(chan struct{}),
		sub: c.Subscribe(qapi.EventJobStatusChange, qapi.EventBlockJobCompleted, qapi.EventBlockJobCancelled)}
	status, err := start()
	if err != nil {
		j.sub.Close()
		return nil, err
	}
	watching, cancel := context.WithCancel(context.WithoutCancel(ctx))
	j.stop = cancel
	go j.watch(watching, status)
	return j, nil
}

// Attach follows a job that is there already, after a restart of the caller. When there is none the error is ErrLost.
func Attach(ctx context.Context, c *qmp.Client, id string) (*Job, error) {
	return follow(ctx, c, id, func() (qapi.JobStatus, error) { // the subscription is there before the question
		now, err := find(ctx, c, id)
		return now.Status, err
	})
}

func find(ctx context.Context, c *qmp.Client, id string) (qapi.JobInfo, error) {
	list, err := qapi.QueryJobs(ctx, c)
	if err != nil {
		return qapi.JobInfo{}, err
	}
	i := slices.IndexFunc(list, func(i qapi.JobInfo) bool { return i.ID == id })
	if i < 0 {
		return qapi.JobInfo{}, fmt.Errorf("jobs: %s: %w", id, ErrLost)
	}
	return list[i], nil
}

// watch owns the subscription.
func (j *Job) watch(ctx context.Context, status qapi.JobStatus) {
	defer j.stop()
	defer j.sub.Close()
	j.err = j.observe(ctx, status)
	close(j.done)
}

func (j *Job) observe(ctx context.Context, status qapi.JobStatus) error {
	for {
		j.become(status)
		switch status {
		case qapi.JobStatusConcluded:
			return j.conclude(ctx)
		case qapi.JobStatusNull:
			return j.outcome()
		}
		var err error
		if status, err = j.next(ctx, status); err != nil {
			return err
		}
	}
}

// next returns the status after the next event.
func (j *Job) next(ctx context.Context, status qapi.JobStatus) (qapi.JobStatus, error) {
	e, err := j.sub.Next(ctx, nil)
	if _, ok := errors.AsType[*qmp.OverflowError](err); ok {
		now, err := find(ctx, j.c, j.id)
		if errors.Is(err, ErrLost) {
			return qapi.JobStatusNull, nil
		}
		return now.Status, err
	}
	switch {
	case ctx.Err() != nil:
		return status, fmt.Errorf("jobs: %s: %w", j.id, ErrClosed)
	case err != nil:
		return status, fmt.Errorf("jobs: %s: %w", j.id, err)
	}
	data, err := qapi.DecodeEvent(e)
	if err != nil {
		return status, fmt.Errorf("jobs: %s: %w", j.id, err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	switch d := data.(type) {
	case *qapi.JobStatusChangeEvent:
		if d.ID == j.id {
			return d.Status, nil
		}
	case *qapi.BlockJobCancelledEvent:
		j.cancelled = j.cancelled || d.Device == j.id
	case *qapi.BlockJobCompletedEvent:
		if d.Device == j.id {
			j.completed = &Error{ID: j.id, Type: d.Type}
			if d.Error != nil {
				j.completed.Text = *d.Error
			}
		}
	}
	return status, nil
}

func (j *Job) become(status qapi.JobStatus) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.status != status {
		j.status = status
		close(j.changed)
		j.changed = make(chan struct{})
	}
}

// conclude reads how the job ended and lets QEMU forget it.
func (j *Job) conclude(ctx context.Context) error {
	info, err := find(ctx, j.c, j.id)
	switch {
	case errors.Is(err, ErrLost): // dismissed already
		return j.outcome()
	case err != nil:
		return err
	}
	_ = qapi.JobDismiss(ctx, j.c, j.id) // it fails when QEMU has done so itself; the outcome is known either way
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case info.Error == nil:
		return nil
	case j.cancelled || j.requested:
		return fmt.Errorf("jobs: %s: %w", j.id, ErrCancelled)
	}
	return &Error{ID: j.id, Type: info.Type, Text: *info.Error}
}

// outcome is how the job ended as far as events tell.
func (j *Job) outcome() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.cancelled || j.requested && j.completed == nil:
		return fmt.Errorf("jobs: %s: %w", j.id, ErrCancelled)
	case j.completed == nil:
		return fmt.Errorf("jobs: %s: %w", j.id, ErrLost)
	case j.completed.Text == "":
		return nil
	}
	return j.completed
}
