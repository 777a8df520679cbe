package undo_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/undo"
)

func TestUnwindRunsAllStepsInReverse(t *testing.T) {
	cause, second := errors.New("cause"), errors.New("second")
	var order []int
	var st undo.Stack
	st.Push(func(context.Context) error { order = append(order, 1); return nil })
	st.Push(func(context.Context) error { order = append(order, 2); return second })
	st.Push(func(context.Context) error { order = append(order, 3); return nil })

	ctx, cancel := context.WithCancel(t.Context())
	cancel() // a cancelled caller does not stop the clean-up
	err := st.Unwind(ctx, cause)
	require.ErrorIs(t, err, cause)
	require.ErrorIs(t, err, second)
	require.Equal(t, []int{3, 2, 1}, order)

	require.Equal(t, cause, st.Unwind(ctx, cause), "steps run once")
}

func TestUnwindContextIsAlive(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var st undo.Stack
	st.Push(func(ctx context.Context) error { return ctx.Err() })
	require.Equal(t, "cause", st.Unwind(ctx, errors.New("cause")).Error())
}

func TestCommitAndSuccessKeepTheSteps(t *testing.T) {
	for name, run := range map[string]func(*undo.Stack) error{
		"success":   func(st *undo.Stack) error { return st.Unwind(t.Context(), nil) },
		"committed": func(st *undo.Stack) error { st.Commit(); st.Unwind(t.Context(), errors.New("later")); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			var st undo.Stack
			st.Push(func(context.Context) error { t.Error("undone"); return nil })
			require.NoError(t, run(&st))
		})
	}
}
