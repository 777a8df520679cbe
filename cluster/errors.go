package cluster

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/turtacn/go-proxmox/internal/errclass"
)

// What a caller may branch on, with errors.Is.
var (
	// ErrNotFound is the answer to a Get of an absent key.
	ErrNotFound = errclass.New("key not found", fs.ErrNotExist)
	// ErrConflict is a transaction whose condition did not hold; the error is a *ConflictError.
	ErrConflict = errors.New("condition failed")
	// ErrCompacted is a watch from a revision that the store no longer remembers: list again.
	ErrCompacted = errors.New("history compacted")
	// ErrClosed is an operation after Close.
	ErrClosed = errclass.New("store closed", fs.ErrClosed)
	// ErrInvalid is a key, value or transaction outside the limits of this package.
	ErrInvalid = errclass.New("invalid argument", fs.ErrInvalid)
	// ErrInUse is a store that another process has open.
	ErrInUse = errors.New("store is in use by another process")
	// ErrNoSpace is a transaction that the full disk refused. Nothing of it happened; the store stays usable.
	ErrNoSpace = errors.New("no space left for the store")
	// ErrBroken is a store whose file no longer tells what was committed. Only opening it again helps.
	ErrBroken = errors.New("store is broken")
	// ErrNewerFormat is data written by a newer program.
	ErrNewerFormat = errors.New("written in a newer format")
	// ErrHeld is a lease that somebody else holds.
	ErrHeld = errors.New("lease is held")
	// ErrLost is a lease that is no longer held.
	ErrLost = errors.New("lease is lost")
)

// OpError says which operation failed on which key or prefix.
type OpError struct {
	Op, Key string
	Err     error
}

func (e *OpError) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("cluster: %s: %v", e.Op, e.Err)
	}
	return fmt.Sprintf("cluster: %s %s: %v", e.Op, e.Key, e.Err)
}

// Unwrap returns the cause.
func (e *OpError) Unwrap() error { return e.Err }

// ConflictError is a transaction that did not happen because Cond did not hold. It is an ErrConflict.
type ConflictError struct {
	Cond Cond
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("cluster: txn: condition failed: %v", e.Cond)
}

// Unwrap returns ErrConflict.
func (e *ConflictError) Unwrap() error { return ErrConflict }

// ConflictOn reports whether err is a transaction that failed on a condition about key.
func ConflictOn(err error, key string) bool {
	c, ok := errors.AsType[*ConflictError](err)
	return ok && c.Cond.Key == key
}
