package task

import (
	"errors"
	"io/fs"

	"github.com/turtacn/go-proxmox/internal/errclass"
)

// What a caller may branch on, with errors.Is.
var (
	// ErrNotFound is a UPID of no task that this node knows.
	ErrNotFound = errclass.New("no such task", fs.ErrNotExist)
	// ErrCancelled is the cause that ends the context of an operation that was cancelled, and its outcome.
	ErrCancelled = errors.New("received interrupt")
	// ErrInterrupted is the outcome of an operation that the end of the daemon broke off.
	ErrInterrupted = errors.New("interrupted by the end of the daemon")
	// ErrShutdown is the cause that ends the context of operations when Run ends. The next start recovers them.
	ErrShutdown = errors.New("daemon is ending")
	// ErrLost is a write of an operation that no longer exists: it has ended, or somebody removed it.
	ErrLost = errors.New("operation has ended")
	// ErrUnknownType is a type without a handler.
	ErrUnknownType = errors.New("unknown task type")
	// ErrWithdrawn is an operation that SubmitWait took back before it began.
	ErrWithdrawn = errors.New("operation was withdrawn before it began")
	// ErrPanic is the outcome of an operation whose handler panicked.
	ErrPanic = errors.New("internal error")
)
