// Package undo unwinds the steps of one call in reverse order when the call fails half-way.
// It is for leaves; an operation that must survive a restart journals its undo in internal/task instead.
package undo

import (
	"context"
	"errors"
	"time"
)

// Timeout bounds the whole unwinding: it runs on a context of its own, since the caller's may be the reason for the failure.
const Timeout = time.Minute

// Stack holds the undo of the steps taken so far. The zero value is ready. It is not safe for concurrent use.
//
//	var st undo.Stack
//	defer func() { err = st.Unwind(ctx, err) }()
//	st.Push(func(ctx context.Context) error { return remove(ctx, name) }) // armed before the step acts
type Stack struct {
	steps []func(context.Context) error
}

// Push arms the undo of a step; call it before the step acts. The function must be idempotent and must accept that the
// step never happened.
func (s *Stack) Push(fn func(context.Context) error) { s.steps = append(s.steps, fn) }

// Commit forgets all steps: they are now owned by somebody else.
func (s *Stack) Commit() { s.steps = nil }

// Unwind returns nil at once when err is nil. Otherwise it runs the armed steps in reverse, all of them, and joins their
// errors to err.
func (s *Stack) Unwind(ctx context.Context, err error) error {
	if err == nil || len(s.steps) == 0 {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Timeout)
	defer cancel()
	errs := []error{err}
	for i := len(s.steps) - 1; i >= 0; i-- {
		errs = append(errs, s.steps[i](ctx))
	}
	s.steps = nil
	return errors.Join(errs...)
}
