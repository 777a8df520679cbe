package storagetest

import (
	"context"
	"iter"

	"github.com/turtacn/go-proxmox/storage"
)

// Faulty is a driver whose core calls fail when Fault says so. Capabilities are found through it, without faults.
// It is as safe for concurrent use as Driver and Fault are.
type Faulty struct {
	Driver storage.Driver
	// Fault is asked before and after each call ("create", "stat", "list", "attach", "detach", "delete", "usage"). An error
	// before keeps the call from happening; one after makes a call that happened look failed, as when an answer is lost.
	Fault func(op string, id storage.VolumeID, after bool) error
}

// Unwrap returns the driver behind the faults.
func (f *Faulty) Unwrap() storage.Driver { return f.Driver }

func faulty[T any](f *Faulty, op string, id storage.VolumeID, call func() (T, error)) (T, error) {
	var zero T
	if err := f.Fault(op, id, false); err != nil {
		return zero, err
	}
	v, err := call()
	if err != nil {
		return zero, err
	}
	if err := f.Fault(op, id, true); err != nil {
		return zero, err
	}
	return v, nil
}

// Create implements storage.Driver, as the methods below do.
func (f *Faulty) Create(ctx context.Context, spec storage.VolumeSpec) (storage.Volume, error) {
	return faulty(f, "create", spec.ID, func() (storage.Volume, error) { return f.Driver.Create(ctx, spec) })
}

func (f *Faulty) Stat(ctx context.Context, id storage.VolumeID) (storage.Volume, error) {
	return faulty(f, "stat", id, func() (storage.Volume, error) { return f.Driver.Stat(ctx, id) })
}

func (f *Faulty) List(ctx context.Context, filter storage.Filter) iter.Seq2[storage.Volume, error] {
	if err := f.Fault("list", "", false); err != nil {
		return func(yield func(storage.Volume, error) bool) { yield(storage.Volume{}, err) }
	}
	return f.Driver.List(ctx, filter)
}

func (f *Faulty) Attach(ctx context.Context, id storage.VolumeID, o storage.AttachOptions) (storage.Attachment, error) {
	return faulty(f, "attach", id, func() (storage.Attachment, error) { return f.Driver.Attach(ctx, id, o) })
}

func (f *Faulty) Detach(ctx context.Context, id storage.VolumeID) error {
	_, err := faulty(f, "detach", id, func() (struct{}, error) { return struct{}{}, f.Driver.Detach(ctx, id) })
	return err
}

func (f *Faulty) Delete(ctx context.Context, id storage.VolumeID) error {
	_, err := faulty(f, "delete", id, func() (struct{}, error) { return struct{}{}, f.Driver.Delete(ctx, id) })
	return err
}

func (f *Faulty) Usage(ctx context.Context) (storage.Usage, error) {
	return faulty(f, "usage", "", func() (storage.Usage, error) { return f.Driver.Usage(ctx) })
}
